// How an initial packet is edited. Pure.

import type { Json, Port } from "../protocol/types";

export type Kind = "switch" | "number" | "choice" | "text" | "json";

/** How a packet is edited: by the port's type, else by what it is. */
export function kindOf(port: Pick<Port, "type" | "values"> | undefined, data: Json | undefined): Kind {
  const type = port?.type.toLowerCase() ?? "any";
  if (port?.values && port.values.length > 0) return "choice";
  if (type === "boolean" || typeof data === "boolean") return "switch";
  if (["number", "int", "integer", "float"].includes(type) || typeof data === "number" || isNumeral(data)) return "number";
  if (type === "object" || type === "array" || (typeof data === "object" && data !== null)) return "json";
  return "text";
}

function isNumeral(data: Json | undefined): boolean {
  return typeof data === "string" && /^-?\d+(\.\d+)?$/.test(data.trim());
}

/** A range that the value lies well within. */
export function rangeOf(value: number): { low: number; high: number; step: number } {
  const size = Math.max(10, 10 ** Math.ceil(Math.log10(Math.max(1, Math.abs(value) * 1.5))));
  const high = size / 2 >= Math.abs(value) * 1.5 ? size / 2 : size;
  return { low: value < 0 ? -high : 0, high, step: high / 500 };
}

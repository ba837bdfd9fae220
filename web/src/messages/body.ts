// What a message is, for people. Pure.

import type { Json } from "../protocol/types";

export type Body =
  | { kind: "json"; text: string }
  | { kind: "text"; text: string }
  | { kind: "image"; url: string; bytes: number; contentType: string }
  | { kind: "binary"; base64: string; bytes: number; contentType: string }
  /** Too long to be shown; only its length is told. */
  | { kind: "long"; bytes: number; contentType: string };

const IMAGES: Record<string, string> = {
  iVBORw0KGgo: "image/png",
  "/9j/": "image/jpeg",
  R0lGOD: "image/gif",
  UklGR: "image/webp",
};

/** The server shows bytes as `{"base64": …, "contentType": …}`, and what is too long as `{"bytes": …, "contentType": …}`. */
export function bodyOf(data: Json): Body {
  if (typeof data === "string") return { kind: "text", text: data };
  if (data && typeof data === "object" && !Array.isArray(data)) {
    const { base64, bytes, contentType } = data;
    const keys = Object.keys(data);
    const type = typeof contentType === "string" ? contentType : "application/octet-stream";
    if (typeof base64 === "string" && keys.every((key) => key === "base64" || key === "contentType")) {
      const size = Math.floor((base64.length * 3) / 4) - (/=*$/.exec(base64)?.[0].length ?? 0);
      // Senders often do not say what their bytes are; a picture says it itself.
      const image = type.startsWith("image/") ? type : Object.entries(IMAGES).find(([start]) => base64.startsWith(start))?.[1];
      return image
        ? { kind: "image", url: `data:${image};base64,${base64}`, bytes: size, contentType: image }
        : { kind: "binary", base64, bytes: size, contentType: type };
    }
    if (typeof bytes === "number" && typeof contentType === "string" && keys.length === 2) {
      return { kind: "long", bytes, contentType };
    }
  }
  return { kind: "json", text: JSON.stringify(data, null, 2) };
}

/** One line of it. */
export function lineOf(data: Json): string {
  const body = bodyOf(data);
  switch (body.kind) {
    case "text":
      return body.text;
    case "json":
      return JSON.stringify(data);
    case "long":
      return `${sizeOf(body.bytes)} of ${body.contentType}, too long to be shown`;
    default:
      return `${sizeOf(body.bytes)} of ${body.contentType}`;
  }
}

export function sizeOf(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} kB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

/** The first bytes as a hex dump, sixteen a line. */
export function hexOf(base64: string, most = 256): string {
  const bytes = Uint8Array.from(atob(base64.slice(0, Math.ceil(most / 3) * 4)), (char) => char.charCodeAt(0)).slice(0, most);
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.slice(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${hex.padEnd(47)}  ${text}`);
  }
  return lines.join("\n");
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** Hours to milliseconds. */
export function timeOf(at: number): string {
  return `${clock.format(at)}.${String(at % 1000).padStart(3, "0")}`;
}

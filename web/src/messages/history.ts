// Which edges the view looks at, and which of the messages it shows. Pure.

import type { Graph, GraphEdge } from "../protocol/graph";
import type { Seen } from "../protocol/stream";
import { samePort, type End } from "../protocol/types";
import { lineOf } from "./body";

/** An end as it stands in the address: `node port`. */
export function endText({ node, port, index }: End): string {
  return `${node} ${port}${index === undefined ? "" : `[${index}]`}`;
}

/** The edge that the address names. */
export function edgeAt(graph: Graph, rest: string[]): GraphEdge | undefined {
  const [from, to] = rest;
  if (!from || !to) return undefined;
  return Object.values(graph.edges).find(({ src, tgt }) => isEnd(src, from) && isEnd(tgt, to));
}

function isEnd(end: End, text: string): boolean {
  const cut = text.lastIndexOf(" ");
  const index = end.index === undefined ? "" : `[${end.index}]`;
  return end.node === text.slice(0, cut) && samePort(`${end.port}${index}`, text.slice(cut + 1));
}

/** The messages of an edge that hold the words, the newest first. */
export function shown(seen: Seen[], edge: string, search: string): Seen[] {
  const wanted = search.trim().toLowerCase();
  const found = seen.filter((message) => message.edge === edge && (!wanted || lineOf(message.data).toLowerCase().includes(wanted)));
  return found.reverse();
}

/** Messages a second over the last seconds, with those that were left out counted in their share. */
export function rateOf(seen: Seen[], share: number, now: number, seconds = 5): number {
  const recent = seen.filter(({ at }) => now - at <= seconds * 1000).length;
  return (recent / seconds) * share;
}

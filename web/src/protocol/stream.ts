// The messages that were seen on edges that somebody watches.

import { create } from "zustand";

import { edgeKey, type End, type Json, type Signal } from "./types";

/** What a message says beside its payload. */
export interface Properties {
  persistent: boolean;
  /** When it was sent, in milliseconds since 1970. */
  sent?: number;
  contentType?: string;
  traceparent?: string;
  headers?: Record<string, Json>;
}

export interface Seen {
  id: number;
  /** The edge's key; of an initial packet the key of its target alone. */
  edge: string;
  src: End | undefined;
  tgt: End;
  data: Json;
  /** Unknown of initial packets. */
  properties: Properties | undefined;
  /** When we saw it, in milliseconds. */
  at: number;
}

interface Stream {
  /** The newest last. */
  seen: Seen[];
  /** How many messages were on the watched edges since they are watched, and how many of them the server left out. */
  total: number;
  leftOut: number;
}

/** The most messages that are kept. */
export const MOST_SEEN = 1000;

export const useStream = create<Stream>(() => ({ seen: [], total: 0, leftOut: 0 }));

let next = 1;

export function forget() {
  useStream.setState({ seen: [], total: 0, leftOut: 0 });
}

/** Takes what is a message out of what came. */
export function heard(signals: Signal[], graphId: string | undefined) {
  const seen: Seen[] = [];
  let leftOut = 0;
  for (const { protocol, command, payload, at = Date.now() } of signals) {
    if (protocol !== "network") continue;
    if (command === "data" && payload["graph"] === graphId) {
      const src = payload["src"] as End | undefined;
      const tgt = payload["tgt"] as End;
      const edge = src ? edgeKey(src, tgt) : "";
      seen.push({ id: next++, edge, src, tgt, data: (payload["data"] ?? null) as Json, properties: payload["message"] as Properties | undefined, at });
    }
    if (command === "output") leftOut += leftOutOf(String(payload["message"] ?? ""));
  }
  if (seen.length === 0 && leftOut === 0) return;
  useStream.setState((stream) => ({
    seen: seen.length === 0 ? stream.seen : [...stream.seen, ...seen].slice(-MOST_SEEN),
    total: stream.total + seen.length + leftOut,
    leftOut: stream.leftOut + leftOut,
  }));
}

/** The server says once a second: "12 of 40 messages of `graph` were not shown". */
export function leftOutOf(message: string): number {
  const found = /^(\d+) of \d+ messages of `.*` were not shown$/.exec(message);
  return found ? Number(found[1]) : 0;
}

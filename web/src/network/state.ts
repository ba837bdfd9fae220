// States in words and tones: the same everywhere.

import type { Tone } from "../design/Badge";
import { duration } from "../scaling/format";
import type { EdgeView } from "./flow";
import type { Observed } from "./ports";

const NODES: Record<Observed["state"], { tone: Tone; word: string; meaning: string }> = {
  up: { tone: "good", word: "up", meaning: "It runs and has announced itself." },
  starting: { tone: "info", word: "starting", meaning: "Its process runs and has not announced itself yet." },
  idle: { tone: "idle", word: "idle", meaning: "It is scaled to zero; its messages wait." },
  missing: { tone: "warn", word: "missing", meaning: "Somebody else should run it, and it has not been heard of." },
  failed: { tone: "bad", word: "failed", meaning: "Its process keeps ending." },
  stopped: { tone: "idle", word: "stopped", meaning: "Its network has not been started." },
  unknown: { tone: "idle", word: "new", meaning: "Nothing has been observed of it yet." },
};

const EDGES: Record<EdgeView["state"], { tone: Tone; word: string; meaning: string }> = {
  bound: { tone: "good", word: "bound", meaning: "Messages flow." },
  pending: { tone: "warn", word: "pending", meaning: "It is made as soon as both its ends are there." },
  failed: { tone: "bad", word: "failed", meaning: "It could not be made; it is tried again." },
  unknown: { tone: "idle", word: "new", meaning: "Nothing has been observed of it yet." },
};

/** What waits at an inport, and for how long the next of it has. */
export const waitingWords = (waiting: number, oldest: number | undefined) =>
  `${waiting.toLocaleString()} waiting${oldest === undefined ? "" : `, the next for ${duration(oldest)}`}`;

export const nodeState = ({ state }: Observed) => NODES[state] ?? NODES.unknown;
export const edgeWords = (state: EdgeView["state"]) => EDGES[state] ?? EDGES.unknown;

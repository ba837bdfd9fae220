// The network as the server tells it, and what may be done with it. One store: what the server says is kept here and nowhere
// else; views read it, and change it by asking the server.

import { create } from "zustand";

import { currentSecret } from "../app/secret";
import { toast } from "../design/Toasts";
import { Connection, Refused } from "./connection";
import { apply, EMPTY, fromJson, type Graph, type GraphJson } from "./graph";
import { invert } from "./invert";
import { heard, leftOutOf } from "./stream";
import type { Component, Edit, Runtime, Signal, Source } from "./types";

export interface NetworkState {
  /** Whether the socket is there. `lost`: it was, and is being tried again. */
  link: "connecting" | "live" | "lost";
  runtime: Runtime | undefined;
  /** The main graph's id. Undefined: the network has none yet. */
  graphId: string | undefined;
  graph: Graph;
  /** Whether the graph has been read. */
  isLoaded: boolean;
  /** Why it cannot be read. */
  refusal: string | undefined;
  /** The library, by full name. */
  components: Record<string, Component>;
  isStarted: boolean;
  undo: Edit[][];
  redo: Edit[][];
}

const MOST_UNDONE = 200;

export const useNetwork = create<NetworkState>(() => ({
  link: "connecting",
  runtime: undefined,
  graphId: undefined,
  graph: EMPTY,
  isLoaded: false,
  refusal: undefined,
  components: {},
  isStarted: false,
  undo: [],
  redo: [],
}));

const { setState: set, getState: get } = useNetwork;

let connection: Connection | undefined;

/** Connects, once. */
export function join() {
  if (connection) return;
  const url = new URL("./", window.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  url.search = "";
  connection = new Connection(url.href, {
    secret: currentSecret,
    opened: () => void greet(),
    lost: () => set({ link: "lost" }),
    signals: take,
  });
  connection.open();
}

export function ask(protocol: Signal["protocol"], command: string, payload: object, until?: string): Promise<Signal> {
  if (!connection) return Promise.reject(new Error("There is no connection to the server yet."));
  return connection.request(protocol, command, payload, until);
}

/** Whether the server lets us do this. */
export function useMay(...anyOf: string[]): boolean {
  return useNetwork(({ runtime }) => allows(runtime, anyOf));
}

export function allows(runtime: Runtime | undefined, anyOf: string[]): boolean {
  const given = runtime?.capabilities ?? [];
  return anyOf.some(
    (wanted) =>
      given.includes(wanted) ||
      (["network:control", "network:data", "network:status"].includes(wanted) && given.includes("protocol:network")),
  );
}

async function greet() {
  try {
    const answer = await ask("runtime", "getruntime", {});
    const runtime = answer.payload as unknown as Runtime;
    set({ runtime });
    // Nothing is watched until somebody looks, so that the server copies no message for nobody.
    // The library tells the ports of nodes, and is there before they are drawn.
    if (allows(runtime, ["protocol:component"])) await ask("component", "list", {}, "componentsready");
    if (runtime.graph) {
      if (allows(runtime, ["network:data"])) {
        await ask("network", "edges", { graph: runtime.graph, edges: watched });
      }
      await load(runtime.graph);
    } else {
      set({ graphId: undefined, graph: EMPTY, isLoaded: true });
    }
    set({ link: "live" });
    if (runtime.graph && allows(runtime, ["network:status", "network:control"])) {
      await ask("network", "getstatus", { graph: runtime.graph });
    }
  } catch (error) {
    // What is refused stays refused; a lost connection comes back by itself.
    if (error instanceof Refused) set({ refusal: error.message });
    else complain(error);
  }
}

async function load(graphId: string) {
  const { payload } = await ask("component", "getsource", { name: graphId });
  set({ graphId, graph: fromJson(JSON.parse(String(payload["code"])) as GraphJson), isLoaded: true, refusal: undefined, undo: [], redo: [] });
}

function take(signals: Signal[]) {
  const { graphId, graph, components } = get();
  const edits = signals.filter((it) => it.protocol === "graph" && it.command !== "error" && it.payload["graph"] === graphId);
  const listed = signals.filter((it) => it.protocol === "component" && it.command === "component");
  const next: Partial<NetworkState> = {};
  if (edits.length > 0 && graphId !== undefined) next.graph = apply(graph, edits);
  if (listed.length > 0) {
    const known = listed.map(({ payload }) => payload as unknown as Component);
    next.components = { ...components, ...Object.fromEntries(known.map((component) => [component.name, component])) };
  }
  for (const { protocol, command, payload, responseTo } of signals) {
    if (protocol === "network" && payload["graph"] === graphId) {
      if (command === "started" || command === "stopped" || command === "status") {
        next.isStarted = payload["started"] === true;
      }
    }
    // Whoever has just come up has said more of its component than the library knows.
    if (protocol === "graph" && command === "changenode" && isUp(payload["metadata"])) relist();
    // The first graph that somebody calls main has become it.
    if (protocol === "graph" && command === "clear" && graphId === undefined && payload["main"] === true) void greet();
    // Such as what the graph's file cannot hold.
    if (protocol === "network" && command === "output" && leftOutOf(String(payload["message"])) === 0) {
      toast(String(payload["message"]));
    }
    if (command === "error" && responseTo === undefined) complain(new Error(String(payload["message"])));
  }
  if (Object.keys(next).length > 0) set(next);
  heard(signals, graphId);
}

function isUp(metadata: unknown): boolean {
  const state = (metadata as { msgflo?: { state?: string } } | undefined)?.msgflo?.state;
  return state === "up";
}

const RELIST_MS = 1000;
let relisting: ReturnType<typeof setTimeout> | undefined;

function relist() {
  if (!allows(get().runtime, ["protocol:component"])) return;
  relisting ??= setTimeout(() => {
    relisting = undefined;
    // If the connection is lost meanwhile, everything is read anew.
    ask("component", "list", {}, "componentsready").catch(() => undefined);
  }, RELIST_MS);
}

export function complain(error: unknown) {
  toast(error instanceof Error ? error.message : String(error), { bad: true });
}

async function send(edits: Edit[]) {
  const graph = get().graphId;
  // All are sent at once and answered in order: others see them together.
  await Promise.all(edits.map(({ command, payload }) => ask("graph", command, { ...payload, graph })));
}

let last: Promise<unknown> = Promise.resolve();

/** Does one thing after the other: what takes back a change is known when the change is answered. */
function inTurn<T>(act: () => Promise<T>): Promise<T> {
  const turn = last.then(act);
  last = turn.catch(() => undefined);
  return turn;
}

/**
 * Changes the graph. What was refused is said, and nothing else happens: what is shown is what the server tells. Edits that
 * belong together are taken back together.
 */
export const edit = (edits: Edit[], { undoable = true } = {}) => inTurn(() => change(edits, undoable));

async function change(edits: Edit[], undoable: boolean): Promise<boolean> {
  // What takes back the second must know what the first did.
  let graph = get().graph;
  const back: Edit[] = [];
  for (const it of edits) {
    back.unshift(...invert(graph, it));
    graph = apply(graph, [{ protocol: "graph", ...it }]);
  }
  try {
    await send(edits);
  } catch (error) {
    complain(error);
    return false;
  }
  if (undoable && back.length > 0) remember(back);
  return true;
}

/** That this takes back what was done step by step. */
export function remember(back: Edit[]) {
  set(({ undo }) => ({ undo: [...undo, back].slice(-MOST_UNDONE), redo: [] }));
}

async function walk(from: "undo" | "redo", to: "undo" | "redo") {
  const step = get()[from].at(-1);
  if (!step) return;
  let graph = get().graph;
  const back: Edit[] = [];
  for (const it of step) {
    back.unshift(...invert(graph, it));
    graph = apply(graph, [{ protocol: "graph", ...it }]);
  }
  set((state) => ({ ...state, [from]: state[from].slice(0, -1) }));
  try {
    await send(step);
    set((state) => ({ ...state, [to]: [...state[to], back] }));
  } catch (error) {
    // Somebody else has changed what this would have.
    complain(error);
  }
}

export const undo = () => inTurn(() => walk("undo", "redo"));
export const redo = () => inTurn(() => walk("redo", "undo"));

/** The full name of a component that a node may name without its namespace. */
export function componentOf(name: string, components: Record<string, Component>, namespace?: string): Component | undefined {
  return components[name] ?? (namespace ? components[`${namespace}/${name}`] : undefined);
}

export async function startNetwork() {
  await ask("network", "start", { graph: get().graphId }).catch(complain);
}

export async function stopNetwork() {
  await ask("network", "stop", { graph: get().graphId }).catch(complain);
}

export async function readSource(name: string): Promise<Source> {
  const { payload } = await ask("component", "getsource", { name });
  return payload as unknown as Source;
}

export async function writeSource(source: Source): Promise<void> {
  await ask("component", "source", source);
}

let watched: { src: object; tgt: object }[] = [];

/** Which edges' messages are wanted: see stream.ts. */
export async function watch(edges: { src: object; tgt: object }[]) {
  watched = edges;
  const { graphId, runtime, link } = get();
  if (graphId === undefined || link !== "live" || !allows(runtime, ["network:data"])) return;
  await ask("network", "edges", { graph: graphId, edges }).catch(complain);
}

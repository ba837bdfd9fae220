// The ports of a node as they are drawn: what its component announces, and what the graph connects beyond that. Pure.

import type { Graph, GraphNode, Initial } from "../protocol/graph";
import type { NodeState, NodeStatus } from "../protocol/status";
import { samePort, type Component, type End } from "../protocol/types";

export interface PortView {
  /** As it is shown. */
  name: string;
  /** The id of its handle, and what tells it from others. */
  handle: string;
  type: string;
  description?: string | undefined;
  /** Whether its component announces it, or nothing is known of the component. */
  isKnown: boolean;
  isConnected: boolean;
  initial?: Initial | undefined;
  /** Messages that wait in its queue. */
  waiting?: number | undefined;
  /** How long the next one of them has waited, in seconds. */
  oldest?: number | undefined;
}

/** What observed state a node has, as the server tells it with its metadata. */
export interface Observed {
  state: NodeState | "unknown";
  reason?: string;
  running?: number;
  wanted?: number;
}

export interface NodeView {
  [key: string]: unknown;
  id: string;
  component: string;
  description?: string | undefined;
  icon: string;
  observed: Observed;
  /** `foreign`: somebody else runs it; `binding`: it stands for a binding in the broker, and nothing runs. */
  kind: "ours" | "foreign" | "binding";
  inports: PortView[];
  outports: PortView[];
  width: number;
  height: number;
  isFaded: boolean;
}

export const HEADER = 54;
export const ROW = 26;
/** How large a handle and how wide the border is: see network.css. */
export const HANDLE = 11;
export const BORDER = 1;
const FOOT = 8;

/** How far below a node's top the middle of a row of ports is. */
export const middleOf = (row: number) => HEADER + row * ROW + ROW / 2;

const BINDINGS = ["msgflo/RoundRobin", "msgflo/PubSub"];

export function handleOf({ port, index }: End): string {
  return index === undefined ? port.toLowerCase() : `${port.toLowerCase()}[${index}]`;
}

export function observedOf(node: GraphNode): Observed {
  const told = node.metadata["msgflo"];
  return told && typeof told === "object" && !Array.isArray(told) ? (told as unknown as Observed) : { state: "unknown" };
}

/** Everything that is drawn of one node, from the ends of the edges and packets that concern it. */
export function viewNode(
  node: GraphNode,
  component: Component | undefined,
  status: NodeStatus | undefined,
  touching: { ins: End[]; outs: End[]; initials: Initial[] },
  isFaded: boolean,
): NodeView {
  const observed = observedOf(node);
  const isBinding = BINDINGS.includes(node.component);
  const announced = (side: "in" | "out") => {
    const own = (side === "in" ? status?.inports : status?.outports) ?? [];
    const listed = (side === "in" ? component?.inPorts : component?.outPorts) ?? [];
    // What the participant itself has said comes before what others of its component have.
    const hasSpoken = (status?.inports.length ?? 0) + (status?.outports.length ?? 0) > 0;
    if (!hasSpoken) return listed;
    return own.map((port) => ({ type: "any", ...listed.find(({ id }) => samePort(id, port.id)), ...port }));
  };
  const view = (side: "in" | "out", used: End[], initials: Initial[]): PortView[] => {
    const known = announced(side);
    const ports: PortView[] = known.map(({ id, type, description }) => ({
      name: id,
      handle: id.toLowerCase(),
      type: type ?? "any",
      description,
      isKnown: true,
      isConnected: false,
    }));
    const find = (end: End) => {
      const handle = handleOf(end);
      let port = ports.find((it) => it.handle === handle);
      if (!port) {
        const name = end.index === undefined ? end.port : `${end.port}[${end.index}]`;
        const isKnown = known.length === 0 || known.some(({ id }) => samePort(id, end.port));
        port = { name, handle, type: "any", isKnown, isConnected: false };
        ports.push(port);
      }
      return port;
    };
    for (const end of used) find(end).isConnected = true;
    for (const initial of initials) find(initial.tgt).initial = initial;
    if (side === "in") {
      for (const queue of status?.queues ?? []) {
        const port = ports.find(({ name }) => samePort(name, queue.port));
        if (port && queue.ready !== undefined) {
          port.waiting = queue.ready;
          port.oldest = queue.oldest_seconds;
        }
      }
    }
    return ports;
  };
  const inports = view("in", touching.ins, touching.initials);
  const outports = view("out", touching.outs, []);
  const isForeign = !isBinding && observed.running === undefined && (observed.state === "up" || observed.state === "missing");
  return {
    id: node.id,
    component: node.component,
    description: component?.description,
    icon: isBinding ? "random" : (component?.icon ?? ""),
    observed,
    kind: isBinding ? "binding" : isForeign ? "foreign" : "ours",
    inports,
    outports,
    width: widthOf(node, inports, outports),
    height: HEADER + Math.max(inports.length, outports.length) * ROW + FOOT,
    isFaded,
  };
}

/** A packet in a few characters. */
export function brief(data: unknown): string {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return text.length > 14 ? `${text.slice(0, 13)}…` : text;
}

// About as wide as text of 12 px is, so that the layout can be known before anything is drawn.
const CHARACTER = 7;
const PACKET = 104;

function widthOf(node: GraphNode, inports: PortView[], outports: PortView[]): number {
  const longest = (ports: PortView[]) =>
    Math.max(
      0,
      ...ports.map(
        // However long its packet is: a node does not grow while a value is dragged.
        ({ name, initial }) => name.length * CHARACTER + (initial ? PACKET : 0),
      ),
    );
  const title = Math.max(node.id.length * 8, node.component.length * 6.8) + 140;
  // With room for the number of those that wait: a node does not grow and shrink with its queue.
  const wanted = Math.max(title, longest(inports) + longest(outports) + 64);
  return Math.round(Math.min(360, Math.max(208, wanted)) / 4) * 4;
}

/** What concerns each node, found in one pass. */
export function touchingOf(graph: Graph): Map<string, { ins: End[]; outs: End[]; initials: Initial[] }> {
  const found = new Map<string, { ins: End[]; outs: End[]; initials: Initial[] }>();
  for (const id of Object.keys(graph.nodes)) found.set(id, { ins: [], outs: [], initials: [] });
  for (const { src, tgt } of Object.values(graph.edges)) {
    found.get(src.node)?.outs.push(src);
    found.get(tgt.node)?.ins.push(tgt);
  }
  for (const initial of Object.values(graph.initials)) found.get(initial.tgt.node)?.initials.push(initial);
  return found;
}

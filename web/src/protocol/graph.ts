// The graph as the server tells it: read from its JSON form, and brought up to date by signals. Pure.

import {
  edgeKey,
  endKey,
  endOf,
  type End,
  type Json,
  type Metadata,
  type Signal,
} from "./types";

export interface GraphNode {
  id: string;
  component: string;
  metadata: Metadata;
}
export interface GraphEdge {
  key: string;
  src: End;
  tgt: End;
  metadata: Metadata;
}
export interface Initial {
  data: Json;
  tgt: End;
  metadata: Metadata;
}
export interface Exported {
  node: string;
  port: string;
  metadata: Metadata;
}
export interface Group {
  name: string;
  nodes: string[];
  metadata: Metadata;
}

export interface Graph {
  nodes: Record<string, GraphNode>;
  edges: Record<string, GraphEdge>;
  initials: Record<string, Initial>;
  inports: Record<string, Exported>;
  outports: Record<string, Exported>;
  groups: Group[];
}

export const EMPTY: Graph = { nodes: {}, edges: {}, initials: {}, inports: {}, outports: {}, groups: [] };

/** The JSON form of a graph. */
export interface GraphJson {
  processes?: Record<string, { component: string; metadata?: Metadata }>;
  connections?: {
    src?: { process: string; port: string; index?: number };
    tgt: { process: string; port: string; index?: number };
    data?: Json;
    metadata?: Metadata;
  }[];
  inports?: Record<string, { process: string; port: string; metadata?: Metadata }>;
  outports?: Record<string, { process: string; port: string; metadata?: Metadata }>;
  groups?: { name: string; nodes: string[]; metadata?: Metadata }[];
  properties?: Metadata;
  caseSensitive?: boolean;
}

function end(from: { process: string; port: string; index?: number }): End {
  const { process: node, port, index } = from;
  return index === undefined ? { node, port } : { node, port, index };
}

export function fromJson(json: GraphJson): Graph {
  const graph: Graph = structuredClone(EMPTY);
  for (const [id, { component, metadata }] of Object.entries(json.processes ?? {})) {
    graph.nodes[id] = { id, component, metadata: metadata ?? {} };
  }
  for (const connection of json.connections ?? []) {
    const tgt = end(connection.tgt);
    const metadata = connection.metadata ?? {};
    if (connection.src) {
      const src = end(connection.src);
      const key = edgeKey(src, tgt);
      graph.edges[key] = { key, src, tgt, metadata };
    } else {
      graph.initials[endKey(tgt)] = { data: connection.data ?? null, tgt, metadata };
    }
  }
  for (const side of ["inports", "outports"] as const) {
    for (const [name, { process, port, metadata }] of Object.entries(json[side] ?? {})) {
      graph[side][name] = { node: process, port, metadata: metadata ?? {} };
    }
  }
  graph.groups = (json.groups ?? []).map(({ name, nodes, metadata }) => ({ name, nodes, metadata: metadata ?? {} }));
  return graph;
}

/** The JSON form, without what is observed; `positions: false` leaves out where things lie, too. */
export function toJson(graph: Graph, { positions }: { positions: boolean }): GraphJson {
  const own = (metadata: Metadata): { metadata?: Metadata } => {
    const kept = Object.entries(metadata).filter(([key]) => key !== "msgflo" && (positions || (key !== "x" && key !== "y")));
    return kept.length > 0 ? { metadata: Object.fromEntries(kept) } : {};
  };
  const place = ({ node, port, index }: End) => ({ process: node, port, ...(index === undefined ? {} : { index }) });
  const exported = (ports: Record<string, Exported>) =>
    Object.fromEntries(
      Object.entries(ports).map(([name, { node, port, metadata }]) => [name, { process: node, port, ...own(metadata) }]),
    );
  return {
    caseSensitive: false,
    properties: {},
    inports: exported(graph.inports),
    outports: exported(graph.outports),
    groups: graph.groups.map(({ name, nodes, metadata }) => ({ name, nodes, ...own(metadata) })),
    processes: Object.fromEntries(
      Object.values(graph.nodes).map(({ id, component, metadata }) => [id, { component, ...own(metadata) }]),
    ),
    connections: [
      ...Object.values(graph.initials).map(({ data, tgt, metadata }) => ({ data, tgt: place(tgt), ...own(metadata) })),
      ...Object.values(graph.edges).map(({ src, tgt, metadata }) => ({ src: place(src), tgt: place(tgt), ...own(metadata) })),
    ],
  };
}

/** The graph after signals of the protocol `graph` that concern it. */
export function apply(graph: Graph, signals: Signal[]): Graph {
  // Each part is copied once, when it is first changed; the others stay the same objects.
  const next: Graph = { ...graph };
  const copied = new Set<keyof Graph>();
  const own = <Key extends keyof Graph>(key: Key): Graph[Key] => {
    if (!copied.has(key)) {
      copied.add(key);
      next[key] = (Array.isArray(next[key]) ? [...next[key]] : { ...next[key] }) as Graph[Key];
    }
    return next[key];
  };
  for (const signal of signals) applyOne(next, own, signal);
  return copied.size > 0 ? next : graph;
}

// The server has checked what it tells: payloads are as the protocol says.
// eslint-disable-next-line
type Payload = any;

function applyOne(graph: Graph, own: <Key extends keyof Graph>(key: Key) => Graph[Key], signal: Signal) {
  const payload: Payload = signal.payload;
  switch (signal.command) {
    case "clear":
      for (const key of Object.keys(EMPTY) as (keyof Graph)[]) Object.assign(graph, { [key]: structuredClone(EMPTY[key]) });
      for (const key of Object.keys(EMPTY) as (keyof Graph)[]) own(key);
      break;
    case "addnode":
      own("nodes")[payload.id] = { id: payload.id, component: payload.component, metadata: payload.metadata ?? {} };
      break;
    case "removenode":
      delete own("nodes")[payload.id];
      own("groups").forEach((group, index, groups) => {
        if (group.nodes.includes(payload.id)) {
          groups[index] = { ...group, nodes: group.nodes.filter((id) => id !== payload.id) };
        }
      });
      for (const [key, initial] of Object.entries(graph.initials)) {
        if (initial.tgt.node === payload.id) delete own("initials")[key];
      }
      for (const side of ["inports", "outports"] as const) {
        for (const [name, port] of Object.entries(graph[side])) {
          if (port.node === payload.id) delete own(side)[name];
        }
      }
      break;
    case "renamenode":
      renameNode(graph, own, payload.from, payload.to);
      break;
    case "changenode": {
      const node = graph.nodes[payload.id];
      // The signal carries the metadata as it now is.
      if (node) own("nodes")[payload.id] = { ...node, metadata: keepState(node.metadata, payload.metadata ?? {}) };
      break;
    }
    case "addedge": {
      const [src, tgt] = [endOf(payload.src), endOf(payload.tgt)];
      const key = edgeKey(src, tgt);
      own("edges")[key] = { key, src, tgt, metadata: payload.metadata ?? {} };
      break;
    }
    case "removeedge":
      delete own("edges")[edgeKey(payload.src, payload.tgt)];
      break;
    case "changeedge": {
      const key = edgeKey(payload.src, payload.tgt);
      const edge = graph.edges[key];
      if (edge) own("edges")[key] = { ...edge, metadata: keepState(edge.metadata, payload.metadata ?? {}) };
      break;
    }
    case "addinitial": {
      const tgt = endOf(payload.tgt);
      own("initials")[endKey(tgt)] = { data: payload.src.data ?? null, tgt, metadata: payload.metadata ?? {} };
      break;
    }
    case "removeinitial":
      delete own("initials")[endKey(payload.tgt)];
      break;
    case "addinport":
    case "addoutport": {
      const side = signal.command === "addinport" ? "inports" : "outports";
      own(side)[payload.public] = { node: payload.node, port: payload.port, metadata: payload.metadata ?? {} };
      break;
    }
    case "removeinport":
      delete own("inports")[payload.public];
      break;
    case "removeoutport":
      delete own("outports")[payload.public];
      break;
    case "renameinport":
    case "renameoutport": {
      const ports = own(signal.command === "renameinport" ? "inports" : "outports");
      const port = ports[payload.from];
      if (port) {
        delete ports[payload.from];
        ports[payload.to] = port;
      }
      break;
    }
    case "addgroup": {
      const groups = own("groups");
      const group = { name: payload.name, nodes: payload.nodes ?? [], metadata: payload.metadata ?? {} };
      const at = groups.findIndex(({ name }) => name === payload.name);
      if (at < 0) groups.push(group);
      else groups[at] = group;
      break;
    }
    case "removegroup": {
      const groups = own("groups");
      const at = groups.findIndex(({ name }) => name === payload.name);
      if (at >= 0) groups.splice(at, 1);
      break;
    }
    case "renamegroup":
    case "changegroup": {
      const groups = own("groups");
      const at = groups.findIndex(({ name }) => name === (payload.from ?? payload.name));
      const group = groups[at];
      if (group) groups[at] = { ...group, name: payload.to ?? group.name, metadata: payload.metadata ?? group.metadata };
      break;
    }
  }
}

/** An edit's answer lacks what is observed: that stays as it was last told. */
function keepState(before: Metadata, now: Metadata): Metadata {
  return before["msgflo"] !== undefined && now["msgflo"] === undefined ? { ...now, msgflo: before["msgflo"] } : now;
}

function renameNode(graph: Graph, own: <Key extends keyof Graph>(key: Key) => Graph[Key], from: string, to: string) {
  const node = graph.nodes[from];
  if (!node) return;
  // In its place, so that lists keep their order. Under the new name it is somebody else, who has not been heard of.
  const { msgflo: _, ...metadata } = node.metadata;
  graph.nodes = Object.fromEntries(
    Object.entries(own("nodes")).map(([id, other]) => (id === from ? [to, { ...node, id: to, metadata }] : [id, other])),
  );
  const rename = (at: End): End => (at.node === from ? { ...at, node: to } : at);
  graph.edges = Object.fromEntries(
    Object.values(own("edges")).map((edge) => {
      const [src, tgt] = [rename(edge.src), rename(edge.tgt)];
      const key = edgeKey(src, tgt);
      return [key, key === edge.key ? edge : { ...edge, key, src, tgt }];
    }),
  );
  graph.initials = Object.fromEntries(
    Object.values(own("initials")).map((initial) => {
      const tgt = rename(initial.tgt);
      return [endKey(tgt), { ...initial, tgt }];
    }),
  );
  for (const side of ["inports", "outports"] as const) {
    const ports = own(side);
    for (const [name, port] of Object.entries(ports)) {
      if (port.node === from) ports[name] = { ...port, node: to };
    }
  }
  own("groups").forEach((group, index, groups) => {
    groups[index] = { ...group, nodes: group.nodes.map((id) => (id === from ? to : id)) };
  });
}

// Edits as the view makes them.

import type { Graph } from "../protocol/graph";
import { edit, useNetwork } from "../protocol/store";
import { edgeKey, endKey, endOf, samePort, type Edit, type End, type Json } from "../protocol/types";
import type { Place } from "./layout";

export function connect(src: End, tgt: End) {
  if (useNetwork.getState().graph.edges[edgeKey(src, tgt)]) return Promise.resolve(false);
  return edit([{ command: "addedge", payload: { src: endOf(src), tgt: endOf(tgt) } }]);
}

export function removeEdges(ends: { src: End; tgt: End }[]) {
  return edit(ends.map(({ src, tgt }) => ({ command: "removeedge", payload: { src: endOf(src), tgt: endOf(tgt) } })));
}

export function removeNodes(ids: string[]) {
  return edit(ids.map((id) => ({ command: "removenode", payload: { id } })));
}

export function addNode(id: string, component: string, place: Place) {
  return edit([{ command: "addnode", payload: { id, component, metadata: { ...place } } }]);
}

export function renameNode(from: string, to: string) {
  return edit([{ command: "renamenode", payload: { from, to } }]);
}

export function move(moved: Record<string, Place>) {
  return edit(Object.entries(moved).map(([id, place]) => ({ command: "changenode", payload: { id, metadata: { ...place } } })));
}

/** Sets the packet of an inport; undefined takes it away. */
export function packetEdits(graph: Graph, tgt: End, data: Json | undefined): Edit[] {
  const edits: Edit[] = [];
  if (graph.initials[endKey(tgt)]) edits.push({ command: "removeinitial", payload: { tgt: endOf(tgt) } });
  if (data !== undefined) edits.push({ command: "addinitial", payload: { src: { data }, tgt: endOf(tgt) } });
  return edits;
}

/** A name that no node has: the component's own, with a number if it must be. */
export function freeName(component: string, graph: Graph): string {
  const short = component.split("/").at(-1) ?? component;
  const base = `${short.charAt(0).toLowerCase()}${short.slice(1)}`;
  let name = base;
  for (let number = 2; graph.nodes[name]; number++) name = `${base}${number}`;
  return name;
}

/**
 * The edits that make one graph of another, as text has it: nodes keep their places, and what is the same is not touched.
 */
export function differences(from: Graph, to: Graph): Edit[] {
  const edits: Edit[] = [];
  const replaced = new Set(
    Object.keys(from.nodes).filter((id) => to.nodes[id]?.component !== from.nodes[id]?.component),
  );
  const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  for (const { key, src, tgt } of Object.values(from.edges)) {
    if (!to.edges[key] && !replaced.has(src.node) && !replaced.has(tgt.node)) {
      edits.push({ command: "removeedge", payload: { src, tgt } });
    }
  }
  for (const [key, { data, tgt }] of Object.entries(from.initials)) {
    const next = to.initials[key];
    if ((!next || !isSame(next.data, data)) && !replaced.has(tgt.node)) {
      edits.push({ command: "removeinitial", payload: { tgt } });
    }
  }
  for (const [side, remove] of [
    ["inports", "removeinport"],
    ["outports", "removeoutport"],
  ] as const) {
    for (const [name, port] of Object.entries(from[side])) {
      const next = to[side][name];
      const isGone = !next || next.node !== port.node || !samePort(next.port, port.port);
      if (isGone && !replaced.has(port.node)) edits.push({ command: remove, payload: { public: name } });
    }
  }
  for (const id of replaced) edits.push({ command: "removenode", payload: { id } });
  for (const { id, component, metadata } of Object.values(to.nodes)) {
    const before = from.nodes[id];
    if (before && !replaced.has(id)) continue;
    const { msgflo: _, ...kept } = before?.metadata ?? metadata;
    edits.push({ command: "addnode", payload: { id, component, metadata: kept } });
  }
  for (const { key, src, tgt } of Object.values(to.edges)) {
    if (!from.edges[key] || replaced.has(src.node) || replaced.has(tgt.node)) {
      edits.push({ command: "addedge", payload: { src, tgt } });
    }
  }
  for (const [key, { data, tgt }] of Object.entries(to.initials)) {
    const before = from.initials[key];
    if (!before || !isSame(before.data, data) || replaced.has(tgt.node)) {
      edits.push({ command: "addinitial", payload: { src: { data }, tgt } });
    }
  }
  for (const [side, add] of [
    ["inports", "addinport"],
    ["outports", "addoutport"],
  ] as const) {
    for (const [name, port] of Object.entries(to[side])) {
      const before = from[side][name];
      const isNew = !before || before.node !== port.node || !samePort(before.port, port.port);
      if (isNew || replaced.has(port.node)) {
        edits.push({ command: add, payload: { public: name, node: port.node, port: port.port } });
      }
    }
  }
  return edits;
}

// From the graph to what the canvas draws. What has not changed stays the same object, so that it is not drawn again.

import { Position, type Edge, type Node, type NodeHandle } from "@xyflow/react";

import type { Graph, GraphEdge } from "../protocol/graph";
import type { NodeStatus } from "../protocol/status";
import { componentOf } from "../protocol/store";
import type { Component, Metadata } from "../protocol/types";
import { BORDER, HANDLE, handleOf, middleOf, touchingOf, viewNode, type NodeView } from "./ports";

export type FlowNode = Node<NodeView, "participant">;
export type FlowEdge = Edge<EdgeView, "connection">;

export interface EdgeView {
  [key: string]: unknown;
  state: "pending" | "bound" | "failed" | "unknown";
  reason?: string | undefined;
  /** Messages a second, as the broker tells it. */
  rate?: number | undefined;
  isFaded: boolean;
}

let known = new Map<string, { text: string; view: NodeView }>();

/** Every node as it is drawn. */
export function viewNodes(
  graph: Graph,
  components: Record<string, Component>,
  namespace: string | undefined,
  statuses: Record<string, NodeStatus>,
  search: string,
): Record<string, NodeView> {
  const touching = touchingOf(graph);
  const views: Record<string, NodeView> = {};
  const next: typeof known = new Map();
  for (const node of Object.values(graph.nodes)) {
    const component = componentOf(node.component, components, namespace);
    const concerned = touching.get(node.id) ?? { ins: [], outs: [], initials: [] };
    const view = viewNode(node, component, statuses[node.id], concerned, !matches(node, search));
    const text = JSON.stringify(view);
    const before = known.get(node.id);
    const kept = before?.text === text ? before : { text, view };
    next.set(node.id, kept);
    views[node.id] = kept.view;
  }
  known = next;
  return views;
}

function matches({ id, component }: { id: string; component: string }, search: string): boolean {
  const wanted = search.trim().toLowerCase();
  return !wanted || id.toLowerCase().includes(wanted) || component.toLowerCase().includes(wanted);
}

/**
 * A node as it is drawn. Its size and where its handles lie follow from its ports, so nothing is measured: what the page
 * measures comes late, and is lost when the node changes meanwhile, with the edges that wait for it.
 */
export function flowNode(view: NodeView, position: { x: number; y: number }): FlowNode {
  const size = { width: view.width, height: view.height };
  return { id: view.id, type: "participant", position, data: view, ...size, measured: size, handles: handlesOf(view) };
}

function handlesOf({ inports, outports, width }: NodeView): NodeHandle[] {
  const size = { width: HANDLE, height: HANDLE };
  const y = (row: number) => BORDER + middleOf(row) - HANDLE / 2;
  return [
    ...inports.map(({ handle }, row) => ({
      id: handle,
      type: "target" as const,
      position: Position.Left,
      x: BORDER - HANDLE / 2,
      y: y(row),
      ...size,
    })),
    ...outports.map(({ handle }, row) => ({
      id: handle,
      type: "source" as const,
      position: Position.Right,
      x: width - BORDER - HANDLE / 2,
      y: y(row),
      ...size,
    })),
  ];
}

export function edgeState(metadata: Metadata): { state: EdgeView["state"]; reason?: string; rate?: number } {
  const told = metadata["msgflo"];
  if (!told || typeof told !== "object" || Array.isArray(told)) return { state: "unknown" };
  return told as { state: EdgeView["state"]; reason?: string; rate?: number };
}

/** The edges as they are drawn; those that have not changed are taken from `before`. */
export function flowEdges(graph: Graph, views: Record<string, NodeView>, before: FlowEdge[], selected?: string): FlowEdge[] {
  const old = new Map(before.map((edge) => [edge.id, edge]));
  return Object.values(graph.edges).flatMap((edge) => {
    const [source, target] = [views[edge.src.node], views[edge.tgt.node]];
    if (!source || !target) return [];
    const drawn = flowEdge(edge, source.isFaded && target.isFaded, edge.key === selected);
    const same = old.get(edge.key);
    return same && isEqual(same, drawn) ? [same] : [drawn];
  });
}

function flowEdge({ key, src, tgt, metadata }: GraphEdge, isFaded: boolean, selected: boolean): FlowEdge {
  const { state, reason, rate } = edgeState(metadata);
  const words = `${state === "unknown" ? "" : `, ${state}`}${rate ? `, ${rate} messages a second` : ""}`;
  return {
    id: key,
    type: "connection",
    source: src.node,
    sourceHandle: handleOf(src),
    target: tgt.node,
    targetHandle: handleOf(tgt),
    selected,
    ariaLabel: `${src.node} ${src.port} to ${tgt.node} ${tgt.port}${words}`,
    data: { state, reason, rate, isFaded },
  };
}

function isEqual(a: FlowEdge, b: FlowEdge): boolean {
  return (
    a.selected === b.selected &&
    a.source === b.source &&
    a.target === b.target &&
    a.sourceHandle === b.sourceHandle &&
    a.targetHandle === b.targetHandle &&
    JSON.stringify(a.data) === JSON.stringify(b.data)
  );
}

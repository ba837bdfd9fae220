// Where nodes lie that nobody has placed. The same graph gives the same picture in every browser. Pure.

import dagre from "@dagrejs/dagre";

import type { Graph } from "../protocol/graph";
import type { NodeView } from "./ports";

export interface Place {
  x: number;
  y: number;
}

const GRID = 12;
const snap = (value: number) => Math.round(value / GRID) * GRID;

/** A place for every node, from left to right as messages flow. */
export function layOut(graph: Graph, views: Record<string, NodeView>): Record<string, Place> {
  const drawn = new dagre.graphlib.Graph({ multigraph: true });
  drawn.setGraph({ rankdir: "LR", nodesep: 36, ranksep: 96, marginx: 24, marginy: 24 });
  drawn.setDefaultEdgeLabel(() => ({}));
  for (const { id, width, height } of Object.values(views)) drawn.setNode(id, { width, height });
  for (const { key, src, tgt } of Object.values(graph.edges)) {
    if (views[src.node] && views[tgt.node]) drawn.setEdge(src.node, tgt.node, {}, key);
  }
  dagre.layout(drawn);
  const places: Record<string, Place> = {};
  for (const { id, width, height } of Object.values(views)) {
    const { x, y } = drawn.node(id) as Place;
    // Dagre tells middles. The protocol wants whole numbers, and files of .fbp no negative ones.
    places[id] = { x: Math.max(0, snap(x - width / 2)), y: Math.max(0, snap(y - height / 2)) };
  }
  return places;
}

/** Where somebody has put a node. */
export function placed(metadata: Record<string, unknown>): Place | undefined {
  const { x, y } = metadata;
  return typeof x === "number" && typeof y === "number" ? { x, y } : undefined;
}

/** Places for all nodes: their own, else one from the layout, moved down until it is free. */
export function places(graph: Graph, views: Record<string, NodeView>): Record<string, Place> {
  const found: Record<string, Place> = {};
  const missing: NodeView[] = [];
  for (const view of Object.values(views)) {
    const own = placed(graph.nodes[view.id]?.metadata ?? {});
    if (own) found[view.id] = own;
    else missing.push(view);
  }
  if (missing.length === 0) return found;
  const laid = layOut(graph, views);
  if (missing.length === Object.keys(views).length) return laid;
  for (const view of missing) {
    const place = { ...(laid[view.id] ?? { x: 0, y: 0 }) };
    const isTaken = () =>
      Object.entries(found).some(([id, other]) => {
        const size = views[id];
        return (
          size !== undefined &&
          place.x < other.x + size.width + GRID &&
          other.x < place.x + view.width + GRID &&
          place.y < other.y + size.height + GRID &&
          other.y < place.y + view.height + GRID
        );
      });
    while (isTaken()) place.y += GRID * 2;
    found[view.id] = place;
  }
  return found;
}

// Where nodes lie that nobody has placed. The same graph gives the same picture in every browser. Pure.

import dagre from "@dagrejs/dagre";

import type { Graph } from "../protocol/graph";
import { layer } from "./layers";
import type { NodeView } from "./ports";

export interface Place {
  x: number;
  y: number;
}

const GRID = 12;
const snap = (value: number) => Math.round(value / GRID) * GRID;

/** Above this dagre takes too long for a picture that is to be there at once. */
const MANY = 80;

/** A place for every node, from left to right as messages flow. */
export function layOut(graph: Graph, views: Record<string, NodeView>): Record<string, Place> {
  const boxes = Object.values(views);
  const found = boxes.length > MANY ? inLayers(graph, boxes) : byDagre(graph, boxes);
  // The protocol wants whole numbers, and files of .fbp no negative ones.
  return Object.fromEntries(
    Object.entries(found).map(([id, { x, y }]) => [id, { x: Math.max(0, snap(x)), y: Math.max(0, snap(y)) }]),
  );
}

function inLayers(graph: Graph, boxes: NodeView[]): Record<string, Place> {
  return layer(
    boxes,
    Object.values(graph.edges).map(({ src, tgt }) => [src.node, tgt.node]),
  );
}

function byDagre(graph: Graph, boxes: NodeView[]): Record<string, Place> {
  const drawn = new dagre.graphlib.Graph({ multigraph: true });
  drawn.setGraph({ rankdir: "LR", nodesep: 36, ranksep: 96, marginx: 24, marginy: 24 });
  drawn.setDefaultEdgeLabel(() => ({}));
  for (const { id, width, height } of boxes) drawn.setNode(id, { width, height });
  for (const { key, src, tgt } of Object.values(graph.edges)) {
    if (drawn.hasNode(src.node) && drawn.hasNode(tgt.node)) drawn.setEdge(src.node, tgt.node, {}, key);
  }
  dagre.layout(drawn);
  // Dagre puts the middles of a column above one another; left edges in line are calmer.
  const lefts = new Map<number, number>();
  for (const { id, width } of boxes) {
    const { x } = drawn.node(id) as Place;
    lefts.set(x, Math.min(lefts.get(x) ?? Infinity, x - width / 2));
  }
  return Object.fromEntries(
    boxes.map(({ id, height }) => {
      const { x, y } = drawn.node(id) as Place;
      return [id, { x: lefts.get(x) ?? x, y: y - height / 2 }];
    }),
  );
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

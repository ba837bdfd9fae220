// A layout in layers for large graphs: not as handsome as dagre's, and a hundred times as fast. Pure.

export interface Box {
  id: string;
  width: number;
  height: number;
}

const BETWEEN_LAYERS = 96;
const BETWEEN_NODES = 36;
const SWEEPS = 6;

/** The top left corner of each box. An edge goes from left to right, unless it closes a circle. */
export function layer(boxes: Box[], edges: [string, string][]): Record<string, { x: number; y: number }> {
  const after = neighbours(boxes, edges);
  const before = neighbours(boxes, edges.map(([from, to]) => [to, from]));
  const ranks = rank(boxes, after);
  const layers: Box[][] = [];
  for (const box of boxes) (layers[ranks.get(box.id) ?? 0] ??= []).push(box);

  // Each node goes to the middle of those that it is connected with, forwards and backwards in turn.
  const middles = new Map<string, number>();
  const stack = (boxes: Box[]) => {
    let y = -boxes.reduce((sum, { height }) => sum + height + BETWEEN_NODES, -BETWEEN_NODES) / 2;
    for (const { id, height } of boxes) {
      middles.set(id, y + height / 2);
      y += height + BETWEEN_NODES;
    }
  };
  layers.forEach(stack);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const isForward = sweep % 2 === 0;
    for (const boxes of isForward ? layers : [...layers].reverse()) {
      const wish = ({ id }: Box) => {
        const others = ((isForward ? before : after).get(id) ?? []).map((other) => middles.get(other) ?? 0);
        return others.length > 0 ? others.reduce((sum, y) => sum + y, 0) / others.length : (middles.get(id) ?? 0);
      };
      const wishes = new Map(boxes.map((box) => [box, wish(box)]));
      boxes.sort((a, b) => (wishes.get(a) ?? 0) - (wishes.get(b) ?? 0));
      stack(boxes);
    }
  }

  const top = Math.min(...boxes.map(({ id, height }) => (middles.get(id) ?? 0) - height / 2));
  const places: Record<string, { x: number; y: number }> = {};
  let x = 0;
  for (const boxes of layers) {
    for (const { id, height } of boxes) places[id] = { x, y: (middles.get(id) ?? 0) - height / 2 - top };
    x += Math.max(...boxes.map(({ width }) => width)) + BETWEEN_LAYERS;
  }
  return places;
}

function neighbours(boxes: Box[], edges: [string, string][]): Map<string, string[]> {
  const found = new Map<string, string[]>(boxes.map(({ id }) => [id, []]));
  for (const [from, to] of edges) if (from !== to && found.has(to)) found.get(from)?.push(to);
  return found;
}

/** How many nodes there are at most on a way to each, without the edges that close circles. */
function rank(boxes: Box[], after: Map<string, string[]>): Map<string, number> {
  // Depth first, without recursion, since a chain may be long: what is on the way is open, and an edge to it closes a circle.
  const state = new Map<string, "open" | "done">();
  const forward = new Map<string, string[]>();
  const order: string[] = [];
  for (const { id: root } of boxes) {
    const way: { id: string; next: number }[] = state.has(root) ? [] : [{ id: root, next: 0 }];
    if (way.length > 0) state.set(root, "open");
    for (let at = way.at(-1); at; at = way.at(-1)) {
      const to = (after.get(at.id) ?? [])[at.next++];
      if (to === undefined) {
        state.set(at.id, "done");
        order.push(at.id);
        way.pop();
        continue;
      }
      if (state.get(to) === "open") continue;
      forward.set(at.id, [...(forward.get(at.id) ?? []), to]);
      if (!state.has(to)) {
        state.set(to, "open");
        way.push({ id: to, next: 0 });
      }
    }
  }
  const ranks = new Map<string, number>();
  for (const id of order.reverse()) {
    const own = ranks.get(id) ?? 0;
    ranks.set(id, own);
    for (const to of forward.get(id) ?? []) ranks.set(to, Math.max(ranks.get(to) ?? 0, own + 1));
  }
  return ranks;
}

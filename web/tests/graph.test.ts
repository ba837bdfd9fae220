// The graph in the page: signals, what takes an edit back, and text as edits.

import assert from "node:assert/strict";
import { test } from "node:test";

import { differences, freeName, packetEdits } from "../src/network/edits";
import { layer } from "../src/network/layers";
import { apply, EMPTY, fromJson, toJson, type Graph, type GraphJson } from "../src/protocol/graph";
import { invert } from "../src/protocol/invert";
import type { Edit } from "../src/protocol/types";

const JSON_GRAPH: GraphJson = {
  processes: {
    web: { component: "HttpApi", metadata: { x: 0, y: 12, msgflo: { state: "up" } } },
    resize: { component: "ResizeImage" },
    store: { component: "StoreResult", metadata: { x: 400, y: 0 } },
  },
  connections: [
    { src: { process: "web", port: "OUT" }, tgt: { process: "resize", port: "IN" }, metadata: { route: 3 } },
    { src: { process: "resize", port: "OUT", index: 1 }, tgt: { process: "store", port: "IN" } },
    { data: { side: 400 }, tgt: { process: "resize", port: "OPTIONS" } },
  ],
  inports: { jobs: { process: "resize", port: "IN" } },
  outports: {},
  groups: [{ name: "work", nodes: ["resize", "store"] }],
};

const graph = fromJson(JSON_GRAPH);
const after = (from: Graph, edits: Edit[]) => apply(from, edits.map((edit) => ({ protocol: "graph" as const, ...edit })));

/** As the server does it: what hangs on a node goes before the node. */
function told(from: Graph, edits: Edit[]): Graph {
  return edits.reduce((now, edit) => {
    const id = edit.payload["id"] as string;
    const hanging =
      edit.command === "removenode"
        ? Object.values(now.edges)
            .filter(({ src, tgt }) => src.node === id || tgt.node === id)
            .map(({ src, tgt }) => ({ command: "removeedge", payload: { src, tgt } }))
        : [];
    return after(now, [...hanging, edit]);
  }, from);
}

/** What matters of a graph: not the order of its parts, nor what is observed. */
function essence(of: Graph): unknown {
  const json = toJson(of, { positions: true });
  const sorted = (entries: object) => Object.fromEntries(Object.entries(entries).sort());
  const lines = (json.connections ?? []).map((connection) => JSON.stringify(connection)).sort();
  return { ...json, processes: sorted(json.processes ?? {}), inports: sorted(json.inports ?? {}), connections: lines };
}

test("what is read is what is written, without what is observed", () => {
  const json = toJson(graph, { positions: true });
  assert.deepEqual(json.processes?.["web"], { component: "HttpApi", metadata: { x: 0, y: 12 } });
  assert.deepEqual(essence(fromJson(json)), essence(graph));
});

test("each edit is taken back by its inverse", () => {
  const end = (node: string, port: string) => ({ node, port });
  const edits: Edit[] = [
    { command: "addnode", payload: { id: "log", component: "Log", metadata: { x: 1 } } },
    { command: "removenode", payload: { id: "resize" } },
    { command: "removenode", payload: { id: "web" } },
    { command: "renamenode", payload: { from: "resize", to: "scale" } },
    { command: "addedge", payload: { src: end("web", "OUT"), tgt: end("store", "IN") } },
    { command: "removeedge", payload: { src: end("web", "out"), tgt: end("resize", "in") } },
    { command: "addinitial", payload: { src: { data: 7 }, tgt: end("web", "PORT") } },
    { command: "removeinitial", payload: { tgt: end("resize", "options") } },
    { command: "addgroup", payload: { name: "new", nodes: ["web"], metadata: {} } },
    { command: "removegroup", payload: { name: "work" } },
    { command: "renamegroup", payload: { from: "work", to: "labour" } },
  ];
  for (const edit of edits) {
    const changed = told(graph, [edit]);
    assert.notDeepEqual(essence(changed), essence(graph), edit.command);
    const back = told(changed, invert(graph, edit));
    const sortGroups = (of: Graph) => ({ ...of, groups: of.groups.map((it) => ({ ...it, nodes: [...it.nodes].sort() })) });
    assert.deepEqual(essence(sortGroups(back)), essence(sortGroups(graph)), edit.command);
  }
});

test("metadata is merged by the server, and its inverse takes new keys away", () => {
  const [back] = invert(graph, { command: "changenode", payload: { id: "web", metadata: { x: 9, colour: "red" } } });
  assert.deepEqual(back?.payload["metadata"], { x: 0, colour: null });
});

test("what is observed stays when an edit's answer does not tell it", () => {
  const moved = after(graph, [{ command: "changenode", payload: { id: "web", metadata: { x: 50 } } }]);
  assert.deepEqual(moved.nodes["web"]?.metadata, { x: 50, msgflo: { state: "up" } });
});

test("what has not changed stays the same object, so that it is not drawn again", () => {
  const moved = after(graph, [{ command: "changenode", payload: { id: "web", metadata: { x: 50 } } }]);
  assert.equal(moved.edges, graph.edges);
  assert.equal(moved.nodes["store"], graph.nodes["store"]);
  assert.equal(after(graph, [{ command: "unheardof", payload: {} }]), graph);
});

test("text becomes the edits of what differs, and no others", () => {
  assert.deepEqual(differences(graph, graph), []);
  const to = fromJson({
    processes: { web: { component: "HttpApi" }, resize: { component: "Other" }, log: { component: "Log" } },
    connections: [
      { src: { process: "web", port: "out" }, tgt: { process: "resize", port: "in" } },
      { src: { process: "resize", port: "OUT" }, tgt: { process: "log", port: "IN" } },
      { data: "x", tgt: { process: "web", port: "PORT" } },
    ],
    inports: { jobs: { process: "resize", port: "in" } },
  });
  const edits = differences(graph, to);
  const result = told(graph, edits);
  assert.deepEqual(Object.keys(result.nodes).sort(), ["log", "resize", "web"]);
  assert.equal(result.nodes["resize"]?.component, "Other");
  assert.deepEqual(Object.keys(result.edges).sort(), Object.keys(to.edges).sort());
  assert.deepEqual(Object.values(result.initials).map(({ data }) => data), ["x"]);
  assert.equal(result.inports["jobs"]?.node, "resize");
  assert.deepEqual(differences(result, to), []);
  assert.deepEqual(result.nodes["web"]?.metadata["x"], 0, "who stays lies where it lay");
});

test("a packet is replaced, and a node gets a free name", () => {
  const tgt = { node: "resize", port: "options" };
  assert.deepEqual(packetEdits(graph, tgt, 1).map(({ command }) => command), ["removeinitial", "addinitial"]);
  assert.deepEqual(packetEdits(EMPTY, tgt, 1).map(({ command }) => command), ["addinitial"]);
  const crowded = { ...graph, nodes: { resizeImage: graph.nodes["web"]!, resizeImage2: graph.nodes["web"]! } };
  assert.equal(freeName("imageresize/ResizeImage", crowded), "resizeImage3");
});

test("no boxes of a layout in layers lie on one another, whatever circles there are", () => {
  const boxes = Array.from({ length: 60 }, (_, n) => ({ id: `n${n}`, width: 200 + (n % 3) * 40, height: 80 + (n % 5) * 26 }));
  const edges = boxes.flatMap(({ id }, n): [string, string][] => [
    [id, `n${(n * 7 + 1) % 60}`],
    [id, `n${(n * 3 + 5) % 60}`],
    [id, id],
  ]);
  const places = layer(boxes, edges);
  for (const [index, a] of boxes.entries()) {
    for (const b of boxes.slice(index + 1)) {
      const [p, q] = [places[a.id]!, places[b.id]!];
      const isApart = p.x + a.width <= q.x || q.x + b.width <= p.x || p.y + a.height <= q.y || q.y + b.height <= p.y;
      assert(isApart, `${a.id} and ${b.id}`);
    }
  }
  const chain = layer(boxes.slice(0, 3), [["n0", "n1"], ["n1", "n2"]]);
  assert(chain["n0"]!.x < chain["n1"]!.x && chain["n1"]!.x < chain["n2"]!.x, "messages flow from left to right");
});

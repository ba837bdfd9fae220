// What takes an edit back. Pure.

import type { Graph } from "./graph";
import { edgeKey, endKey, type Edit, type End, type Metadata } from "./types";

const own = ({ msgflo: _, ...metadata }: Metadata): Metadata => metadata;

/** The edits that lead from the graph after `edit` back to `graph`. Empty: there is nothing to take back. */
export function invert(graph: Graph, { command, payload }: Edit): Edit[] {
  // Edits are made here, by the names of the protocol.
  const it = payload as {
    id: string;
    from: string;
    to: string;
    name: string;
    public: string;
    src: End;
    tgt: End;
    metadata?: Metadata;
  };
  switch (command) {
    case "addnode":
      return [{ command: "removenode", payload: { id: it.id } }];
    case "removenode":
      return restoreNode(graph, it.id);
    case "renamenode":
      return [{ command: "renamenode", payload: { from: it.to, to: it.from } }];
    case "changenode": {
      const before = graph.nodes[it.id]?.metadata;
      if (!before) return [];
      // A key that was not there is taken away by null.
      const metadata = Object.fromEntries(Object.keys(it.metadata ?? {}).map((key) => [key, before[key] ?? null]));
      return [{ command, payload: { id: it.id, metadata } }];
    }
    case "addedge":
      return graph.edges[edgeKey(it.src, it.tgt)]
        ? []
        : [{ command: "removeedge", payload: { src: it.src, tgt: it.tgt } }];
    case "removeedge": {
      const edge = graph.edges[edgeKey(it.src, it.tgt)];
      return edge ? [{ command: "addedge", payload: { src: edge.src, tgt: edge.tgt, metadata: own(edge.metadata) } }] : [];
    }
    case "addinitial": {
      const before = graph.initials[endKey(it.tgt)];
      const remove = { command: "removeinitial", payload: { tgt: it.tgt } };
      return before ? [remove, { command, payload: { src: { data: before.data }, tgt: before.tgt } }] : [remove];
    }
    case "removeinitial": {
      const before = graph.initials[endKey(it.tgt)];
      return before ? [{ command: "addinitial", payload: { src: { data: before.data }, tgt: before.tgt } }] : [];
    }
    case "addgroup":
      return [{ command: "removegroup", payload: { name: it.name } }];
    case "removegroup": {
      const group = graph.groups.find(({ name }) => name === it.name);
      return group ? [{ command: "addgroup", payload: { ...group, metadata: own(group.metadata) } }] : [];
    }
    case "renamegroup":
      return [{ command, payload: { from: it.to, to: it.from } }];
    default:
      return [];
  }
}

function restoreNode(graph: Graph, id: string): Edit[] {
  const node = graph.nodes[id];
  if (!node) return [];
  const edits: Edit[] = [
    { command: "addnode", payload: { id, component: node.component, metadata: own(node.metadata) } },
  ];
  for (const { src, tgt, metadata } of Object.values(graph.edges)) {
    if (src.node === id || tgt.node === id) {
      edits.push({ command: "addedge", payload: { src, tgt, metadata: own(metadata) } });
    }
  }
  for (const { data, tgt } of Object.values(graph.initials)) {
    if (tgt.node === id) edits.push({ command: "addinitial", payload: { src: { data }, tgt } });
  }
  for (const [side, command] of [
    ["inports", "addinport"],
    ["outports", "addoutport"],
  ] as const) {
    for (const [name, port] of Object.entries(graph[side])) {
      if (port.node === id) {
        edits.push({ command, payload: { public: name, node: id, port: port.port, metadata: port.metadata } });
      }
    }
  }
  for (const { name, nodes, metadata } of graph.groups) {
    if (nodes.includes(id)) {
      edits.push({ command: "removegroup", payload: { name } });
      edits.push({ command: "addgroup", payload: { name, nodes, metadata: own(metadata) } });
    }
  }
  return edits;
}

import "@xyflow/react/dist/base.css";

import {
  Background,
  BackgroundVariant,
  Controls,
  MiniMap,
  ReactFlow,
  useNodesState,
  useReactFlow,
  type Connection,
  type NodeChange,
  type OnSelectionChangeFunc,
} from "@xyflow/react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import { useStatus } from "../protocol/status";
import { useMay, useNetwork } from "../protocol/store";
import { connect, move, removeEdges, removeNodes } from "./edits";
import { EdgeLine } from "./EdgeLine";
import { flowEdges, flowNode, viewNodes, type FlowEdge, type FlowNode } from "./flow";
import { GroupFrames } from "./GroupFrames";
import { places, type Place } from "./layout";
import { NodeCard } from "./NodeCard";
import { select, useView } from "./selection";

const NODES = { participant: NodeCard };
const EDGES = { connection: EdgeLine };
const FIT = { padding: 0.12, maxZoom: 1.1 };
/** How long after the last key or drag a new place is told. */
const SAVE_MS = 250;
/** Up to here everything is seen anyway, and a map would only cover some of it. */
const FEW = 8;
/** Above this, what lies outside the window is not drawn. */
const MANY = 150;

export function Canvas() {
  const { graph, components, runtime } = useNetwork();
  const statuses = useStatus((state) => state.nodes);
  const search = useView((state) => state.search);
  const selected = useView((state) => state.selected);
  const mayEdit = useMay("protocol:graph");

  const views = useMemo(
    () => viewNodes(graph, components, runtime?.namespace, statuses, search),
    [graph, components, runtime, statuses, search],
  );
  // Where a node lies depends on sizes and connections, not on how it fares.
  const shape = Object.values(views)
    .map(({ id, width, height }) => `${id}:${width}x${height}`)
    .join();
  const ends = Object.keys(graph.edges).join();
  const positions = Object.values(graph.nodes)
    .map(({ metadata }) => `${String(metadata["x"])},${String(metadata["y"])}`)
    .join();
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const where = useMemo(() => places(graph, views), [shape, ends, positions]);

  const [nodes, setNodes, onNodesChange] = useNodesState<FlowNode>([]);
  const [edges, setEdges] = useState<FlowEdge[]>([]);
  const chosen = selected.kind === "edge" ? selected.key : undefined;

  useEffect(() => {
    setNodes((before) => {
      const old = new Map(before.map((node) => [node.id, node]));
      return Object.values(views).map((view) => {
        const node = old.get(view.id);
        const place = where[view.id] ?? { x: 0, y: 0 };
        if (!node) {
          const isSelected = selected.kind === "node" && selected.id === view.id;
          return { ...flowNode(view, place), selected: isSelected };
        }
        const position = node.dragging || pending.current[view.id] ? node.position : place;
        const isSame = node.data === view && node.position.x === position.x && node.position.y === position.y;
        return isSame ? node : { ...node, ...flowNode(view, position) };
      });
    });
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [views, where, setNodes]);

  useEffect(() => {
    setEdges((before) => flowEdges(graph, views, before, chosen));
  }, [graph, views, chosen]);

  // New places, to be told together.
  const pending = useRef<Record<string, Place>>({});
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const changeNodes = useCallback(
    (changes: NodeChange<FlowNode>[]) => {
      onNodesChange(changes);
      for (const change of changes) {
        if (change.type !== "position" || !change.position || change.dragging === undefined) continue;
        const place = { x: Math.max(0, Math.round(change.position.x)), y: Math.max(0, Math.round(change.position.y)) };
        const before = useNetwork.getState().graph.nodes[change.id]?.metadata;
        if (before && (before["x"] !== place.x || before["y"] !== place.y)) pending.current[change.id] = place;
        clearTimeout(timer.current);
        if (change.dragging) continue;
        timer.current = setTimeout(() => {
          const moved = pending.current;
          pending.current = {};
          if (Object.keys(moved).length > 0) void move(moved);
        }, SAVE_MS);
      }
    },
    [onNodesChange],
  );

  const onSelectionChange = useCallback<OnSelectionChangeFunc<FlowNode, FlowEdge>>(({ nodes: picked }) => {
    const now = useView.getState().selected;
    if (picked.length === 1 && picked[0]) select({ kind: "node", id: picked[0].id });
    else if (picked.length > 1) select({ kind: "nodes", ids: picked.map(({ id }) => id) });
    else if (now.kind === "node" || now.kind === "nodes") select({ kind: "nothing" });
  }, []);

  const onConnect = useCallback(({ source, sourceHandle, target, targetHandle }: Connection) => {
    const now = viewsRef.current;
    const src = now[source]?.outports.find(({ handle }) => handle === sourceHandle);
    const tgt = now[target]?.inports.find(({ handle }) => handle === targetHandle);
    if (src && tgt) void connect({ node: source, ...portOf(src.name) }, { node: target, ...portOf(tgt.name) });
  }, []);
  const viewsRef = useRef(views);
  viewsRef.current = views;

  // Until somebody has moved it, the picture fits the window as it is.
  const isMoved = useRef(false);
  const frame = useRef<HTMLDivElement>(null);
  const flow = useReactFlow();
  useEffect(() => {
    const box = frame.current;
    if (!box) return;
    const observer = new ResizeObserver(() => {
      if (!isMoved.current) requestAnimationFrame(() => void flow.fitView(FIT));
    });
    observer.observe(box);
    return () => observer.disconnect();
  }, [flow]);

  const isMany = nodes.length > MANY;
  return (
    <ReactFlow<FlowNode, FlowEdge>
      nodes={nodes}
      edges={edges}
      nodeTypes={NODES}
      edgeTypes={EDGES}
      onNodesChange={changeNodes}
      onSelectionChange={onSelectionChange}
      onEdgeClick={(_, { id }) => select({ kind: "edge", key: id })}
      onEdgesChange={(changes) => {
        // By keyboard an edge is selected, too.
        for (const change of changes) {
          if (change.type === "select" && change.selected) select({ kind: "edge", key: change.id });
        }
      }}
      onPaneClick={() => select({ kind: "nothing" })}
      onConnect={onConnect}
      // What is removed here is removed by the server, which tells it to us as to everybody.
      onBeforeDelete={async ({ nodes: gone, edges: cut }) => {
        if (!mayEdit) return false;
        const { graph: now } = useNetwork.getState();
        if (gone.length > 0) await removeNodes(gone.map(({ id }) => id));
        else await removeEdges(cut.flatMap(({ id }) => now.edges[id] ?? []));
        select({ kind: "nothing" });
        return false;
      }}
      deleteKeyCode={mayEdit ? ["Backspace", "Delete"] : null}
      nodesDraggable={mayEdit}
      nodesConnectable={mayEdit}
      edgesReconnectable={false}
      connectionRadius={28}
      onlyRenderVisibleElements={isMany}
      minZoom={0.1}
      maxZoom={2}
      fitView
      fitViewOptions={FIT}
      ref={frame}
      onMoveStart={(event) => {
        // Without an event it was not a person.
        if (event) isMoved.current = true;
      }}
      proOptions={{ hideAttribution: true }}
      aria-label="The network"
    >
      <Background variant={BackgroundVariant.Dots} gap={24} size={1.5} />
      <GroupFrames nodes={nodes} />
      {nodes.length > FEW && <MiniMap pannable zoomable ariaLabel="Map of the network" nodeClassName={miniClass} />}
      <Controls showInteractive={false} />
    </ReactFlow>
  );
}

function miniClass({ data }: FlowNode): string {
  return data.observed.state;
}

/** A port's name may carry the index of an array port. */
function portOf(name: string): { port: string; index?: number } {
  const found = /^(.*)\[(\d+)\]$/.exec(name);
  return found?.[1] ? { port: found[1], index: Number(found[2]) } : { port: name };
}

import "./network.css";
import "./panels.css";

import { ReactFlowProvider } from "@xyflow/react";
import { useEffect } from "react";

import { useRoute } from "../app/route";
import { Button } from "../design/Button";
import { EmptyState, ErrorState, Loading } from "../design/Notice";
import { usePolledStatus } from "../protocol/status";
import { ask, complain, redo, undo, useMay, useNetwork } from "../protocol/store";
import { AddNode } from "./AddNode";
import { Canvas } from "./Canvas";
import { EdgeInspector } from "./EdgeInspector";
import { GroupInspector } from "./GroupInspector";
import { NodeInspector } from "./NodeInspector";
import { select, useView } from "./selection";
import { TextPane } from "./TextPane";
import { Toolbar } from "./Toolbar";

export default function NetworkView() {
  usePolledStatus();
  useShortcuts();
  useLinkedNode();
  const { isLoaded, refusal, graphId, link, runtime } = useNetwork();
  const isTextOpen = useView((state) => state.isTextOpen);
  const isSearching = useView((state) => state.search.trim() !== "");
  const isEmpty = useNetwork((state) => Object.keys(state.graph.nodes).length === 0);
  const mayEdit = useMay("protocol:graph");
  const maySee = useMay("protocol:graph", "graph:readonly");

  const isDenied = isLoaded ? !maySee : runtime?.capabilities.length === 0;
  if (isDenied || refusal) {
    return (
      <ErrorState title="You may not see the network" icon="lock">
        {refusal ?? "Sign in with a secret that has the permission to read the graph."}
      </ErrorState>
    );
  }
  if (!isLoaded) {
    return <Loading>{link === "lost" ? "Waiting for the server to come back…" : "Reading the network…"}</Loading>;
  }
  return (
    <ReactFlowProvider>
      <div className="network">
        <h1 className="unseen">Network</h1>
        <Toolbar />
        <div className="network-work">
          {isTextOpen && <TextPane />}
          <div className={isSearching ? "network-canvas searching" : "network-canvas"}>
            {graphId === undefined ? (
              <EmptyState
                title="There is no graph yet"
                icon="network"
                actions={
                  mayEdit && (
                    <Button look="primary" onClick={makeGraph}>
                      Start a graph
                    </Button>
                  )
                }
              >
                msgflo runs without one. Start it here, or give msgflo run a file.
              </EmptyState>
            ) : (
              <>
                <Canvas />
                {isEmpty && (
                  <div className="network-empty">
                    <EmptyState
                      title="The network is empty"
                      icon="network"
                      actions={
                        mayEdit && (
                          <Button look="primary" icon="plus" onClick={() => useView.setState({ isAdding: true })}>
                            Add a node
                          </Button>
                        )
                      }
                    >
                      Add nodes from the library, or start a participant anywhere: it announces itself.
                    </EmptyState>
                  </div>
                )}
              </>
            )}
          </div>
          <Side />
        </div>
      </div>
    </ReactFlowProvider>
  );
}

function Side() {
  const { selected, isAdding } = useView();
  const graph = useNetwork((state) => state.graph);
  if (isAdding) return <AddNode />;
  switch (selected.kind) {
    case "node": {
      const node = graph.nodes[selected.id];
      return node ? <NodeInspector node={node} /> : null;
    }
    case "edge": {
      const edge = graph.edges[selected.key];
      return edge ? <EdgeInspector key={edge.key} edge={edge} /> : null;
    }
    case "group": {
      const group = graph.groups.find(({ name }) => name === selected.name);
      return group ? <GroupInspector key={group.name} group={group} /> : null;
    }
    default:
      return null;
  }
}

function makeGraph() {
  const { runtime } = useNetwork.getState();
  const id = `default/${runtime?.label ?? "main"}`;
  ask("graph", "clear", { id, name: runtime?.label ?? "main", main: true }).catch(complain);
}

/** `#/network/NODE` shows a node. */
function useLinkedNode() {
  const { rest } = useRoute();
  const id = rest[0];
  useEffect(() => {
    if (id) select({ kind: "node", id });
  }, [id]);
}

function useShortcuts() {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
      if (isTyping) return;
      const isCommand = event.ctrlKey || event.metaKey;
      if (isCommand && event.key.toLowerCase() === "z") {
        event.preventDefault();
        void (event.shiftKey ? redo() : undo());
      } else if (isCommand && event.key.toLowerCase() === "y") {
        event.preventDefault();
        void redo();
      } else if (event.key === "/" && !isCommand) {
        event.preventDefault();
        document.querySelector<HTMLInputElement>(".network-toolbar input[type=search]")?.focus();
      } else if (event.key === "Escape") {
        select({ kind: "nothing" });
      }
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
}

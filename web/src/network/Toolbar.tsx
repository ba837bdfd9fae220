import { useReactFlow } from "@xyflow/react";
import { useState } from "react";

import { Badge } from "../design/Badge";
import { Button } from "../design/Button";
import { toast } from "../design/Toasts";
import { SearchField } from "../design/SearchField";
import { useStatus } from "../protocol/status";
import { ask, complain, edit, redo, startNetwork, stopNetwork, undo, useMay, useNetwork } from "../protocol/store";
import { move } from "./edits";
import { viewNodes } from "./flow";
import { layOut } from "./layout";
import { useView } from "./selection";

export function Toolbar() {
  const flow = useReactFlow();
  const { graphId, isStarted } = useNetwork();
  const canUndo = useNetwork((state) => state.undo.length > 0);
  const canRedo = useNetwork((state) => state.redo.length > 0);
  const { search, isTextOpen, isAdding, selected } = useView();
  const mayEdit = useMay("protocol:graph");
  const mayControl = useMay("network:control");
  const maySave = useMay("network:persist");
  const hasNodes = useNetwork((state) => Object.keys(state.graph.nodes).length > 0);
  const [isArmed, setArmed] = useState(false);

  const tidy = () => {
    const { graph, components, runtime } = useNetwork.getState();
    const views = viewNodes(graph, components, runtime?.namespace, useStatus.getState().nodes, "");
    void move(layOut(graph, views)).then(() => setTimeout(() => void flow.fitView({ padding: 0.15, maxZoom: 1.1, duration: 200 }), 60));
  };
  const find = () => {
    const { graph } = useNetwork.getState();
    const wanted = search.trim().toLowerCase();
    const ids = Object.values(graph.nodes)
      .filter(({ id, component }) => `${id} ${component}`.toLowerCase().includes(wanted))
      .map(({ id }) => ({ id }));
    if (wanted && ids.length > 0) void flow.fitView({ nodes: ids, maxZoom: 1.2, padding: 0.3, duration: 200 });
  };
  const group = () => {
    if (selected.kind !== "nodes") return;
    const { groups } = useNetwork.getState().graph;
    let number = groups.length + 1;
    while (groups.some(({ name }) => name === `Group ${number}`)) number += 1;
    void edit([{ command: "addgroup", payload: { name: `Group ${number}`, nodes: selected.ids } }]);
  };

  return (
    <div className="network-toolbar" role="toolbar" aria-label="Network">
      {mayEdit && (
        <>
          <Button
            look={isAdding ? "plain" : "primary"}
            icon="plus"
            aria-pressed={isAdding}
            onClick={() => useView.setState({ isAdding: !isAdding })}
          >
            Add node
          </Button>
          <span className="network-toolbar-group">
            <Button look="quiet" icon="undo" label="Undo (Ctrl+Z)" disabled={!canUndo} onClick={() => void undo()} />
            <Button look="quiet" icon="redo" label="Redo (Ctrl+Shift+Z)" disabled={!canRedo} onClick={() => void redo()} />
            <Button look="quiet" icon="layout" label="Tidy up the layout" disabled={!hasNodes} onClick={tidy} />
            <Button
              look="quiet"
              icon="group"
              label="Group the selected nodes (Ctrl+click selects several)"
              disabled={selected.kind !== "nodes"}
              onClick={group}
            />
          </span>
        </>
      )}
      <SearchField
        label="Search nodes"
        value={search}
        onChange={(search) => useView.setState({ search })}
        onKeyDown={(event) => event.key === "Enter" && find()}
      />
      <span className="network-toolbar-space" />
      {graphId !== undefined && (
        <Badge tone={isStarted ? "good" : "idle"}>{isStarted ? "running" : "stopped"}</Badge>
      )}
      {mayControl && graphId !== undefined && !isStarted && (
        <Button icon="play" onClick={() => void startNetwork()}>
          Start
        </Button>
      )}
      {mayControl && isStarted && (
        <Button
          look={isArmed ? "danger" : "plain"}
          icon="stop"
          title="Ends its processes; messages wait in their queues"
          onBlur={() => setArmed(false)}
          onClick={() => {
            if (isArmed) void stopNetwork();
            setArmed(!isArmed);
          }}
        >
          {isArmed ? "Really stop" : "Stop"}
        </Button>
      )}
      {maySave && mayEdit && (
        <Button
          title="Write the graph to its file"
          onClick={() =>
            void ask("network", "persist", {})
              .then(() => toast("The graph is saved."))
              .catch(complain)
          }
        >
          Save
        </Button>
      )}
      <Button
        icon="text"
        aria-pressed={isTextOpen}
        onClick={() => useView.setState({ isTextOpen: !isTextOpen })}
      >
        Text
      </Button>
    </div>
  );
}

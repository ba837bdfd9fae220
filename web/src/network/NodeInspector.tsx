import { useState } from "react";

import { link } from "../app/route";
import { Badge } from "../design/Badge";
import { Button } from "../design/Button";
import { Field } from "../design/Field";
import { Icon } from "../design/Icon";
import type { GraphNode } from "../protocol/graph";
import { useStatus, type ProcessStatus } from "../protocol/status";
import { componentOf, useMay, useNetwork } from "../protocol/store";
import { samePort } from "../protocol/types";
import { connect, removeNodes, renameNode } from "./edits";
import { iconOf } from "./icons";
import { LastExit } from "./LastExit";
import { PacketField } from "./PacketField";
import { touchingOf, viewNode, type NodeView } from "./ports";
import { select } from "./selection";
import { nodeState, waitingWords } from "./state";

export function NodeInspector({ node }: { node: GraphNode }) {
  const { graph, components, runtime } = useNetwork();
  const status = useStatus((state) => state.nodes[node.id]);
  const mayEdit = useMay("protocol:graph");
  const component = componentOf(node.component, components, runtime?.namespace);
  const touching = touchingOf(graph).get(node.id) ?? { ins: [], outs: [], initials: [] };
  const view = viewNode(node, component, status, touching, false);
  const state = nodeState(view.observed);
  const full = component?.name ?? node.component;

  return (
    <aside className="network-side" aria-label={`Node ${node.id}`}>
      <header className="side-head">
        <span className="network-node-icon">
          <Icon name={iconOf(view.icon)} />
        </span>
        <h2 className="unseen">Node {node.id}</h2>
        <Name key={node.id} id={node.id} mayEdit={mayEdit} />
        <Button look="quiet" small icon="close" label="Close" onClick={() => select({ kind: "nothing" })} />
      </header>
      <div className="network-side-scroll">
        <dl className="facts">
          <dt>Component</dt>
          <dd>
            {view.kind === "binding" ? full : <a href={link("components", [full])}>{full}</a>}
          </dd>
          {view.kind !== "binding" && (
            <>
              <dt>State</dt>
              <dd>
                <Badge tone={state.tone}>{state.word}</Badge>
                {view.kind === "foreign" && view.observed.state === "up" && <Badge tone="info">run elsewhere</Badge>}
              </dd>
            </>
          )}
          {status?.process && <ProcessFacts process={status.process} />}
          {status?.heard_seconds_ago != null && (
            <>
              <dt>Last heard</dt>
              <dd className="number">{status.heard_seconds_ago} s ago</dd>
            </>
          )}
        </dl>
        <LastExit process={status?.process} />
        {view.observed.reason && view.observed.state !== "failed" && <p className={`network-reason ${state.tone}`}>{view.observed.reason}</p>}
        {component?.description && <p className="soft">{component.description}</p>}

        {view.inports.length > 0 && <h3>Inports</h3>}
        <ul className="network-port-list">
          {view.inports.map((port) => {
            const tgt = touching.initials.find((it) => samePort(it.tgt.port, port.name))?.tgt ?? {
              node: node.id,
              port: port.name,
            };
            const queue = status?.queues.find((it) => samePort(it.port, port.name));
            return (
              <li key={port.handle}>
                <PortHead port={port} />
                {queue?.ready !== undefined && (
                  <span className="network-port-facts number">
                    {waitingWords(queue.ready, queue.oldest_seconds)} · {queue.consumers ?? 0} taking
                  </span>
                )}
                {mayEdit && (!port.isConnected || port.initial) && (
                  <PacketField tgt={tgt} port={component?.inPorts.find(({ id }) => samePort(id, port.name))} />
                )}
              </li>
            );
          })}
        </ul>
        {view.outports.length > 0 && <h3>Outports</h3>}
        <ul className="network-port-list">
          {view.outports.map((port) => (
            <li key={port.handle}>
              <PortHead port={port} />
            </li>
          ))}
        </ul>
        {mayEdit && view.outports.length > 0 && <Connect key={node.id} node={node} view={view} />}
      </div>
      {mayEdit && (
        <footer className="side-foot">
          <Button
            look="danger"
            icon="trash"
            onClick={() => void removeNodes([node.id]).then(() => select({ kind: "nothing" }))}
          >
            Remove node
          </Button>
        </footer>
      )}
    </aside>
  );
}

function Name({ id, mayEdit }: { id: string; mayEdit: boolean }) {
  const [name, setName] = useState(id);
  const taken = useNetwork((state) => name !== id && state.graph.nodes[name] !== undefined);
  if (!mayEdit) return <strong className="network-name">{id}</strong>;
  const submit = () => {
    if (name.trim() && name !== id && !taken) {
      void renameNode(id, name.trim()).then((done) => (done ? select({ kind: "node", id: name.trim() }) : setName(id)));
    } else {
      setName(id);
    }
  };
  return (
    <input
      className="input network-name"
      aria-label="Name"
      aria-invalid={taken}
      title={taken ? "There is a node of this name already" : "Change the node’s name: it is then another role"}
      value={name}
      onChange={(event) => setName(event.target.value)}
      onBlur={submit}
      onKeyDown={(event) => {
        if (event.key === "Enter") submit();
        if (event.key === "Escape") setName(id);
      }}
    />
  );
}

function PortHead({ port }: { port: NodeView["inports"][number] }) {
  return (
    <span className="network-port-head">
      <code>{port.name}</code>
      <span className="soft">{port.type === "any" || port.type === "all" ? "" : port.type}</span>
      {!port.isKnown && <Badge tone="warn">not announced</Badge>}
      {port.description && <span className="soft network-port-about">{port.description}</span>}
    </span>
  );
}

function ProcessFacts({ process }: { process: ProcessStatus }) {
  return (
    <>
      <dt>Processes</dt>
      <dd className="number">
        {process.running} of {process.wanted}
        {process.restarts > 0 && `, restarted ${process.restarts} times`}
      </dd>
      <dt>Command</dt>
      <dd>
        <code title={process.command}>{process.command}</code>
      </dd>
    </>
  );
}

/** To connect without a mouse. */
function Connect({ node, view }: { node: GraphNode; view: NodeView }) {
  const { graph, components, runtime } = useNetwork();
  const statuses = useStatus((state) => state.nodes);
  const [port, setPort] = useState(view.outports[0]?.name ?? "");
  const [target, setTarget] = useState("");
  const touching = touchingOf(graph);
  const targets = Object.values(graph.nodes).flatMap((other) => {
    const component = componentOf(other.component, components, runtime?.namespace);
    const concerned = touching.get(other.id) ?? { ins: [], outs: [], initials: [] };
    return viewNode(other, component, statuses[other.id], concerned, false).inports.map(({ name }) => ({
      node: other.id,
      port: name,
    }));
  });
  return (
    <div className="network-connect">
      <h3>Connect</h3>
      <Field label="From outport">
        <select className="select" value={port} onChange={(event) => setPort(event.target.value)}>
          {view.outports.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </Field>
      <Field label="To inport">
        <select className="select" value={target} onChange={(event) => setTarget(event.target.value)}>
          <option value="">choose…</option>
          {targets.map((end) => (
            <option key={`${end.node} ${end.port}`} value={JSON.stringify(end)}>
              {end.node} {end.port}
            </option>
          ))}
        </select>
      </Field>
      <Button
        disabled={!target}
        onClick={() => {
          void connect({ node: node.id, port }, JSON.parse(target) as { node: string; port: string });
          setTarget("");
        }}
      >
        Connect
      </Button>
    </div>
  );
}

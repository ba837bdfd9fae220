import { Handle, Position, type NodeProps } from "@xyflow/react";
import { memo } from "react";

import { Badge } from "../design/Badge";
import { Icon } from "../design/Icon";
import type { FlowNode } from "./flow";
import { iconOf } from "./icons";
import { brief, HEADER, middleOf, ROW, type PortView } from "./ports";
import { nodeState, waitingWords } from "./state";

/** A participant: who it is, what it does, how it fares, and its ports. */
export const NodeCard = memo(function NodeCard({ data, selected }: NodeProps<FlowNode>) {
  const { id, component, observed, kind, inports, outports, isFaded } = data;
  const state = nodeState(observed);
  const { running, wanted } = observed;
  const count = running !== undefined && wanted !== undefined && wanted + running > 0 && (wanted !== 1 || running !== 1) ? ` ${running}/${wanted}` : "";
  const classes = ["network-node", kind, observed.state, selected && "selected", isFaded && "faded"];
  return (
    <div className={classes.filter(Boolean).join(" ")} style={{ height: data.height }}>
      <div className="network-node-head">
        <span className="network-node-icon">
          <Icon name={iconOf(data.icon)} />
        </span>
        <span className="network-node-names">
          <strong title={id}>{id}</strong>
          <span title={data.description ?? component}>{component}</span>
        </span>
        {kind === "binding" ? (
          <Badge tone="idle" title="It stands for a binding in the broker: no process runs.">
            binding
          </Badge>
        ) : (
          <Badge tone={state.tone} title={observed.reason ?? state.meaning}>
            {state.word}
            {count}
          </Badge>
        )}
      </div>
      {inports.map((port, row) => (
        <PortRow key={port.handle} port={port} row={row} side="in" />
      ))}
      {outports.map((port, row) => (
        <PortRow key={port.handle} port={port} row={row} side="out" />
      ))}
    </div>
  );
});

function PortRow({ port, row, side }: { port: PortView; row: number; side: "in" | "out" }) {
  const top = HEADER + row * ROW;
  const title = [port.type, port.description, port.isKnown ? "" : "its component announces no such port"].filter(Boolean).join(" · ");
  return (
    <>
      <Handle
        type={side === "in" ? "target" : "source"}
        position={side === "in" ? Position.Left : Position.Right}
        id={port.handle}
        className={port.isKnown ? "network-handle" : "network-handle unknown"}
        style={{ top: middleOf(row) }}
      />
      <div className={`network-port ${side}`} style={{ top }}>
        <span className={port.isKnown ? "network-port-name" : "network-port-name unknown"} title={title}>
          {port.name}
        </span>
        {port.initial && <span className="network-packet">{brief(port.initial.data)}</span>}
        {port.waiting ? (
          <span className="network-waiting" title={waitingWords(port.waiting, port.oldest)}>
            {port.waiting}
          </span>
        ) : null}
      </div>
    </>
  );
}

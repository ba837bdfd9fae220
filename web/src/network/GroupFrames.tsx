import { ViewportPortal } from "@xyflow/react";

import { useNetwork } from "../protocol/store";
import type { FlowNode } from "./flow";
import { select, useView } from "./selection";

const PAD = 20;
const LABEL = 26;

/** Frames behind the nodes of a group. */
export function GroupFrames({ nodes }: { nodes: FlowNode[] }) {
  const groups = useNetwork((state) => state.graph.groups);
  const selected = useView((state) => state.selected);
  if (groups.length === 0) return null;
  return (
    <ViewportPortal>
      {groups.map((group) => {
        const members = nodes.filter(({ id }) => group.nodes.includes(id));
        if (members.length === 0) return null;
        const left = Math.min(...members.map(({ position }) => position.x)) - PAD;
        const top = Math.min(...members.map(({ position }) => position.y)) - PAD - LABEL;
        const right = Math.max(...members.map(({ position, data }) => position.x + data.width)) + PAD;
        const bottom = Math.max(...members.map(({ position, data }) => position.y + data.height)) + PAD;
        const isChosen = selected.kind === "group" && selected.name === group.name;
        return (
          <div
            key={group.name}
            className={isChosen ? "network-group selected" : "network-group"}
            style={{ transform: `translate(${left}px, ${top}px)`, width: right - left, height: bottom - top }}
          >
            <button type="button" onClick={() => select({ kind: "group", name: group.name })}>
              {group.name}
            </button>
          </div>
        );
      })}
    </ViewportPortal>
  );
}

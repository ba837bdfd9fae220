import { BaseEdge, EdgeLabelRenderer, getBezierPath, type EdgeProps } from "@xyflow/react";
import { memo } from "react";

import { Icon } from "../design/Icon";
import type { FlowEdge } from "./flow";

/** How far apart two ports are, in pixels of the canvas, that a word stands between them without covering their names. */
const ROOM_FOR_WORDS = 72;

/**
 * A connection. Its words are what is not as it should be, else how much flows; what waits stands at the inport. Between nodes
 * too close for words, a sign says that something is not as it should be.
 */
export const EdgeLine = memo(function EdgeLine(props: EdgeProps<FlowEdge>) {
  const { data, selected, sourceX, targetX } = props;
  const [path, x, y] = getBezierPath({ ...props, curvature: 0.3 });
  const state = data?.state ?? "unknown";
  const rate = data?.rate ?? 0;
  const isNews = state === "failed" || state === "pending";
  const hasRoom = targetX - sourceX >= ROOM_FOR_WORDS;
  return (
    <>
      <BaseEdge
        path={path}
        interactionWidth={18}
        className={["network-edge", state, selected && "selected", data?.isFaded && "faded"].filter(Boolean).join(" ")}
      />
      {(isNews || (rate > 0 && hasRoom)) && !data?.isFaded && (
        <EdgeLabelRenderer>
          <div
            className={["network-edge-label", isNews && state, !hasRoom && "short"].filter(Boolean).join(" ")}
            style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}
            title={isNews ? data?.reason : `${rate} messages a second`}
          >
            {(state === "failed" || !hasRoom) && <Icon name={state === "failed" ? "warning" : "clock"} />}
            {hasRoom && (isNews ? state : `${rate.toLocaleString()}/s`)}
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  );
});

import { BaseEdge, EdgeLabelRenderer, getBezierPath, type EdgeProps } from "@xyflow/react";
import { memo } from "react";

import { Icon } from "../design/Icon";
import type { FlowEdge } from "./flow";

/** A connection. Its words are what is not as it should be, else how much flows; what waits stands at the inport. */
export const EdgeLine = memo(function EdgeLine(props: EdgeProps<FlowEdge>) {
  const { data, selected } = props;
  const [path, x, y] = getBezierPath({ ...props, curvature: 0.3 });
  const state = data?.state ?? "unknown";
  const rate = data?.rate ?? 0;
  const isNews = state === "failed" || state === "pending";
  return (
    <>
      <BaseEdge
        path={path}
        interactionWidth={18}
        className={["network-edge", state, selected && "selected", data?.isFaded && "faded"].filter(Boolean).join(" ")}
      />
      {(isNews || rate > 0) && !data?.isFaded && (
        <EdgeLabelRenderer>
          <div
            className={`network-edge-label ${isNews ? state : ""}`}
            style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}
            title={isNews ? data?.reason : `${rate} messages a second`}
          >
            {state === "failed" && <Icon name="warning" />}
            {isNews ? state : `${rate.toLocaleString()}/s`}
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  );
});

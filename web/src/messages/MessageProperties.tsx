import type { Seen } from "../protocol/stream";
import type { Json } from "../protocol/types";
import { timeOf } from "./body";

/** What a message that flowed says of itself: when it was sent, and whether it survives a restart. */
export function MessageProperties({ message: { at, properties } }: { message: Seen }) {
  if (!properties) return null;
  const { sent, traceparent, persistent } = properties;
  return (
    <dl className="facts messages-facts">
      {sent !== undefined && (
        <>
          <dt>Sent</dt>
          <dd className="number">
            {timeOf(sent)} <span className="soft">{seenAfter(sent, at)}</span>
          </dd>
        </>
      )}
      <dt>Kept</dt>
      <dd>{persistent ? "on disk" : "in memory only"}</dd>
      {traceparent && (
        <>
          <dt>Trace</dt>
          <dd>
            <code className="messages-trace">{traceparent}</code>
          </dd>
        </>
      )}
    </dl>
  );
}

/** Two clocks are compared, and the sender's may be ahead of ours. Many senders tell whole seconds only. */
function seenAfter(sent: number, seen: number): string {
  const ms = seen - sent;
  if (ms < 0) return "";
  return ms < 10_000 && sent % 1000 !== 0 ? `seen ${ms} ms later` : `seen about ${Math.round(ms / 1000)} s later`;
}

/** All headers of a message, folded. */
export function MessageHeaders({ headers }: { headers: Record<string, Json> | undefined }) {
  if (!headers) return null;
  return (
    <details className="messages-headers">
      <summary>Headers</summary>
      <pre tabIndex={0}>{JSON.stringify(headers, null, 2)}</pre>
    </details>
  );
}

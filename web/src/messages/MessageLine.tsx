import "./messages.css";

import { memo } from "react";

import type { Seen } from "../protocol/stream";
import { lineOf, timeOf } from "./body";

/** A message in one line, in lists that only look on. */
export const MessageLine = memo(function MessageLine({ message }: { message: Seen }) {
  return (
    <li className="messages-line">
      <time className="number">{timeOf(message.at)}</time>
      <code>{lineOf(message.data).slice(0, 300)}</code>
    </li>
  );
});

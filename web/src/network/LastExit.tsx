import "./last-exit.css";

import type { ProcessStatus } from "../protocol/status";

/** How the last process ended that nobody had asked to, as long as one is failing: its status, and what it wrote last. */
export function LastExit({ process }: { process: ProcessStatus | null | undefined }) {
  if (!process?.last_exit || process.failing === 0) return null;
  const { status, output } = process.last_exit;
  return (
    <div className="last-exit" role="note" aria-label="Why it failed">
      <strong>
        {status}
        {process.running > 0 ? "; the one before it still runs" : ""}
      </strong>
      {output.length > 0 && <pre tabIndex={0}>{output.join("\n")}</pre>}
    </div>
  );
}

// Why there are as many workers as there are, or were: the words of `guv explain`.

import type { Explained, Operation } from "../api";
import { useAsked } from "../api/asking";
import { Button } from "../design/Button";
import { Panel } from "../design/Panel";
import { moment } from "./format";

interface Props {
  app: string;
  role: string;
  /** The operation that is looked at; without, it is the decision of now. */
  at: number | undefined;
  operations: Operation[];
  onChoose: (at: number | undefined) => void;
}

/** How lines are named for people. */
const LABELS: Record<string, string> = {
  seen: "Seen",
  workers: "Workers",
  policy: "Policy",
  window: "Window",
  decision: "Formula",
  because: "Because",
  limit: "Limit",
  outcome: "Outcome",
  expected: "Expected",
};

export function Explanation({ app, role, at, operations, onChoose }: Props) {
  const base = `v1/apps/${encodeURIComponent(app)}/roles/${encodeURIComponent(role)}`;
  const asked = useAsked<Explained>(at === undefined ? base : `${base}?at=${at}`, at === undefined ? 3 : undefined);
  const index = operations.findIndex((operation) => operation.at === at);
  const before = at === undefined ? operations.at(-1) : operations[index - 1];
  const after = index >= 0 ? operations[index + 1] : undefined;
  const explained = asked.value;
  const operation = operations[index];
  return (
    <Panel
      title="Why"
      className="scaling-why"
      actions={
        <>
          {at !== undefined && (
            <Button small look="quiet" onClick={() => onChoose(undefined)}>
              Now
            </Button>
          )}
          <Button
            small
            look="quiet"
            icon="left"
            label="The operation before"
            disabled={!before}
            onClick={() => before && onChoose(before.at)}
          />
          <Button
            small
            look="quiet"
            icon="right"
            label="The next operation"
            disabled={!after}
            onClick={() => after && onChoose(after.at)}
          />
        </>
      }
    >
      {explained ? (
        <div aria-live="polite">
          <h3>
            {operation
              ? `${moment(operation.at)}: ${operation.from ?? "?"} → ${operation.to} workers`
              : `${moment(explained.at)}: the last decision`}
          </h3>
          <dl className="scaling-lines">
            {explained.lines
              .filter((line) => line.label in LABELS)
              .map((line) => (
                <div key={`${line.label}${line.text}`} className={line.label}>
                  <dt>{LABELS[line.label]}</dt>
                  <dd>{line.text}</dd>
                </div>
              ))}
          </dl>
        </div>
      ) : (
        <p className="soft">{asked.error ? asked.error.message : "…"}</p>
      )}
    </Panel>
  );
}

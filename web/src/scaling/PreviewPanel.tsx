// What a configuration would have done with what was recorded, beside what was done.

import { useMemo } from "react";

import type { Preview, RolePreview } from "../api";
import { Button } from "../design/Button";
import { EmptyState } from "../design/Notice";
import { Panel } from "../design/Panel";
import { Table } from "../design/Table";
import { duration, money, number, percent, workerTime } from "./format";
import { TimeChart } from "./TimeChart";

/** So many roles are drawn; the table has all. */
const MOST_CHARTS = 12;

export function PreviewPanel({ preview, onClose }: { preview: Preview; onClose: () => void }) {
  const { roles } = preview;
  return (
    <Panel
      flush
      className="scaling-preview"
      title={`What it would have done in the last ${duration(preview.to - preview.from)}`}
      actions={<Button small look="quiet" icon="close" label="Close the preview" onClick={onClose} />}
    >
      {roles.length === 0 ? (
        <EmptyState icon="clock" title="There is nothing to try it on">
          None of its roles was recorded in this time. Once guv has run for a while with them, a preview is possible.
        </EmptyState>
      ) : (
        <>
          <Table<RolePreview>
            label="Preview"
            rows={roles}
            id={(role) => role.role}
            columns={[
              { title: "Role", cell: (role) => <b>{role.role}</b> },
              { title: "Used, was", right: true, cell: (role) => workerTime(role.recorded.worker_hours) },
              { title: "would be", right: true, cell: (role) => workerTime(role.replayed.worker_hours) },
              { title: "Cost", right: true, cell: (role) => <Difference role={role} /> },
              {
                title: "Most workers",
                right: true,
                cell: (role) => `${role.recorded.most} → ${role.replayed.most}`,
              },
              {
                title: "Changes",
                right: true,
                cell: (role) => `${role.recorded.changes} → ${role.replayed.changes}`,
              },
              { title: "The same", right: true, cell: (role) => percent(role.same / Math.max(role.observations, 1)) },
            ]}
          />
          <p className="scaling-foot">
            The recorded queue is put through this configuration. The queue stays as it was; only the workers are its own.
          </p>
          {roles.slice(0, MOST_CHARTS).map((role) => (
            <Course key={role.role} role={role} preview={preview} />
          ))}
        </>
      )}
    </Panel>
  );
}

function Difference({ role }: { role: RolePreview }) {
  if (role.price === null || role.price === undefined) return <>–</>;
  const difference = (role.replayed.worker_hours - role.recorded.worker_hours) * role.price;
  if (Math.abs(difference) < 0.00005) return <>the same</>;
  return <>{difference > 0 ? `+ ${money(difference)}` : `− ${money(-difference)}`}</>;
}

function Course({ role, preview }: { role: RolePreview; preview: Preview }) {
  const lines = useMemo(
    () => [
      { label: "was", values: role.was, colour: "--series-5", stepped: true, fill: true },
      { label: "would be", values: role.would_be, colour: "--series-1", stepped: true },
    ],
    [role],
  );
  return (
    <TimeChart
      title={`${role.role}: workers`}
      about={`Workers of ${role.role}: at most ${role.recorded.most} were, ${role.replayed.most} would have been.`}
      at={role.at}
      from={preview.from}
      to={preview.to}
      lines={lines}
      format={number}
      height={130}
    />
  );
}

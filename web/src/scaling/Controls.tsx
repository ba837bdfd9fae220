// Taking over for a time: a pause, or a number of workers set by hand.

import { useState } from "react";

import type { RoleNow } from "../api";
import { reasonOf } from "../api/asking";
import { rest } from "../app/rest";
import { Button } from "../design/Button";
import { Field } from "../design/Field";
import { Panel } from "../design/Panel";
import { toast } from "../design/Toasts";
import { count, moment } from "./format";

const TIMES = [
  { seconds: 600, title: "10 minutes" },
  { seconds: 3600, title: "1 hour" },
  { seconds: 8 * 3600, title: "8 hours" },
  { seconds: 24 * 3600, title: "1 day" },
];

export function Controls({ app, role, onChanged }: { app: string; role: RoleNow; onChanged: () => void }) {
  const [seconds, setSeconds] = useState(3600);
  const [workers, setWorkers] = useState("");
  const [isBusy, setBusy] = useState(false);
  const base = `v1/apps/${encodeURIComponent(app)}/roles/${encodeURIComponent(role.role)}`;
  const act = async (what: () => Promise<unknown>, done: string) => {
    setBusy(true);
    try {
      await what();
      toast(done);
      onChanged();
    } catch (error) {
      toast(`It was not done. ${reasonOf(error)}`, { bad: true });
    } finally {
      setBusy(false);
    }
  };
  if (role.manual) {
    return (
      <Panel title="Take over">
        <div className="scaling-controls">
          <p>
            {count(role.manual.workers, "worker")}, set by hand until {moment(role.manual.until, { withSeconds: false })}.
          </p>
          <Button disabled={isBusy} onClick={() => void act(() => rest.delete(`${base}/manual`), "The policy decides again.")}>
            Give back to the policy
          </Button>
        </div>
      </Panel>
    );
  }
  if (role.paused) {
    const until = role.paused.until;
    return (
      <Panel title="Take over">
        <div className="scaling-controls">
          <p>
            {until
              ? `Paused until ${moment(until, { withSeconds: false })}.`
              : "Paused by the configuration: change it there."}
          </p>
          {until && (
            <Button icon="play" disabled={isBusy} onClick={() => void act(() => rest.delete(`${base}/pause`), "Resumed.")}>
              Resume
            </Button>
          )}
        </div>
      </Panel>
    );
  }
  const wanted = Number(workers);
  const isNumber = /^\d+$/.test(workers) && wanted <= 1_000_000;
  const wrong = workers !== "" && !isNumber ? "A whole number, 0 or more." : undefined;
  return (
    <Panel title="Take over">
      <form
        className="scaling-controls"
        onSubmit={(event) => {
          event.preventDefault();
          if (isNumber) {
            const said = `${count(wanted, "worker")} asked for.`;
            void act(() => rest.put(`${base}/manual`, { workers: wanted, seconds }), said).then(() => setWorkers(""));
          }
        }}
      >
        <Field label="For">
          <select className="select" value={seconds} onChange={(event) => setSeconds(Number(event.target.value))}>
            {TIMES.map((time) => (
              <option key={time.seconds} value={time.seconds}>
                {time.title}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Workers" wrong={wrong}>
          <input
            className="input"
            inputMode="numeric"
            placeholder={String(role.workers ?? "")}
            value={workers}
            onChange={(event) => setWorkers(event.target.value.trim())}
          />
        </Field>
        <div className="scaling-actions">
          <Button type="submit" disabled={isBusy || !isNumber}>
            Set by hand
          </Button>
          <Button
            icon="pause"
            disabled={isBusy}
            onClick={() => void act(() => rest.put(`${base}/pause`, { seconds }), `${role.role} is paused.`)}
          >
            Pause
          </Button>
        </div>
      </form>
    </Panel>
  );
}

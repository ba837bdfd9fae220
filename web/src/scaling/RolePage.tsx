import { useMemo, useState } from "react";

import type { Chart, Me, Operation, Operations, RoleNow, Scaling } from "../api";
import { useAsked } from "../api/asking";
import { go, link, useRoute } from "../app/route";
import { EmptyState, ErrorState, Loading } from "../design/Notice";
import { Panel } from "../design/Panel";
import { meaning } from "./condition";
import { Controls } from "./Controls";
import { Explanation } from "./Explanation";
import { count, duration, money, number, percent, rate, workerTime } from "./format";
import { Marks } from "./Marks";
import { RANGES, rangeOf } from "./ranges";
import { saved, State } from "./RoleList";
import { TimeChart, type Line } from "./TimeChart";

interface Props {
  app: string;
  role: string;
  scaling: Scaling;
  me: Me;
  onChanged: () => void;
}

const POINTS = 240;

/** One role: how it went, and why. */
export function RolePage({ app, role: name, scaling, me, onChanged }: Props) {
  const route = useRoute();
  const range = rangeOf(route.query.get("range"));
  const [chosen, setChosen] = useState<number>();
  const every = Math.min(Math.max(range.seconds / POINTS, 3), 60);
  const role = scaling.roles.find((role) => role.role === name);
  const base = `v1/apps/${encodeURIComponent(app)}`;
  const asks = role !== undefined && scaling.has_history;
  const span = `span=${range.seconds}`;
  const of = encodeURIComponent(name);
  const chart = useAsked<Chart>(asks ? `${base}/roles/${of}/chart?${span}&points=${POINTS}` : undefined, every);
  const operations = useAsked<Operations>(asks ? `${base}/operations?role=${of}&${span}&limit=500` : undefined, every);
  if (!role) {
    return (
      <EmptyState
        icon="scaling"
        title={`There is no role ${name}`}
        actions={
          <a className="button" href={link("scaling", [app])}>
            All roles
          </a>
        }
      >
        It may have been taken out of the configuration, or its first round is still under way.
      </EmptyState>
    );
  }
  const known = operations.value?.operations ?? [];
  return (
    <div className="scaling-role-page">
      <div className="scaling-main">
        <div className="scaling-state">
          <State role={role} />
          <span className="soft">{meaning(role)}</span>
          <span className="spacer" />
          <div className="tabs" role="group" aria-label="Time">
            {RANGES.map(({ key, title }) => (
              <button
                key={key}
                aria-pressed={key === range.key}
                onClick={() => go(link("scaling", [app, "roles", name], { range: key }))}
              >
                {title}
              </button>
            ))}
          </div>
        </div>
        {chart.value ? (
          <Past
            chart={chart.value}
            role={role}
            operations={known}
            hasMore={operations.value?.has_more ?? false}
            chosen={chosen}
            onChoose={setChosen}
          />
        ) : chart.error ? (
          <ErrorState title="The history cannot be read">{chart.error.message}</ErrorState>
        ) : scaling.has_history ? (
          <Loading />
        ) : (
          <EmptyState icon="clock" title="No history is kept">
            Charts and past decisions are there when guv runs with a history: leave <code>--no-history</code> away.
          </EmptyState>
        )}
      </div>
      <aside className="scaling-side" aria-label="Now, and why">
        <Now role={role} />
        <Explanation app={app} role={name} at={chosen} operations={known} onChoose={setChosen} />
        {me.may === "write" && <Controls app={app} role={role} onChanged={onChanged} />}
      </aside>
    </div>
  );
}

function Now({ role }: { role: RoleNow }) {
  const aside = [
    role.booting ? `${role.booting} booting` : "",
    role.stopping ? `${role.stopping} stopping` : "",
    role.wanted !== null && role.wanted !== undefined && role.wanted !== role.workers ? `${role.wanted} wanted` : "",
  ].filter(Boolean);
  return (
    <Panel title="Now">
      <dl className="scaling-facts">
        <dt>Waiting</dt>
        <dd>
          {role.ready === null || role.ready === undefined ? "not known" : count(role.ready, "job")}
          {role.oldest ? <span className="soft">, the oldest for {duration(role.oldest)}</span> : null}
        </dd>
        <dt>In flight</dt>
        <dd>{role.in_flight === null || role.in_flight === undefined ? "not known" : count(role.in_flight, "job")}</dd>
        <dt>Workers</dt>
        <dd>
          {number(role.workers)}{" "}
          <span className="soft">
            of {role.minimum} to {role.maximum}
            {aside.length > 0 && ` (${aside.join(", ")})`}
          </span>
        </dd>
        <dt>Deadline</dt>
        <dd>
          {duration(role.deadline)} <span className="soft">at {duration(role.processing)} a job</span>
        </dd>
        {(role.arrivals ?? role.completions) !== null && (role.arrivals ?? role.completions) !== undefined && (
          <>
            <dt>Rates</dt>
            <dd>
              {rate(role.arrivals)} in, {rate(role.completions)} out
            </dd>
          </>
        )}
        <dt>Policy</dt>
        <dd>{role.policy}</dd>
      </dl>
    </Panel>
  );
}

interface PastProps {
  chart: Chart;
  role: RoleNow;
  operations: Operation[];
  hasMore: boolean;
  chosen: number | undefined;
  onChoose: (at: number) => void;
}

function Past({ chart, role, operations, hasMore, chosen, onChoose }: PastProps) {
  const lines = useMemo(() => linesOf(chart), [chart]);
  if (chart.series.at.length === 0) {
    return (
      <EmptyState icon="clock" title="Nothing is recorded in this time">
        The role has been governed for a shorter time, or guv did not run. Choose another time.
      </EmptyState>
    );
  }
  const { totals, series } = chart;
  const frame = { at: series.at, from: chart.from, to: chart.to, marked: chosen };
  const most = (values: (number | null)[]) => Math.max(0, ...values.map((value) => value ?? 0));
  const constant = totals.constant_cost ?? null;
  const isMeasured = totals.hit_rate_is === "measured";
  return (
    <>
      <dl className="scaling-figures">
        <Figure
          name="In time"
          value={percent(totals.hit_rate)}
          note={
            isMeasured
              ? `${number(totals.jobs - totals.late)} of ${count(totals.jobs, "job")}`
              : totals.hit_rate_is
                ? "of the time, as expected"
                : "nothing to tell it by"
          }
        />
        <Figure
          name="Saved"
          value={percent(saved(chart))}
          note={constant === null ? "against the constant maximum" : `${money(constant - (totals.cost ?? 0))} of ${money(constant)}`}
        />
        <Figure
          name="Used"
          value={workerTime(totals.worker_hours)}
          note={totals.cost === null || totals.cost === undefined ? "workers × time" : `${money(totals.cost)}, ${role.size}`}
        />
        <Figure name="Changes" value={number(totals.changes)} note={`at most ${count(totals.most, "worker")}`} />
      </dl>
      <Panel flush className="scaling-charts">
        <TimeChart
          {...frame}
          title="Jobs"
          about={`Jobs that waited and were in flight; at most ${number(most(series.ready_max))} waited.`}
          lines={lines.jobs}
          format={number}
        />
        <TimeChart
          {...frame}
          title="Workers"
          about={`Workers between ${role.minimum} and ${role.maximum}; at most ${number(totals.most)}.`}
          lines={lines.workers}
          format={number}
          height={186}
          above={
            <Marks
              operations={operations}
              hasMore={hasMore}
              from={chart.from}
              to={chart.to}
              chosen={chosen}
              onChoose={onChoose}
            />
          }
        />
        <TimeChart
          {...frame}
          title="Time to done"
          about={`How long jobs take, against the deadline of ${duration(role.deadline)}.`}
          lines={lines.waiting}
          format={duration}
          isTime
        />
        {lines.rates.length > 0 && (
          <TimeChart
            {...frame}
            title="Rates"
            about="Jobs that came and jobs that were done, per second."
            lines={lines.rates}
            format={rate}
            height={140}
          />
        )}
      </Panel>
    </>
  );
}

function Figure({ name, value, note }: { name: string; value: string; note: string }) {
  return (
    <div className="panel">
      <dt>{name}</dt>
      <dd className="number">{value}</dd>
      <dd className="scaling-note">{note}</dd>
    </div>
  );
}

/** The lines of each chart. What nothing is known of is left out. */
function linesOf({ series }: Chart): Record<"jobs" | "workers" | "waiting" | "rates", Line[]> {
  const isKnown = (line: Line) => line.values.some((value) => value !== null);
  const lines = {
    jobs: [
      { label: "waiting, at most", values: series.ready_max, colour: "--series-1", fill: true },
      { label: "in flight", values: series.in_flight, colour: "--series-2" },
    ],
    workers: [
      { label: "maximum", values: series.maximum, colour: "--series-5", thin: true, stepped: true, bandToNext: true },
      { label: "minimum", values: series.minimum, colour: "--series-5", thin: true, stepped: true },
      { label: "wanted", values: series.wanted, colour: "--series-4", dash: true, stepped: true },
      { label: "workers", values: series.workers, colour: "--series-3", stepped: true },
    ],
    waiting: [
      { label: "deadline", values: series.deadline, colour: "--bad", dash: true, stepped: true },
      { label: "jobs at hand done in", values: series.expected_max, colour: "--series-1", fill: true },
      { label: "oldest has waited", values: series.oldest_max, colour: "--series-2" },
      { label: "finished jobs had waited", values: series.waited, colour: "--series-3" },
    ],
    rates: [
      { label: "come", values: series.arrivals, colour: "--series-1" },
      { label: "done", values: series.completions, colour: "--series-3" },
    ],
  } satisfies Record<string, Line[]>;
  return {
    jobs: lines.jobs.filter(isKnown),
    workers: lines.workers.filter(isKnown),
    waiting: lines.waiting.filter(isKnown),
    rates: lines.rates.filter(isKnown),
  };
}

import type { Chart, Charts, RoleNow, Scaling } from "../api";
import { useAsked } from "../api/asking";
import { link } from "../app/route";
import { Badge } from "../design/Badge";
import { EmptyState } from "../design/Notice";
import { Panel } from "../design/Panel";
import { Table } from "../design/Table";
import { meaning, shown } from "./condition";
import { duration, number, percent } from "./format";
import { Sparkline } from "./Sparkline";

/** What the small charts look back on. */
const HOUR = 3600;
const POINTS = 60;

/** Every role on a line: how it fares, what waits, who works. */
export function RoleList({ app, scaling }: { app: string; scaling: Scaling }) {
  const path = `v1/apps/${encodeURIComponent(app)}/charts?span=${HOUR}&points=${POINTS}`;
  const charts = useAsked<Charts>(scaling.has_history ? path : undefined, 15).value?.roles;
  if (scaling.roles.length === 0) {
    return (
      <EmptyState icon="clock" title="The first round is under way">
        Queues and workers are looked at; roles appear as soon as that is done.
      </EmptyState>
    );
  }
  const rows = [...scaling.roles].sort((a, b) => shown(a.condition).rank - shown(b.condition).rank);
  return (
    <Panel flush className="scaling-roles">
      <Table<RoleNow>
        label="Roles"
        rows={rows}
        id={(role) => role.role}
        columns={[
          {
            title: "Role",
            cell: (role) => (
              <>
                <a className="scaling-role" href={link("scaling", [app, "roles", role.role])}>
                  {role.role}
                </a>
                <span className="scaling-note">{role.queues.join(", ")}</span>
              </>
            ),
          },
          { title: "State", width: "132px", cell: (role) => <State role={role} /> },
          {
            title: "Waiting jobs",
            width: "196px",
            cell: (role) => (
              <span className="scaling-with-line">
                <b className="number">{number(role.ready)}</b>
                <Course chart={charts?.[role.role]} of="ready_max" label={`${role.role}: waiting jobs in the last hour`} />
              </span>
            ),
          },
          {
            title: "Workers",
            width: "212px",
            cell: (role) => (
              <span className="scaling-with-line">
                <b className="number">
                  {number(role.workers)}
                  <span className="soft"> of {role.maximum}</span>
                </b>
                <Course
                  chart={charts?.[role.role]}
                  of="workers_max"
                  tone="second"
                  label={`${role.role}: workers in the last hour`}
                />
              </span>
            ),
          },
          { title: "Done in", width: "150px", cell: (role) => <Slack role={role} /> },
          {
            title: "In time",
            right: true,
            width: "84px",
            cell: (role) => percent(charts?.[role.role]?.totals.hit_rate),
          },
          {
            title: "Saved",
            right: true,
            width: "80px",
            cell: (role) => percent(saved(charts?.[role.role])),
          },
        ]}
      />
      <p className="scaling-foot">
        <b>Done in</b>: until the jobs at hand are done, against the deadline. <b>In time</b> and <b>Saved</b>, against the
        constant maximum: the last hour.
      </p>
    </Panel>
  );
}

export function State({ role }: { role: RoleNow }) {
  const { word, tone } = shown(role.condition);
  return (
    <Badge tone={tone} title={meaning(role)}>
      {word}
    </Badge>
  );
}

function Course(props: { chart: Chart | undefined; of: "ready_max" | "workers_max"; label: string; tone?: "second" }) {
  const { chart, of, label, tone } = props;
  if (!chart || chart.series.at.length < 2) return <span className="sparkline" />;
  return <Sparkline label={label} values={chart.series[of]} {...(tone ? { tone } : {})} />;
}

/** How much of the deadline the jobs at hand will take. */
function Slack({ role }: { role: RoleNow }) {
  const { expected, deadline } = role;
  if (!expected) return <span className="soft">not known</span>;
  const first = role.oldest ? role.oldest + role.processing : 0;
  const share = Math.min(Math.max(expected.done_after, first) / deadline, 1);
  return (
    <span className="scaling-slack">
      <span>
        <b className="number">{duration(expected.done_after)}</b> <span className="soft">of {duration(deadline)}</span>
      </span>
      <span className={expected.in_time ? "scaling-meter" : "scaling-meter late"} aria-hidden="true">
        <i style={{ width: `${share * 100}%` }} />
      </span>
    </span>
  );
}

/** The share of worker-hours that a constant maximum would have used beyond those that were. */
export function saved(chart: Chart | undefined): number | undefined {
  if (!chart || chart.totals.constant_hours <= 0) return undefined;
  return Math.max(0, 1 - chart.totals.worker_hours / chart.totals.constant_hours);
}

import "./overview.css";

import { useEffect, useState, type ReactNode } from "react";

import type { AppList, Scaling } from "../api";
import { useAsked } from "../api/asking";
import { rest } from "../app/rest";
import { link } from "../app/route";
import { useSession } from "../app/session";
import { Button } from "../design/Button";
import { Icon, type IconName } from "../design/Icon";
import { ErrorState, Loading } from "../design/Notice";
import { shown } from "../scaling/condition";
import { count, duration, number } from "../scaling/format";
import {
  networkTroubles,
  scalingTroubles,
  type AppState,
  type NetworkStatus,
  type Parked,
  type Trouble,
} from "./state";

/** How often everything is asked for, seconds. */
const EVERY = 3;
/** So many troubles are listed. */
const MOST = 12;

/** One screen that tells whether all is well. */
export default function OverviewView() {
  const session = useSession((state) => state.session);
  const abilities = session.state === "open" ? session.abilities : undefined;
  const network = useAsked<NetworkStatus>(abilities?.network ? "api/status" : undefined, EVERY);
  const parked = useAsked<Parked[]>(abilities?.network ? "api/deadletters" : undefined, EVERY);
  const list = useAsked<AppList>(abilities?.scaling ? "v1/apps" : undefined, EVERY);
  const apps = useApps(list.value);
  const error = network.error ?? list.error;
  const isHere = (!abilities?.network || network.value) && (!abilities?.scaling || apps);
  if (!isHere) {
    if (!error) return <Loading />;
    const retry = () => {
      network.again();
      list.again();
    };
    return (
      <>
        <h1 className="unseen">Overview</h1>
        <ErrorState title="The server does not tell how it is" actions={<Button onClick={retry}>Try again</Button>}>
          {error.message}
        </ErrorState>
      </>
    );
  }
  const troubles = [
    ...(network.value ? networkTroubles(network.value, parked.value ?? []) : []),
    ...scalingTroubles(apps ?? []),
  ];
  const hasRoles = apps?.some(({ scaling }) => scaling && scaling.roles.length > 0);
  const isEmpty = !hasRoles && (network.value?.nodes.length ?? 0) === 0;
  return (
    <div className="page">
      <h1 className="unseen">Overview</h1>
      <Headline troubles={troubles} lost={error?.message} settled={network.value?.settled ?? true} isEmpty={isEmpty} />
      {troubles.length > 0 && (
        <ul className="panel overview-troubles" aria-label="What needs attention">
          {troubles.slice(0, MOST).map((trouble) => (
            <li key={`${trouble.what} ${trouble.why}`} className={trouble.grave ? "bad" : "warn"}>
              <a href={trouble.href}>
                <Icon name="warning" />
                <b>{trouble.what}</b>
                <span>{trouble.why}</span>
                <Icon name="right" />
              </a>
            </li>
          ))}
          {troubles.length > MOST && <li className="overview-more">and {troubles.length - MOST} more</li>}
        </ul>
      )}
      <div className="overview-tiles">
        {network.value && <NetworkTiles status={network.value} parked={parked.value} />}
        {apps && <ScalingTiles apps={apps} />}
      </div>
    </div>
  );
}

/** The roles of every application that is governed. `undefined` until all have answered once. */
function useApps(list: AppList | undefined): AppState[] | undefined {
  const [known, setKnown] = useState<Map<string, Scaling>>();
  useEffect(() => {
    if (!list) return;
    let isOver = false;
    const governed = list.apps.filter((app) => app.is_governed);
    const asked = governed.map(async (app) => {
      const scaling = await rest.get<Scaling>(`v1/apps/${encodeURIComponent(app.id)}/scaling`);
      return [app.id, scaling] as const;
    });
    void Promise.allSettled(asked).then((answers) => {
      if (isOver) return;
      const told = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
      setKnown((before) => new Map([...(before ?? []), ...told]));
    });
    return () => {
      isOver = true;
    };
  }, [list]);
  if (!list || !known) return undefined;
  return list.apps.map((app) => ({ app, scaling: known.get(app.id) }));
}

function Headline(props: { troubles: Trouble[]; lost: string | undefined; settled: boolean; isEmpty: boolean }) {
  const { troubles, lost, settled, isEmpty } = props;
  const grave = troubles.filter((trouble) => trouble.grave).length;
  const look = lost || grave > 0 ? "bad" : troubles.length > 0 ? "warn" : isEmpty ? "idle" : "good";
  const words = lost
    ? "The server does not answer"
    : troubles.length === 0
      ? isEmpty
        ? "Nothing runs yet"
        : settled
        ? "All is well"
        : "Coming up"
      : `${count(troubles.length, "thing")} ${troubles.length === 1 ? "needs" : "need"} attention`;
  const note = lost
    ? "What is below is what it said last."
    : troubles.length === 0
      ? isEmpty
        ? "What runs will show here, and whether it does well."
        : settled
        ? "Everything is connected, and the work is done in time."
        : "What has just been asked for is being done."
      : grave > 0
        ? "Something does not work."
        : "Everything works; somebody should look all the same.";
  return (
    <div className={`overview-headline ${look}`} role="status">
      <span className="overview-mark">
        <Icon name={look === "good" ? "check" : look === "idle" ? "clock" : "warning"} />
      </span>
      <div>
        <p className="overview-words">{words}</p>
        <p>{note}</p>
      </div>
    </div>
  );
}

interface TileProps {
  icon: IconName;
  name: string;
  value: ReactNode;
  /** A share of it, for a bar of parts. */
  parts?: { of: number; tone: "good" | "warn" | "bad" | "idle"; word: string }[];
  note?: ReactNode;
  href?: string;
}

function Tile({ icon, name, value, parts, note, href }: TileProps) {
  const there = (parts ?? []).filter((part) => part.of > 0);
  return (
    <section className="panel overview-tile" aria-label={name}>
      <h2>
        <Icon name={icon} />
        {href ? <a href={href}>{name}</a> : name}
      </h2>
      <p className="overview-value number">{value}</p>
      {there.length > 0 && (
        <>
          <div className="overview-bar" aria-hidden="true">
            {there.map((part) => (
              <i key={part.word} className={part.tone} style={{ flexGrow: part.of }} />
            ))}
          </div>
          <ul>
            {there.map((part) => (
              <li key={part.word} className={part.tone}>
                <b className="number">{number(part.of)}</b> {part.word}
              </li>
            ))}
          </ul>
        </>
      )}
      {note && <p className="overview-note">{note}</p>}
    </section>
  );
}

function NetworkTiles({ status, parked }: { status: NetworkStatus; parked: Parked[] | undefined }) {
  const nodes = (...states: string[]) => status.nodes.filter((node) => states.includes(node.state)).length;
  const edges = (state: string) => status.edges.filter((edge) => edge.state === state).length;
  const waiting = status.nodes.flatMap((node) => node.queues).reduce((sum, queue) => sum + (queue.ready ?? 0), 0);
  const dead = (parked ?? []).reduce((sum, queue) => sum + queue.ready, 0);
  const restarts = status.nodes.reduce((sum, node) => sum + (node.process?.restarts ?? 0), 0);
  return (
    <>
      <Tile
        icon="network"
        name="Participants"
        href={link("network")}
        value={status.nodes.length}
        parts={[
          { of: nodes("up"), tone: "good", word: "up" },
          { of: nodes("starting"), tone: "idle", word: "starting" },
          { of: nodes("idle", "stopped"), tone: "idle", word: "idle" },
          { of: nodes("missing"), tone: "bad", word: "missing" },
          { of: nodes("failed"), tone: "bad", word: "failing" },
        ]}
        note={
          status.nodes.length === 0
            ? "The graph is empty."
            : [
                restarts > 0 ? `${count(restarts, "restart")} so far` : "",
                status.strangers.length > 0 ? `${count(status.strangers.length, "other")} not in the graph` : "",
              ]
                .filter(Boolean)
                .join(", ")
        }
      />
      <Tile
        icon="layout"
        name="Connections"
        href={link("network")}
        value={status.edges.length}
        parts={[
          { of: edges("bound"), tone: "good", word: "bound" },
          { of: edges("pending"), tone: "warn", word: "pending" },
          { of: edges("failed"), tone: "bad", word: "failed" },
        ]}
        note={status.edges.length === 0 && "Nothing is connected."}
      />
      <Tile
        icon="messages"
        name="Messages"
        href={link("messages")}
        value={
          <>
            {number(waiting)} <small>wait</small>
          </>
        }
        parts={[{ of: dead, tone: "warn", word: "refused, parked as dead letters" }]}
        note={dead === 0 && (parked?.length ? "No dead letters." : "The graph names no place for dead letters.")}
      />
      <Tile
        icon="database"
        name="Broker"
        value={<span className="overview-state">Connected</span>}
        note={<code>{status.broker}</code>}
      />
    </>
  );
}

function ScalingTiles({ apps }: { apps: AppState[] }) {
  const roles = apps.flatMap(({ scaling }) => scaling?.roles ?? []);
  const of = (...conditions: string[]) => roles.filter((role) => conditions.includes(role.condition)).length;
  const workers = roles.reduce((sum, role) => sum + (role.workers ?? 0), 0);
  const most = roles.reduce((sum, role) => sum + role.maximum, 0);
  const backlog = roles.reduce((sum, role) => sum + (role.ready ?? 0), 0);
  const inFlight = roles.reduce((sum, role) => sum + (role.in_flight ?? 0), 0);
  const unknown = roles.filter((role) => role.ready === null || role.ready === undefined).length;
  const tightest = roles
    .filter((role) => role.expected)
    .map((role) => ({ role, share: (role.expected?.done_after ?? 0) / role.deadline }))
    .sort((a, b) => b.share - a.share)[0];
  const dry = apps.some(({ scaling }) => scaling?.dry_run);
  const late = roles.filter((role) => role.condition === "late").length;
  const alone = apps.length === 1 ? apps[0]?.app.id : undefined;
  const href = alone === undefined ? link("scaling") : link("scaling", [alone]);
  return (
    <>
      <Tile
        icon="scaling"
        name="Roles"
        href={href}
        value={roles.length}
        parts={[
          { of: of("well"), tone: "good", word: "well" },
          { of: of("manual", "paused"), tone: "idle", word: "taken over" },
          { of: of("at_limit"), tone: "warn", word: "at their limit" },
          { of: late, tone: "bad", word: shown("late").word.toLowerCase() },
          { of: of("blind"), tone: "bad", word: "blind" },
          { of: of("failing"), tone: "bad", word: "failing" },
        ]}
        note={[
          roles.length === 0 ? "Nothing is scaled yet." : "",
          dry ? "A dry run: nothing is changed." : "",
          apps.length > 1 ? `${apps.length} applications` : "",
        ]
          .filter(Boolean)
          .join(" ")}
      />
      <Tile
        icon="people"
        name="Workers"
        href={href}
        value={
          <>
            {number(workers)} <small>of {number(most)}</small>
          </>
        }
        note={
          most > 0 && (
            <span className="overview-bar" aria-hidden="true">
              {workers > 0 && <i className="used" style={{ flexGrow: workers }} />}
              {most > workers && <i style={{ flexGrow: most - workers }} />}
            </span>
          )
        }
      />
      <Tile
        icon="messages"
        name="Jobs"
        href={href}
        value={
          unknown > 0 && unknown === roles.length ? (
            <span className="overview-state">Not known</span>
          ) : (
            <>
              {number(backlog)} <small>{backlog === 1 ? "waits" : "wait"}</small>
            </>
          )
        }
        note={[
          unknown < roles.length || roles.length === 0 ? `${number(inFlight)} in flight` : "",
          unknown > 0 ? `not known of ${count(unknown, "role")}` : "",
        ]
          .filter(Boolean)
          .join("; ")}
      />
      <Tile
        icon="clock"
        name="Tightest deadline"
        {...(tightest && alone !== undefined ? { href: link("scaling", [alone, "roles", tightest.role.role]) } : {})}
        value={
          tightest ? (
            <>
              {duration(tightest.role.expected?.done_after)} <small>of {duration(tightest.role.deadline)}</small>
            </>
          ) : (
            "–"
          )
        }
        note={tightest ? `${tightest.role.role}: until the jobs at hand are done` : "Nothing is expected."}
      />
    </>
  );
}

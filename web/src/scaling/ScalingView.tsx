import "./scaling.css";

import { lazy, Suspense, type ReactNode } from "react";

import type { AppList, Me, Scaling } from "../api";
import { useAsked } from "../api/asking";
import { go, link, useRoute } from "../app/route";
import { Badge } from "../design/Badge";
import { Button } from "../design/Button";
import { EmptyState, ErrorState, Loading } from "../design/Notice";
import { moment } from "./format";
import { RoleList } from "./RoleList";
import { RolePage } from "./RolePage";

const ConfigPage = lazy(() => import("./ConfigPage"));

/** How often the state is asked for, seconds. */
const EVERY = 3;

/** The view where there is nothing to show: its heading is only heard. */
function Bare({ children }: { children: ReactNode }) {
  return (
    <>
      <h1 className="unseen">Scaling</h1>
      {children}
    </>
  );
}

export default function ScalingView() {
  const route = useRoute();
  const me = useAsked<Me>("v1/me");
  const apps = useAsked<AppList>("v1/apps", 30);
  if (!apps.value || !me.value) {
    const error = apps.error ?? me.error;
    if (!error) return <Loading />;
    const retry = () => {
      apps.again();
      me.again();
    };
    return (
      <Bare>
        <ErrorState title="The scaler does not answer" actions={<Button onClick={retry}>Try again</Button>}>
          {error.message}
        </ErrorState>
      </Bare>
    );
  }
  const all = apps.value.apps;
  const id = route.rest[0] ?? all.find((app) => app.is_governed)?.id ?? all[0]?.id;
  const app = all.find((app) => app.id === id);
  if (!app) {
    return (
      <Bare>
      <EmptyState
        icon="scaling"
        title={id === undefined ? "Nothing is scaled yet" : `There is no application ${id}`}
        actions={
          me.value.administers && (
            <a className="button primary" href={link("apps")}>
              Add an application
            </a>
          )
        }
      >
        An application is a configuration, its roles, and the platform that runs their workers.
      </EmptyState>
      </Bare>
    );
  }
  const [, part, role] = route.rest;
  return (
    <Application
      key={app.id}
      id={app.id}
      ids={all.map((app) => app.id)}
      isGoverned={app.is_governed}
      me={me.value}
      part={part === "config" || part === "roles" ? part : undefined}
      role={part === "roles" ? role : undefined}
      onTaken={apps.again}
    />
  );
}

interface ApplicationProps {
  id: string;
  ids: string[];
  isGoverned: boolean;
  me: Me;
  part: "config" | "roles" | undefined;
  role: string | undefined;
  /** Another configuration is in force. */
  onTaken: () => void;
}

function Application({ id, ids, isGoverned, me, part, role, onTaken }: ApplicationProps) {
  const path = `v1/apps/${encodeURIComponent(id)}`;
  const scaling = useAsked<Scaling>(isGoverned ? `${path}/scaling` : undefined, EVERY);
  const now = scaling.value;
  const isConfig = part === "config" && me.configures;
  return (
    <div className="page scaling-page">
      <div className="page-heading">
        <h1>
          {role === undefined ? "Scaling" : <a href={link("scaling", [id])}>Scaling</a>}
          {role !== undefined && <span className="scaling-crumb">{role}</span>}
        </h1>
        {ids.length > 1 && role === undefined && (
          <select
            className="select scaling-apps"
            aria-label="Application"
            value={id}
            onChange={(event) => go(link("scaling", [event.target.value]))}
          >
            {ids.map((known) => (
              <option key={known}>{known}</option>
            ))}
          </select>
        )}
        {now?.dry_run && (
          <Badge tone="info" title="Decisions are made and recorded; nothing is changed">
            Dry run
          </Badge>
        )}
        {me.may === "read" && (
          <Badge tone="idle" title="This token may look, but change nothing">
            Read only
          </Badge>
        )}
        {scaling.error && now && (
          <Badge tone="bad" title={scaling.error.message}>
            {now.at ? `No answer since ${moment(now.at)}` : "No answer"}
          </Badge>
        )}
        <span className="spacer" />
        {me.configures && role === undefined && (
          <div className="tabs" role="tablist" aria-label="Parts of the view">
            <button role="tab" aria-selected={!isConfig} onClick={() => go(link("scaling", [id]))}>
              Roles
            </button>
            <button role="tab" aria-selected={isConfig} onClick={() => go(link("scaling", [id, "config"]))}>
              Configuration
            </button>
          </div>
        )}
      </div>
      {isConfig ? (
        <Suspense fallback={<Loading />}>
          <ConfigPage
            app={id}
            onTaken={() => {
              scaling.again();
              onTaken();
            }}
          />
        </Suspense>
      ) : !isGoverned ? (
        <EmptyState
          icon="scaling"
          title="This application has no configuration yet"
          actions={
            me.configures && (
              <a className="button primary" href={link("scaling", [id, "config"])}>
                Write one
              </a>
            )
          }
        >
          It says which queues there are, and how many workers each may have.
        </EmptyState>
      ) : now ? (
        role === undefined ? (
          <RoleList app={id} scaling={now} />
        ) : (
          <RolePage app={id} role={role} scaling={now} me={me} onChanged={scaling.again} />
        )
      ) : scaling.error ? (
        <ErrorState title="The scaler does not answer" actions={<Button onClick={scaling.again}>Try again</Button>}>
          {scaling.error.message}
        </ErrorState>
      ) : (
        <Loading />
      )}
    </div>
  );
}

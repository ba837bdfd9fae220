import "./apps.css";

import { useState } from "react";

import type { AppInfo, AppList, Me } from "../api";
import { reasonOf, useAsked } from "../api/asking";
import { rest } from "../app/rest";
import { link } from "../app/route";
import { Badge } from "../design/Badge";
import { Button } from "../design/Button";
import { Dialog } from "../design/Dialog";
import { EmptyState, ErrorState, Loading } from "../design/Notice";
import { Panel } from "../design/Panel";
import { Table } from "../design/Table";
import { toast } from "../design/Toasts";
import { AddApp } from "./AddApp";
import { PlatformToken } from "./PlatformToken";
import { Shown } from "./Shown";
import { Tokens } from "./Tokens";

/** Applications, their platforms' tokens, and who may come in. */
export default function AppsView() {
  const me = useAsked<Me>("v1/me");
  const list = useAsked<AppList>("v1/apps", 10);
  const [isAdding, setAdding] = useState(false);
  const [added, setAdded] = useState<{ id: string; token: string }>();
  const [platform, setPlatform] = useState<AppInfo>();
  const [removing, setRemoving] = useState<AppInfo>();
  if (!me.value || !list.value) {
    const error = me.error ?? list.error;
    if (!error) return <Loading />;
    const retry = () => {
      me.again();
      list.again();
    };
    return (
      <>
        <h1 className="unseen">Apps and access</h1>
        <ErrorState title="The service does not answer" actions={<Button onClick={retry}>Try again</Button>}>
          {error.message}
        </ErrorState>
      </>
    );
  }
  const { administers, may } = me.value;
  const { apps } = list.value;
  const add = administers && (
    <Button look="primary" icon="plus" onClick={() => setAdding(true)}>
      Add an application
    </Button>
  );
  return (
    <div className="page apps-page">
      <div className="page-heading">
        <h1>Apps and access</h1>
        {may === "read" && (
          <Badge tone="idle" title="This token may look, but change nothing">
            Read only
          </Badge>
        )}
        <span className="spacer" />
        {apps.length > 0 && add}
      </div>
      <Panel flush title="Applications">
        {apps.length === 0 ? (
          <EmptyState icon="apps" title="No application yet" actions={add}>
            An application has a configuration, a platform that runs its workers, and tokens of its own.
          </EmptyState>
        ) : (
          <Table<AppInfo>
            label="Applications"
            rows={apps}
            id={(app) => app.id}
            columns={[
              {
                title: "Application",
                cell: (app) => (
                  <>
                    <a className="apps-name" href={link("scaling", [app.id])}>
                      {app.id}
                    </a>
                    {app.platform_app && app.platform_app !== app.id && (
                      <span className="apps-note">{app.platform_app} on the platform</span>
                    )}
                  </>
                ),
              },
              { title: "State", width: "170px", cell: (app) => <State app={app} /> },
              { title: "Roles", right: true, width: "80px", cell: (app) => app.roles },
              {
                title: "Platform's token",
                width: "180px",
                cell: (app) => (app.has_platform_token ? "kept, sealed" : <span className="soft">none</span>),
              },
              {
                title: "Change",
                width: "250px",
                right: true,
                cell: (app) =>
                  may === "write" && (
                    <span className="apps-actions">
                      <Button small icon="key" onClick={() => setPlatform(app)}>
                        {app.has_platform_token ? "Replace token…" : "Set token…"}
                      </Button>
                      {administers && (
                        <Button
                          small
                          look="quiet"
                          icon="trash"
                          label={`Remove ${app.id}`}
                          onClick={() => setRemoving(app)}
                        />
                      )}
                    </span>
                  ),
              },
            ]}
          />
        )}
      </Panel>
      {may === "write" && <Tokens apps={apps} administers={administers} />}
      {isAdding && (
        <AddApp
          onClose={() => setAdding(false)}
          onAdded={(id, token) => {
            setAdding(false);
            setAdded({ id, token });
            list.again();
          }}
        />
      )}
      {added && (
        <Shown title={`${added.id} is added`} token={added.token} onClose={() => setAdded(undefined)}>
          This token opens {added.id} alone: for its own people, for <code>guv config set</code>, and for applications that
          tell of new jobs.
        </Shown>
      )}
      {platform && (
        <PlatformToken
          app={platform}
          onClose={() => setPlatform(undefined)}
          onDone={() => {
            setPlatform(undefined);
            list.again();
          }}
        />
      )}
      {removing && (
        <Dialog
          title={`Remove ${removing.id}?`}
          onClose={() => setRemoving(undefined)}
          onSubmit={() => {
            const { id } = removing;
            setRemoving(undefined);
            rest
              .delete(`v1/apps/${encodeURIComponent(id)}`)
              .then(() => toast(`${id} is removed.`))
              .catch((error: unknown) => toast(`It was not removed. ${reasonOf(error)}`, { bad: true }))
              .finally(list.again);
          }}
        >
          <p>
            It is governed no longer: its workers stay as many as they are now. Its configuration, with every version, and
            its tokens are deleted.
          </p>
          <div className="actions">
            <Button onClick={() => setRemoving(undefined)}>Cancel</Button>
            <Button type="submit" look="danger">
              Remove
            </Button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

function State({ app }: { app: AppInfo }) {
  if (!app.is_governed) {
    return (
      <Badge tone="idle" title="It has no configuration that can be used">
        Not governed
      </Badge>
    );
  }
  if (app.troubled > 0) return <Badge tone="warn">{app.troubled === 1 ? "1 role" : `${app.troubled} roles`} troubled</Badge>;
  return <Badge tone="good">Well</Badge>;
}

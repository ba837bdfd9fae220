import { useState } from "react";

import type { AddedToken, AppInfo, TokenInfo, TokenList } from "../api";
import { reasonOf, useAsked } from "../api/asking";
import { rest } from "../app/rest";
import { Badge } from "../design/Badge";
import { Button } from "../design/Button";
import { Dialog } from "../design/Dialog";
import { Field } from "../design/Field";
import { Panel } from "../design/Panel";
import { Table } from "../design/Table";
import { toast } from "../design/Toasts";
import { moment } from "../scaling/format";
import { Shown } from "./Shown";

/** What stands for the tokens that open everything. No application can have this name. */
const ALL = "*";

/** The tokens of one application, or those that open everything. */
export function Tokens({ apps, administers }: { apps: AppInfo[]; administers: boolean }) {
  const scopes = [...(administers ? [ALL] : []), ...apps.map((app) => app.id)];
  const [chosen, setChosen] = useState<string>();
  const scope = chosen !== undefined && scopes.includes(chosen) ? chosen : scopes[0];
  const base = scope === ALL ? "v1/tokens" : `v1/apps/${encodeURIComponent(scope ?? "")}/tokens`;
  const tokens = useAsked<TokenList>(scope === undefined ? undefined : base);
  const [isAdding, setAdding] = useState(false);
  const [added, setAdded] = useState<AddedToken>();
  const [revoking, setRevoking] = useState<TokenInfo>();
  if (scope === undefined) return null;
  return (
    <Panel
      flush
      title="Tokens"
      actions={
        <>
          <select
            className="select apps-scope"
            aria-label="Tokens of"
            value={scope}
            onChange={(event) => setChosen(event.target.value)}
          >
            {scopes.map((known) => (
              <option key={known} value={known}>
                {known === ALL ? "Everything" : known}
              </option>
            ))}
          </select>
          <Button icon="plus" onClick={() => setAdding(true)}>
            Make a token
          </Button>
        </>
      }
    >
      {tokens.value ? (
        <Table<TokenInfo>
          label="Tokens"
          rows={tokens.value.tokens}
          id={(token) => token.id}
          columns={[
            {
              title: "Name",
              cell: (token) => (
                <>
                  <span className="apps-named">
                    <b>{token.name}</b>
                    {token.is_yours && <Badge tone="info">Yours</Badge>}
                  </span>
                  <span className="apps-note">
                    hash <code>{token.id.slice(0, 8)}…</code>
                  </span>
                </>
              ),
            },
            {
              title: "May",
              width: "170px",
              cell: (token) => (token.may === "write" ? "look and change" : "look"),
            },
            {
              title: "Made",
              width: "180px",
              cell: (token) => (token.at > 0 ? moment(token.at, { withSeconds: false }) : "–"),
            },
            {
              title: "Change",
              width: "120px",
              right: true,
              cell: (token) =>
                !token.is_yours && (
                  <Button small aria-label={`Revoke ${token.name}`} onClick={() => setRevoking(token)}>
                    Revoke…
                  </Button>
                ),
            },
          ]}
        />
      ) : (
        <p className="apps-loading soft">{tokens.error ? tokens.error.message : "…"}</p>
      )}
      {isAdding && (
        <AddToken
          base={base}
          scope={scope}
          onClose={() => setAdding(false)}
          onAdded={(token) => {
            setAdding(false);
            setAdded(token);
            tokens.again();
          }}
        />
      )}
      {added && (
        <Shown title={`A token for ${added.name}`} token={added.token} onClose={() => setAdded(undefined)}>
          It opens {scope === ALL ? "every application" : scope}.
        </Shown>
      )}
      {revoking && (
        <Dialog
          title={`Revoke the token of ${revoking.name}?`}
          onClose={() => setRevoking(undefined)}
          onSubmit={() => {
            const { id, name } = revoking;
            setRevoking(undefined);
            rest
              .delete(`${base}/${id}`)
              .then(() => toast(`The token of ${name} opens nothing any more.`))
              .catch((error: unknown) => toast(`It was not revoked. ${reasonOf(error)}`, { bad: true }))
              .finally(tokens.again);
          }}
        >
          <p>Whoever or whatever uses it is locked out at once.</p>
          <div className="actions">
            <Button onClick={() => setRevoking(undefined)}>Cancel</Button>
            <Button type="submit" look="danger">
              Revoke
            </Button>
          </div>
        </Dialog>
      )}
    </Panel>
  );
}

interface AddProps {
  base: string;
  scope: string;
  onClose: () => void;
  onAdded: (token: AddedToken) => void;
}

function AddToken({ base, scope, onClose, onAdded }: AddProps) {
  const [name, setName] = useState("");
  const [may, setMay] = useState("read");
  const [wrong, setWrong] = useState<string>();
  const make = async () => {
    try {
      onAdded(await rest.post<AddedToken>(base, { name: name.trim(), may }));
    } catch (error) {
      setWrong(reasonOf(error));
    }
  };
  return (
    <Dialog
      title={scope === ALL ? "A token that opens everything" : `A token for ${scope}`}
      onClose={onClose}
      onSubmit={() => name.trim() && void make()}
    >
      <Field label="Who or what will use it" wrong={wrong}>
        <input
          className="input"
          value={name}
          autoFocus
          autoComplete="off"
          maxLength={64}
          onChange={(event) => setName(event.target.value)}
        />
      </Field>
      <Field
        label="It may"
        hint={
          may === "read"
            ? "See roles, charts and reasons, and tell of new jobs; not the configuration, which may hold secrets."
            : "Also pause, set by hand, change the configuration, and make tokens."
        }
      >
        <select className="select" value={may} onChange={(event) => setMay(event.target.value)}>
          <option value="read">look</option>
          <option value="write">look and change</option>
        </select>
      </Field>
      <div className="actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={!name.trim()}>
          Make
        </Button>
      </div>
    </Dialog>
  );
}

import { useState } from "react";

import type { AddedApp } from "../api";
import { reasonOf } from "../api/asking";
import { rest } from "../app/rest";
import { Button } from "../design/Button";
import { Dialog } from "../design/Dialog";
import { Field } from "../design/Field";

const PLAIN = /^[A-Za-z0-9_-]{1,64}$/;

export function AddApp(props: { onClose: () => void; onAdded: (id: string, token: string) => void }) {
  const [id, setId] = useState("");
  const [name, setName] = useState("");
  const [token, setToken] = useState("");
  const [wrong, setWrong] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const isPlain = PLAIN.test(id);
  const add = async () => {
    setBusy(true);
    try {
      const body = { id, ...(name ? { platform_app: name } : {}), ...(token ? { platform_token: token } : {}) };
      const added = await rest.post<AddedApp>("v1/apps", body);
      props.onAdded(added.id, added.token);
    } catch (error) {
      setWrong(reasonOf(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title="Add an application" onClose={props.onClose} onSubmit={() => isPlain && !isBusy && void add()}>
      <Field
        label="Name here"
        hint="Letters, digits, - and _; part of its addresses."
        wrong={wrong ?? (id && !isPlain ? "1 to 64 letters, digits, - and _." : undefined)}
      >
        <input
          className="input"
          value={id}
          autoFocus
          autoComplete="off"
          onChange={(event) => {
            setId(event.target.value.trim());
            setWrong(undefined);
          }}
        />
      </Field>
      <Field label="Name on the platform" hint="Where it is another one.">
        <input
          className="input"
          value={name}
          placeholder={id}
          autoComplete="off"
          onChange={(event) => setName(event.target.value.trim())}
        />
      </Field>
      <Field label="Platform's token" hint="Kept sealed, used to count and change workers, and never shown again.">
        <input
          className="input"
          type="password"
          autoComplete="off"
          value={token}
          onChange={(event) => setToken(event.target.value.trim())}
        />
      </Field>
      <div className="actions">
        <Button onClick={props.onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={!isPlain || isBusy}>
          Add
        </Button>
      </div>
    </Dialog>
  );
}

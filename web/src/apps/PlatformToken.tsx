import { useState } from "react";

import type { AppInfo } from "../api";
import { reasonOf } from "../api/asking";
import { rest } from "../app/rest";
import { Button } from "../design/Button";
import { Dialog } from "../design/Dialog";
import { Field } from "../design/Field";
import { toast } from "../design/Toasts";

export function PlatformToken({ app, onClose, onDone }: { app: AppInfo; onClose: () => void; onDone: () => void }) {
  const [token, setToken] = useState("");
  const [wrong, setWrong] = useState<string>();
  const keep = async () => {
    try {
      await rest.put(`v1/apps/${encodeURIComponent(app.id)}/platform`, { platform_token: token });
      toast(`The platform's token of ${app.id} is kept.`);
      onDone();
    } catch (error) {
      setWrong(reasonOf(error));
    }
  };
  return (
    <Dialog title={`Platform's token of ${app.id}`} onClose={onClose} onSubmit={() => token && void keep()}>
      <Field
        label="Token"
        wrong={wrong}
        hint={`With it guv counts and changes the workers of ${app.platform_app ?? app.id}. It is kept sealed and never shown again.`}
      >
        <input
          className="input"
          type="password"
          autoComplete="off"
          autoFocus
          value={token}
          onChange={(event) => setToken(event.target.value.trim())}
        />
      </Field>
      <div className="actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={!token}>
          Keep
        </Button>
      </div>
    </Dialog>
  );
}

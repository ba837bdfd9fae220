import { useState, type ReactNode } from "react";

import { Button } from "../design/Button";
import { Dialog } from "../design/Dialog";
import { Field } from "../design/Field";

/** A token that was just made: it can be copied now, and never again. */
export function Shown(props: { title: string; token: string; onClose: () => void; children: ReactNode }) {
  const { title, token, onClose, children } = props;
  const [isCopied, setCopied] = useState(false);
  const copy = () =>
    void navigator.clipboard
      .writeText(token)
      .then(() => setCopied(true))
      // Without leave to write there, it is selected for whoever copies by hand.
      .catch(() => document.querySelector<HTMLInputElement>(".apps-token")?.select());
  return (
    <Dialog title={title} onClose={onClose} onSubmit={onClose}>
      <p>{children}</p>
      <Field label="Token" hint="Copy it now: only its hash is kept, so it cannot be shown again.">
        <input className="input apps-token" readOnly value={token} onFocus={(event) => event.target.select()} />
      </Field>
      <div className="actions">
        <Button icon={isCopied ? "check" : "key"} onClick={copy}>
          {isCopied ? "Copied" : "Copy"}
        </Button>
        <Button type="submit" look="primary">
          Done
        </Button>
      </div>
    </Dialog>
  );
}

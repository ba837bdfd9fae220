import { useState } from "react";

import { Button } from "../design/Button";
import { Field } from "../design/Field";
import { Icon } from "../design/Icon";
import { signIn } from "./session";

/** The door: a secret opens it. */
export function SignIn({ isWrong }: { isWrong: boolean }) {
  const [secret, setSecret] = useState("");
  const [refused, setRefused] = useState(isWrong);
  const [isAsking, setAsking] = useState(false);
  return (
    <main className="door">
      <form
        className="panel sign-in"
        onSubmit={(event) => {
          event.preventDefault();
          setAsking(true);
          void signIn(secret).finally(() => {
            setAsking(false);
            setRefused(true);
          });
        }}
      >
        <span className="sign-in-mark">
          <Icon name="lock" />
        </span>
        <h1>Sign in</h1>
        <p className="soft">This server shows itself only to those who know a secret.</p>
        <Field
          label="Secret"
          wrong={refused && !isAsking ? "This secret opens nothing here. Ask whoever started the server." : undefined}
        >
          <input
            className="input"
            type="password"
            autoComplete="current-password"
            autoFocus
            value={secret}
            onChange={(event) => {
              setSecret(event.target.value);
              setRefused(false);
            }}
          />
        </Field>
        <Button type="submit" look="primary" disabled={!secret || isAsking}>
          Sign in
        </Button>
      </form>
    </main>
  );
}

import { Button } from "../design/Button";
import { ErrorState, Loading } from "../design/Notice";
import { Toasts } from "../design/Toasts";
import { connect, useSession } from "./session";
import { Shell } from "./Shell";
import { SignIn } from "./SignIn";

export function App() {
  const session = useSession((state) => state.session);
  return (
    <>
      {session.state === "connecting" && <Loading>Connecting…</Loading>}
      {session.state === "unreachable" && (
        <main className="door">
          <h1 className="unseen">msgflo</h1>
          <ErrorState
            title="The server cannot be reached"
            actions={
              <Button look="primary" onClick={() => void connect()}>
                Try again
              </Button>
            }
          >
            {session.reason}
          </ErrorState>
        </main>
      )}
      {session.state === "locked" && <SignIn isWrong={session.isWrong} />}
      {session.state === "open" && <Shell abilities={session.abilities} />}
      <Toasts />
    </>
  );
}

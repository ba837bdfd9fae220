import { useCallback, useEffect, useState } from "react";

import { rest } from "../app/rest";
import { Button } from "../design/Button";
import { Dialog } from "../design/Dialog";
import { EmptyState, ErrorState, Loading } from "../design/Notice";
import { complain, useMay } from "../protocol/store";
import type { Json } from "../protocol/types";
import { toast } from "../design/Toasts";
import { lineOf } from "./body";
import { MessageBody } from "./MessageBody";
import { MessageHeaders } from "./MessageProperties";
import { lookForParked, useParked } from "./ParkedList";

interface Death {
  reason?: string;
  queue?: string;
  count?: number;
  time?: number | string;
}

interface Letter {
  id: string;
  data: Json;
  death: Death | null;
  headers: Record<string, Json>;
  contentType: string | null;
  timestamp: number | null;
  bytes: number;
}

/** How many the server shows at once. */
const MOST_SHOWN = 200;

/** Messages that were refused: why, and what is to become of them. */
export function DeadLetters({ queue }: { queue: string }) {
  const mayMove = useMay("network:control");
  const parked = useParked((state) => state.queues?.find((parked) => parked.queue === queue));
  const depth = parked?.ready;
  const [letters, setLetters] = useState<Letter[]>();
  const [failure, setFailure] = useState<string>();
  const [chosen, setChosen] = useState<number>();
  const [isDropping, setDropping] = useState<{ ids?: string[] }>();
  const path = `api/deadletters/${encodeURIComponent(queue)}`;

  const look = useCallback(async () => {
    try {
      const answer = await rest.get<{ messages: Letter[] }>(path);
      setLetters(answer.messages);
      setFailure(undefined);
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
  }, [path]);
  useEffect(() => void look(), [look]);
  // Again at each count that they do not agree with: whoever looks holds the messages for a moment, and somebody else misses them.
  useEffect(() => {
    const isStale = letters && depth !== undefined && letters.length !== Math.min(depth, MOST_SHOWN);
    if (isStale) void look();
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [look, parked]);

  const act = async (what: "requeue" | "drop", ids?: string[]) => {
    try {
      const answer = await rest.post<{ moved?: number; homeless?: number; dropped?: number }>(
        `${path}/${what}`,
        ids ? { ids } : { all: true },
      );
      const count = answer.moved ?? answer.dropped ?? 0;
      const done = what === "requeue" ? "put back where it was refused" : "removed";
      toast(count === 1 ? `One message was ${done}.` : `${count} messages were ${done.replace("it was", "they were")}.`);
      if (answer.homeless) toast(`${answer.homeless} messages do not say where they were refused, and stay.`, { bad: true });
      setChosen(undefined);
    } catch (error) {
      complain(error);
    }
    await Promise.all([look(), lookForParked()]);
  };

  const letter = chosen === undefined ? undefined : letters?.[chosen];
  return (
    <section className="messages-main" aria-label={`Deadletters in ${queue}`}>
      <header className="messages-head">
        <h1>{queue}</h1>
        <span className="soft number messages-rate">{depth === undefined ? "" : `${depth} parked`}</span>
        {mayMove && letters && letters.length > 0 && (
          <>
            <Button look="danger" icon="trash" onClick={() => setDropping({})}>
              Drop all
            </Button>
            <Button look="primary" icon="repeat" onClick={() => void act("requeue")}>
              Requeue all
            </Button>
          </>
        )}
        <Button look="quiet" icon="refresh" label="Look again" onClick={() => void look()} />
      </header>
      {failure ? (
        <ErrorState title="The messages cannot be looked at">{failure}</ErrorState>
      ) : !letters ? (
        <Loading>Looking…</Loading>
      ) : letters.length === 0 ? (
        <EmptyState title="No message is parked here" icon="check">
          What workers refuse appears here, with the reason.
        </EmptyState>
      ) : (
        <div className="messages-split">
          <div className="messages-rows">
            <ul aria-label="Deadletters">
              {letters.map((it, index) => (
                <li key={`${it.id}${index}`}>
                  <button
                    type="button"
                    className="messages-row"
                    aria-pressed={chosen === index}
                    onClick={() => setChosen(chosen === index ? undefined : index)}
                  >
                    <span className="messages-reason">{it.death?.reason ?? "unknown"}</span>
                    <span className="messages-from">{it.death?.queue ?? ""}</span>
                    <code>{lineOf(it.data).slice(0, 400)}</code>
                  </button>
                </li>
              ))}
            </ul>
            {depth !== undefined && depth > letters.length && (
              <p className="soft messages-none">The first {letters.length} of {depth}.</p>
            )}
          </div>
          {letter && (
            <aside className="messages-detail" aria-label="Message">
              <header className="side-head">
                <h2>Message</h2>
                <Button small look="quiet" icon="close" label="Close" onClick={() => setChosen(undefined)} />
              </header>
              <dl className="facts messages-facts">
                <dt>Reason</dt>
                <dd>{letter.death?.reason ?? "the broker does not say"}</dd>
                <dt>Refused in</dt>
                <dd>
                  <code>{letter.death?.queue ?? "?"}</code>
                </dd>
                <dt>Times</dt>
                <dd className="number">{letter.death?.count ?? "?"}</dd>
                {letter.timestamp !== null && (
                  <>
                    <dt>Sent</dt>
                    <dd className="number">{new Date(letter.timestamp).toLocaleString()}</dd>
                  </>
                )}
              </dl>
              <MessageBody data={letter.data} />
              <MessageHeaders headers={letter.headers} />
              {mayMove && (
                <footer className="side-foot">
                  <Button icon="repeat" onClick={() => void act("requeue", [letter.id])}>
                    Requeue
                  </Button>
                  <Button look="danger" icon="trash" onClick={() => setDropping({ ids: [letter.id] })}>
                    Drop
                  </Button>
                </footer>
              )}
            </aside>
          )}
        </div>
      )}
      {isDropping && (
        <Dialog
          title={isDropping.ids ? "Drop this message?" : "Drop all messages of this queue?"}
          onClose={() => setDropping(undefined)}
          onSubmit={() => {
            setDropping(undefined);
            void act("drop", isDropping.ids);
          }}
        >
          <p>It cannot be taken back: what is dropped is gone for good.</p>
          <div className="actions">
            <Button onClick={() => setDropping(undefined)}>Cancel</Button>
            <Button type="submit" look="danger" icon="trash">
              Drop
            </Button>
          </div>
        </Dialog>
      )}
    </section>
  );
}

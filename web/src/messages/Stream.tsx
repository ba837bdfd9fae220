import { memo, useCallback, useEffect, useMemo, useState } from "react";

import { Badge } from "../design/Badge";
import { Button } from "../design/Button";
import { EmptyState } from "../design/Notice";
import type { GraphEdge } from "../protocol/graph";
import { edgeState } from "../network/flow";
import { edgeWords } from "../network/state";
import { useMay } from "../protocol/store";
import { forget, MOST_SEEN, useStream, type Seen } from "../protocol/stream";
import { useWatch } from "../protocol/watch";
import type { Json } from "../protocol/types";
import { lineOf, timeOf } from "./body";
import { rateOf, shown } from "./history";
import { MessageBody } from "./MessageBody";
import { MessageHeaders, MessageProperties } from "./MessageProperties";
import { Sender } from "./Sender";

/** As many rows as a list draws at once; the others are found by the filter. */
const ROWS = 300;

/** The messages of one connection, as they flow. */
export function Stream({ edge }: { edge: GraphEdge }) {
  const { key, src, tgt } = edge;
  // eslint-disable-next-line react-hooks/exhaustive-deps
  useWatch(useMemo(() => [{ src, tgt }], [key]));
  const maySend = useMay("protocol:runtime");
  const stream = useStream();
  const [frozen, setFrozen] = useState<Seen[]>();
  const [search, setSearch] = useState("");
  const [chosen, setChosen] = useState<Seen>();
  const [draft, setDraft] = useState<{ data: Json | undefined }>();
  const now = useNow(1000);
  const choose = useCallback((message: Seen) => setChosen((before) => (before?.id === message.id ? undefined : message)), []);

  const list = useMemo(() => shown(frozen ?? stream.seen, key, search), [frozen, stream.seen, key, search]);
  const newer = frozen ? stream.total - stream.leftOut - countOf(frozen, stream) : 0;
  const { state, reason } = edgeState(edge.metadata);
  const words = edgeWords(state);
  const share = stream.total > stream.leftOut ? stream.total / (stream.total - stream.leftOut) : 1;
  const rate = rateOf(stream.seen, share, now);

  return (
    <section className="messages-main" aria-label={`Messages from ${src.node} ${src.port} to ${tgt.node} ${tgt.port}`}>
      <header className="messages-head">
        <h1>
          {src.node} <code>{src.port}</code> <span aria-label="to">→</span> {tgt.node} <code>{tgt.port}</code>
        </h1>
        <Badge tone={words.tone} title={reason}>
          {words.word}
        </Badge>
        <span className="soft number messages-rate">{rate >= 0.1 ? `${rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString()} a second` : ""}</span>
        {maySend && (
          <Button icon="send" onClick={() => setDraft({ data: undefined })}>
            Send one
          </Button>
        )}
      </header>
      <div className="messages-tools" role="toolbar" aria-label="Stream">
        <Button icon={frozen ? "play" : "pause"} aria-pressed={frozen !== undefined} onClick={() => setFrozen(frozen ? undefined : stream.seen)}>
          {frozen ? "Resume" : "Pause"}
        </Button>
        <label className="messages-filter">
          <span className="unseen">Filter messages</span>
          <input
            className="input"
            type="search"
            placeholder="Filter messages"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
          />
        </label>
        <Button
          look="quiet"
          onClick={() => {
            forget();
            setFrozen(undefined);
            setChosen(undefined);
          }}
        >
          Clear
        </Button>
        <span className="messages-count soft number" role="status">
          {frozen && newer > 0 ? `${newer.toLocaleString()} newer · ` : ""}
          {stream.total.toLocaleString()} seen
          {stream.leftOut > 0 ? `, ${stream.leftOut.toLocaleString()} of them not shown` : ""}
          {stream.seen.length >= MOST_SEEN ? ` · the last ${MOST_SEEN} are kept` : ""}
        </span>
      </div>
      <div className="messages-split">
        <div className="messages-rows">
          {list.length === 0 ? (
            <EmptyState title={search ? "Nothing fits the filter" : "Waiting for messages"} icon="messages">
              {search ? "Messages that come and hold these words appear here." : "Whatever is sent from now on appears here."}
            </EmptyState>
          ) : (
            <ul aria-label="Messages">
              {list.slice(0, ROWS).map((message, index) => (
                <Row
                  key={message.id}
                  message={message}
                  gap={gapOf(message, list[index + 1])}
                  isChosen={chosen?.id === message.id}
                  onChoose={choose}
                />
              ))}
            </ul>
          )}
        </div>
        {chosen && (
          <aside className="messages-detail" aria-label="Message">
            <header className="side-head">
              <h2 className="number">{timeOf(chosen.at)}</h2>
              {maySend && (
                <Button small icon="edit" onClick={() => setDraft({ data: chosen.data })}>
                  Edit and send
                </Button>
              )}
              <Button small look="quiet" icon="close" label="Close" onClick={() => setChosen(undefined)} />
            </header>
            <MessageProperties message={chosen} />
            <MessageBody data={chosen.data} />
            <MessageHeaders headers={chosen.properties?.headers} />
          </aside>
        )}
      </div>
      {draft && <Sender tgt={tgt} data={draft.data} onClose={() => setDraft(undefined)} />}
    </section>
  );
}

interface RowProps {
  message: Seen;
  gap: string;
  isChosen: boolean;
  onChoose: (message: Seen) => void;
}

// Drawn once: in a flood only new rows cost anything.
const Row = memo(function Row({ message, gap, isChosen, onChoose }: RowProps) {
  return (
    <li>
      <button type="button" className="messages-row" aria-pressed={isChosen} onClick={() => onChoose(message)}>
        <time className="number">{timeOf(message.at)}</time>
        <span className="messages-gap number">{gap}</span>
        <code>{lineOf(message.data).slice(0, 400)}</code>
      </button>
    </li>
  );
});

/** How long after the one before. */
function gapOf(message: Seen, before: Seen | undefined): string {
  if (!before) return "";
  const gap = message.at - before.at;
  if (gap < 1000) return `+${gap} ms`;
  return gap < 60_000 ? `+${(gap / 1000).toFixed(1)} s` : `+${Math.round(gap / 60_000)} min`;
}

function countOf(frozen: Seen[], stream: { seen: Seen[]; total: number; leftOut: number }): number {
  const last = frozen.at(-1)?.id ?? 0;
  const newer = stream.seen.filter(({ id }) => id > last).length;
  return stream.total - stream.leftOut - newer;
}

function useNow(every: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

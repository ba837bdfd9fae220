import { useMemo } from "react";

import { link } from "../app/route";
import { Badge } from "../design/Badge";
import { Button } from "../design/Button";
import { MessageLine } from "../messages/MessageLine";
import type { GraphEdge } from "../protocol/graph";
import { useStatus } from "../protocol/status";
import { useMay } from "../protocol/store";
import { useStream } from "../protocol/stream";
import { samePort } from "../protocol/types";
import { useWatch } from "../protocol/watch";
import { removeEdges } from "./edits";
import { edgeState } from "./flow";
import { select } from "./selection";
import { edgeWords, waitingWords } from "./state";

const SHOWN = 12;

export function EdgeInspector({ edge }: { edge: GraphEdge }) {
  const mayEdit = useMay("protocol:graph");
  const maySee = useMay("network:data");
  const { state, reason, rate } = edgeState(edge.metadata);
  const words = edgeWords(state);
  const { src, tgt } = edge;
  const queues = useStatus((known) => known.nodes[tgt.node]?.queues);
  const queue = queues?.find(({ port }) => samePort(port, tgt.port));
  return (
    <aside className="network-side" aria-label={`Connection ${src.node} ${src.port} to ${tgt.node} ${tgt.port}`}>
      <header className="side-head">
        <h2>Connection</h2>
        <Button look="quiet" small icon="close" label="Close" onClick={() => select({ kind: "nothing" })} />
      </header>
      <div className="network-side-scroll">
        <dl className="facts">
          <dt>From</dt>
          <dd>
            {src.node} <code>{src.port}</code>
          </dd>
          <dt>To</dt>
          <dd>
            {tgt.node} <code>{tgt.port}</code>
          </dd>
          <dt>State</dt>
          <dd>
            <Badge tone={words.tone}>{words.word}</Badge>
          </dd>
          {queue?.ready !== undefined && (
            <>
              <dt>Waiting</dt>
              <dd className="number">{queue.ready === 0 ? "nothing" : waitingWords(queue.ready, queue.oldest_seconds)}</dd>
            </>
          )}
          {rate !== undefined && (
            <>
              <dt>Rate</dt>
              <dd className="number">{rate.toLocaleString()} a second</dd>
            </>
          )}
        </dl>
        <p className={reason ? `network-reason ${words.tone}` : "soft"}>{reason ?? words.meaning}</p>
        {maySee && <Live edge={edge} />}
      </div>
      <footer className="side-foot">
        {maySee && (
          <a className="button" href={link("messages", [`${src.node} ${src.port}`, `${tgt.node} ${tgt.port}`])}>
            All messages
          </a>
        )}
        {mayEdit && (
          <Button
            look="danger"
            icon="trash"
            onClick={() => void removeEdges([edge]).then(() => select({ kind: "nothing" }))}
          >
            Disconnect
          </Button>
        )}
      </footer>
    </aside>
  );
}

function Live({ edge }: { edge: GraphEdge }) {
  const { key, src, tgt } = edge;
  // eslint-disable-next-line react-hooks/exhaustive-deps
  useWatch(useMemo(() => [{ src, tgt }], [key]));
  const { seen, total, leftOut } = useStream();
  const own = seen.filter((message) => message.edge === key).slice(-SHOWN).reverse();
  return (
    <section>
      <h3>
        Messages
        {total > 0 && (
          <span className="number">{` · ${total} since you look${leftOut > 0 ? `, ${leftOut} not shown` : ""}`}</span>
        )}
      </h3>
      {own.length === 0 ? (
        <p className="soft">None yet, since you look.</p>
      ) : (
        <ul className="network-live" aria-label="Messages on this connection">
          {own.map((message) => (
            <MessageLine key={message.id} message={message} />
          ))}
        </ul>
      )}
    </section>
  );
}

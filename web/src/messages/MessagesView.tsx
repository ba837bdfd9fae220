import "./messages.css";

import { useMemo, useState } from "react";

import { link, useRoute } from "../app/route";
import { Badge } from "../design/Badge";
import { Icon } from "../design/Icon";
import { EmptyState, ErrorState, Loading } from "../design/Notice";
import { SearchField } from "../design/SearchField";
import { edgeState } from "../network/flow";
import { edgeWords } from "../network/state";
import { useMay, useNetwork } from "../protocol/store";
import { DeadLetters } from "./DeadLetters";
import { edgeAt, endText } from "./history";
import { ParkedList, usePolledParked } from "./ParkedList";
import { Stream } from "./Stream";

/** Two lists at the left, connections and deadletter queues; at the right what was chosen. */
export default function MessagesView() {
  const { graph, isLoaded, refusal } = useNetwork();
  const maySee = useMay("network:data");
  const { rest } = useRoute();
  const [search, setSearch] = useState("");
  usePolledParked();

  const isParked = rest[0] === "deadletters";
  const chosen = isParked ? undefined : edgeAt(graph, rest);
  const edges = useMemo(
    () => Object.values(graph.edges).sort((a, b) => endText(a.src).localeCompare(endText(b.src))),
    [graph.edges],
  );
  const wanted = search.trim().toLowerCase();
  const listed = edges.filter(({ src, tgt }) => `${endText(src)} ${endText(tgt)}`.toLowerCase().includes(wanted));

  if (!isLoaded && !refusal) return <Loading>Reading the network…</Loading>;
  if (!maySee || refusal) {
    return (
      <ErrorState title="You may not see messages" icon="lock">
        {refusal ?? "Sign in with a secret that has the permission network:data."}
      </ErrorState>
    );
  }
  return (
    <div className="messages">
      <nav className="messages-list" aria-label="Connections and deadletters">
        <SearchField
          label="Search connections"
          value={search}
          onChange={setSearch}
          className="messages-search"
        />
        <div className="messages-list-scroll">
          <h2>Connections</h2>
          {listed.length === 0 && <p className="soft messages-none">{wanted ? "None has this in its name." : "Nothing is connected."}</p>}
          <ul>
            {listed.map(({ key, src, tgt, metadata }) => {
              const { state } = edgeState(metadata);
              const words = edgeWords(state);
              return (
                <li key={key}>
                  <a
                    className="messages-edge"
                    href={link("messages", [endText(src), endText(tgt)])}
                    aria-current={chosen?.key === key ? "true" : undefined}
                  >
                    <span>
                      <strong>{src.node}</strong> <code>{src.port}</code>
                    </span>
                    <span>
                      <Icon name="right" />
                      <strong>{tgt.node}</strong> <code>{tgt.port}</code>
                    </span>
                    {(state === "pending" || state === "failed") && <Badge tone={words.tone}>{words.word}</Badge>}
                  </a>
                </li>
              );
            })}
          </ul>
          <h2>Deadletters</h2>
          <ParkedList chosen={isParked ? rest[1] : undefined} />
        </div>
      </nav>
      {isParked && rest[1] ? (
        <DeadLetters key={rest[1]} queue={rest[1]} />
      ) : chosen ? (
        <Stream key={chosen.key} edge={chosen} />
      ) : (
        <section className="messages-main">
          <h1 className="unseen">Messages</h1>
          <EmptyState title={rest.length > 0 ? "There is no such connection" : "Choose a connection"} icon="messages">
            {edges.length === 0
              ? "Nothing is connected yet: connect two nodes in the network."
              : "Its messages are shown as they flow. They are copies: none is taken from a worker."}
          </EmptyState>
        </section>
      )}
    </div>
  );
}

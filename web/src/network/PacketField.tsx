import { useEffect, useRef, useState } from "react";

import { Button } from "../design/Button";
import { Switch } from "../design/Field";
import { complain, edit, remember, useNetwork } from "../protocol/store";
import { endKey, type End, type Json, type Port } from "../protocol/types";
import { packetEdits } from "./edits";
import { kindOf, rangeOf } from "./packet";

/** While a value is dragged it is told this often. */
const EVERY_MS = 150;

/** The packet of an inport: sent when it is changed, and whenever the participant appears. */
export function PacketField({ tgt, port }: { tgt: End; port: Port | undefined }) {
  const initial = useNetwork((state) => state.graph.initials[endKey(tgt)]);
  const data = initial?.data;
  const kind = kindOf(port, data);
  const label = `Packet for ${tgt.port}`;
  // A number that was written as text stays text: that is what the participant has been getting.
  const asText = typeof data === "string";

  const send = (value: Json | undefined) => {
    const { graph } = useNetwork.getState();
    void edit(packetEdits(graph, tgt, value));
  };

  return (
    <div className="network-packet-field">
      {kind === "switch" && <Switch label={label} on={data === true} onChange={send} />}
      {kind === "choice" && (
        <select
          className="select"
          aria-label={label}
          value={JSON.stringify(data)}
          onChange={(event) => send(JSON.parse(event.target.value) as Json)}
        >
          {data === undefined && <option value="">choose…</option>}
          {(port?.values ?? []).map((value) => (
            <option key={JSON.stringify(value)} value={JSON.stringify(value)}>
              {typeof value === "string" ? value : JSON.stringify(value)}
            </option>
          ))}
        </select>
      )}
      {kind === "number" && (
        <NumberField
          key={endKey(tgt)}
          label={label}
          tgt={tgt}
          value={data === undefined ? undefined : Number(data)}
          asText={asText}
          isWhole={["int", "integer"].includes(port?.type.toLowerCase() ?? "")}
        />
      )}
      {(kind === "text" || kind === "json") && (
        <TextField key={`${endKey(tgt)}${JSON.stringify(data)}`} label={label} isJson={kind === "json"} data={data} onSend={send} />
      )}
      {initial && (
        <Button small look="quiet" icon="trash" label={`Remove the packet of ${tgt.port}`} onClick={() => send(undefined)} />
      )}
    </div>
  );
}

interface NumberProps {
  label: string;
  tgt: End;
  value: number | undefined;
  asText: boolean;
  isWhole: boolean;
}

function NumberField({ label, tgt, value, asText, isWhole }: NumberProps) {
  const [text, setText] = useState(value === undefined ? "" : String(value));
  const [range] = useState(() => rangeOf(value ?? 0));
  const sent = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const before = useRef<{ data: Json | undefined }>(undefined);

  // What somebody else has set.
  useEffect(() => {
    if (value !== sent.current) {
      sent.current = value;
      setText(value === undefined ? "" : String(value));
    }
  }, [value]);

  const tell = async (next: number) => {
    sent.current = next;
    const { graph } = useNetwork.getState();
    const data = asText ? String(next) : next;
    await edit(packetEdits(graph, tgt, data), { undoable: false });
  };
  const change = (raw: string) => {
    setText(raw);
    const next = Number(raw);
    if (raw.trim() === "" || !Number.isFinite(next)) return;
    before.current ??= { data: useNetwork.getState().graph.initials[endKey(tgt)]?.data };
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void tell(next).catch(complain), EVERY_MS);
  };
  // A drag is one step of undo.
  const settle = () => {
    const first = before.current;
    if (!first) return;
    before.current = undefined;
    setTimeout(() => {
      const now = useNetwork.getState().graph.initials[endKey(tgt)]?.data;
      if (now === undefined || now === first.data) return;
      const back = packetEdits(useNetwork.getState().graph, tgt, first.data);
      remember(back);
    }, EVERY_MS * 3);
  };

  const step = isWhole ? 1 : range.step;
  return (
    <span className="network-number">
      <input
        type="range"
        aria-label={`${label}, slider`}
        min={range.low}
        max={range.high}
        step={step}
        value={text === "" ? range.low : Number(text)}
        onChange={(event) => change(event.target.value)}
        onPointerUp={settle}
        onKeyUp={settle}
      />
      <input
        className="input number"
        type="number"
        aria-label={label}
        step={isWhole ? 1 : "any"}
        value={text}
        onChange={(event) => change(event.target.value)}
        onBlur={settle}
      />
    </span>
  );
}

interface TextProps {
  label: string;
  isJson: boolean;
  data: Json | undefined;
  onSend: (value: Json) => void;
}

function TextField({ label, isJson, data, onSend }: TextProps) {
  const shown = data === undefined ? "" : isJson ? JSON.stringify(data, null, 2) : String(data);
  const [text, setText] = useState(shown);
  const isChanged = text !== shown;
  let parsed: { value: Json } | undefined = { value: text };
  if (isJson) {
    try {
      parsed = { value: JSON.parse(text) as Json };
    } catch {
      parsed = undefined;
    }
  }
  const submit = () => {
    if (isChanged && parsed) onSend(parsed.value);
  };
  return (
    <span className="network-text">
      {isJson ? (
        <textarea
          className="textarea"
          aria-label={label}
          aria-invalid={!parsed}
          rows={4}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit()}
        />
      ) : (
        <input
          className="input"
          aria-label={label}
          placeholder="nothing is sent"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => event.key === "Enter" && submit()}
        />
      )}
      {isChanged && (
        <Button small look="primary" disabled={!parsed} onClick={submit}>
          {parsed ? "Set" : "No JSON"}
        </Button>
      )}
    </span>
  );
}

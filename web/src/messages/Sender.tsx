import { useState } from "react";

import { rest } from "../app/rest";
import { Button } from "../design/Button";
import { Dialog } from "../design/Dialog";
import { Field } from "../design/Field";
import { toast } from "../design/Toasts";
import { useNetwork } from "../protocol/store";
import type { End, Json } from "../protocol/types";

/** What was written, as a message: JSON where it is JSON, else text. */
export function read(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** One message for an inport: a new one, or one that was seen and changed. */
export function Sender({ tgt, data, onClose }: { tgt: End; data: Json | undefined; onClose: () => void }) {
  const [text, setText] = useState(() =>
    data === undefined ? "" : typeof data === "string" && typeof read(data) === "string" ? data : JSON.stringify(data, null, 2),
  );
  const [wrong, setWrong] = useState<string>();
  const value = read(text);
  const isText = typeof value === "string";
  const submit = async () => {
    try {
      await rest.post("api/packets", { role: tgt.node, port: tgt.port, data: value });
      toast(`Sent to ${tgt.node} ${tgt.port}.`);
      onClose();
    } catch (error) {
      setWrong(error instanceof Error ? error.message : String(error));
    }
  };
  const mainOf = useNetwork((state) => state.graph.nodes[tgt.node]);
  return (
    <Dialog title={`Send to ${tgt.node} ${tgt.port}`} onClose={onClose} onSubmit={() => void submit()}>
      <Field
        label="Message"
        wrong={wrong}
        hint={`${isText ? "It is no JSON, and is sent as a text in quotes." : "It is sent as JSON."} Only ${tgt.node} gets it.`}
      >
        <textarea className="textarea" rows={10} autoFocus value={text} onChange={(event) => setText(event.target.value)} />
      </Field>
      <div className="actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" icon="send" disabled={!text.trim() || !mainOf}>
          Send
        </Button>
      </div>
    </Dialog>
  );
}

import { useState } from "react";

import { Button } from "../design/Button";
import { Dialog } from "../design/Dialog";
import { Field } from "../design/Field";
import { useNetwork, writeSource } from "../protocol/store";
import { isName, TEMPLATES } from "./templates";

/** A new component from a template, in the library's folder. */
export function NewComponent({ onClose, onMade }: { onClose: () => void; onMade: (name: string) => void }) {
  const { components, runtime } = useNetwork();
  const [name, setName] = useState("");
  const [language, setLanguage] = useState(TEMPLATES[0]?.language ?? "");
  const [failure, setFailure] = useState<string>();
  const full = runtime?.namespace ? `${runtime.namespace}/${name}` : name;
  const isTaken = components[full] !== undefined;
  const wrong = name && !isName(name) ? "Letters, digits and _ make a name; it begins with a letter." : isTaken ? "There is a component of this name already." : failure;

  const make = async () => {
    const template = TEMPLATES.find((it) => it.language === language);
    if (!template || !isName(name) || isTaken) return;
    try {
      const library = runtime?.namespace;
      await writeSource({ name, ...(library ? { library } : {}), language, code: template.code(name) });
      onMade(full);
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <Dialog title="New component" onClose={onClose} onSubmit={() => void make()}>
      <Field label="Name" wrong={wrong} hint={`It will be ${full || "…"}.`}>
        <input
          className="input"
          autoFocus
          placeholder="FormatTemperature"
          value={name}
          onChange={(event) => {
            setName(event.target.value);
            setFailure(undefined);
          }}
        />
      </Field>
      <Field label="Template">
        <select className="select" value={language} onChange={(event) => setLanguage(event.target.value)}>
          {TEMPLATES.map((template) => (
            <option key={template.language} value={template.language}>
              {template.title}
            </option>
          ))}
        </select>
      </Field>
      <div className="actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={!isName(name) || isTaken}>
          Create
        </Button>
      </div>
    </Dialog>
  );
}

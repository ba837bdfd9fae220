import { useState } from "react";

import { Button } from "../design/Button";
import { Field } from "../design/Field";
import type { Group } from "../protocol/graph";
import { edit, useMay } from "../protocol/store";
import { select } from "./selection";

export function GroupInspector({ group }: { group: Group }) {
  const mayEdit = useMay("protocol:graph");
  const [name, setName] = useState(group.name);
  const submit = () => {
    if (!name.trim() || name === group.name) return;
    void edit([{ command: "renamegroup", payload: { from: group.name, to: name.trim() } }]).then(
      (done) => done && select({ kind: "group", name: name.trim() }),
    );
  };
  return (
    <aside className="network-side" aria-label={`Group ${group.name}`}>
      <header className="side-head">
        <h2>Group</h2>
        <Button look="quiet" small icon="close" label="Close" onClick={() => select({ kind: "nothing" })} />
      </header>
      <div className="network-side-scroll">
        <Field label="Name">
          <input
            className="input"
            value={name}
            disabled={!mayEdit}
            onChange={(event) => setName(event.target.value)}
            onBlur={submit}
            onKeyDown={(event) => event.key === "Enter" && submit()}
          />
        </Field>
        <h3>Nodes</h3>
        <ul className="network-port-list">
          {group.nodes.map((id) => (
            <li key={id}>{id}</li>
          ))}
        </ul>
      </div>
      {mayEdit && (
        <footer className="side-foot">
          <Button
            look="danger"
            icon="trash"
            onClick={() =>
              void edit([{ command: "removegroup", payload: { name: group.name } }]).then(() => select({ kind: "nothing" }))
            }
          >
            Remove group
          </Button>
        </footer>
      )}
    </aside>
  );
}

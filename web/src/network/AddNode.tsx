import { useReactFlow } from "@xyflow/react";
import { useMemo, useState } from "react";

import { Button } from "../design/Button";
import { Icon } from "../design/Icon";
import { EmptyState } from "../design/Notice";
import { SearchField } from "../design/SearchField";
import { useStatus } from "../protocol/status";
import { useNetwork } from "../protocol/store";
import { addNode, freeName } from "./edits";
import { iconOf } from "./icons";
import { places } from "./layout";
import { viewNodes } from "./flow";
import { select, useView } from "./selection";

interface Choice {
  /** The name that the node will have, if it is settled. */
  role?: string;
  component: string;
  about: string;
  icon: string;
}

/** A list to choose a node from: who has announced itself, and the library. */
export function AddNode() {
  const flow = useReactFlow();
  const components = useNetwork((state) => state.components);
  const strangers = useStatus((state) => state.status?.strangers);
  const [search, setSearch] = useState("");
  const wanted = search.trim().toLowerCase();

  const { announced, library } = useMemo(() => {
    const fits = ({ role = "", component, about }: Choice) => `${role} ${component} ${about}`.toLowerCase().includes(wanted);
    const all = Object.values(components).sort((a, b) => a.name.localeCompare(b.name));
    return {
      announced: (strangers ?? [])
        .map(({ role, component, label, icon }) => ({ role, component, about: label ?? "", icon: icon ?? "" }))
        .filter(fits),
      library: all
        .map(({ name, description, icon }) => ({ component: name, about: description ?? "", icon: icon ?? "" }))
        .filter(fits),
    };
  }, [components, strangers, wanted]);

  const add = async ({ role, component }: Choice) => {
    const { graph, runtime } = useNetwork.getState();
    const id = role ?? freeName(component, graph);
    // In the middle of what is seen, and on nobody.
    const box = document.querySelector(".network-canvas")?.getBoundingClientRect();
    const middle = box ? { x: box.x + box.width / 2 - 100, y: box.y + box.height / 2 - 40 } : { x: 0, y: 0 };
    const at = flow.screenToFlowPosition(middle);
    const place = { x: Math.max(0, Math.round(at.x)), y: Math.max(0, Math.round(at.y)) };
    const views = viewNodes(graph, components, runtime?.namespace, useStatus.getState().nodes, "");
    const taken = Object.entries(places(graph, views));
    const hits = () =>
      taken.some(([other, { x, y }]) => {
        const view = views[other];
        return view && place.x < x + view.width + 24 && x < place.x + 232 && place.y < y + view.height + 24 && y < place.y + 130;
      });
    while (hits()) place.y += 24;
    if (await addNode(id, component, place)) {
      select({ kind: "node", id });
      setTimeout(() => void flow.fitView({ padding: 0.15, maxZoom: 1.1, duration: 200 }), 80);
    }
  };

  const first = announced[0] ?? library[0];
  return (
    <aside className="network-side" aria-label="Add a node">
      <header className="side-head">
        <h2>Add a node</h2>
        <Button look="quiet" small icon="close" label="Close" onClick={() => useView.setState({ isAdding: false })} />
      </header>
      <div className="network-side-search">
        <SearchField
          label="Search components"
          value={search}
          onChange={setSearch}
          autoFocus
          onKeyDown={(event) => {
              if (event.key === "Enter" && first) void add(first);
              if (event.key === "Escape") useView.setState({ isAdding: false });
            }}
        />
      </div>
      <div className="network-side-scroll">
        {!first && (
          <EmptyState title="Nothing fits" icon="search">
            {wanted ? "No component and no participant has this in its name." : "The library is empty."}
          </EmptyState>
        )}
        {announced.length > 0 && <h3>Announced, not in the graph</h3>}
        <ul>
          {announced.map((choice) => (
            <li key={choice.role}>
              <ChoiceButton choice={choice} onChoose={() => void add(choice)} />
            </li>
          ))}
        </ul>
        {library.length > 0 && <h3>Library</h3>}
        <ul>
          {library.map((choice) => (
            <li key={choice.component}>
              <ChoiceButton choice={choice} onChoose={() => void add(choice)} />
            </li>
          ))}
        </ul>
      </div>
    </aside>
  );
}

function ChoiceButton({ choice, onChoose }: { choice: Choice; onChoose: () => void }) {
  return (
    <button type="button" className="network-choice" onClick={onChoose}>
      <span className="network-node-icon">
        <Icon name={iconOf(choice.icon)} />
      </span>
      <span>
        <strong>{choice.role ?? choice.component}</strong>
        <span>{choice.role ? choice.component : choice.about || "no description"}</span>
      </span>
    </button>
  );
}

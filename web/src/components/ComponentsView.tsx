import "./components.css";

import { useMemo, useState } from "react";

import { go, link, useRoute } from "../app/route";
import { Button } from "../design/Button";
import { Icon } from "../design/Icon";
import { EmptyState, ErrorState, Loading } from "../design/Notice";
import { SearchField } from "../design/SearchField";
import { iconOf } from "../network/icons";
import { usePolledStatus } from "../protocol/status";
import { useMay, useNetwork } from "../protocol/store";
import { ComponentPage } from "./ComponentPage";
import { NewComponent } from "./NewComponent";

export default function ComponentsView() {
  usePolledStatus();
  const components = useNetwork((state) => state.components);
  const isLoaded = useNetwork((state) => state.isLoaded || state.refusal !== undefined);
  const mayList = useMay("protocol:component");
  const mayWrite = useMay("component:setsource");
  const { rest } = useRoute();
  const [search, setSearch] = useState("");
  const [isMaking, setMaking] = useState(false);
  const wanted = search.trim().toLowerCase();
  const listed = useMemo(
    () =>
      Object.values(components)
        .filter(({ name, description }) => `${name} ${description ?? ""}`.toLowerCase().includes(wanted))
        .sort((a, b) => a.name.localeCompare(b.name)),
    [components, wanted],
  );
  const chosen = rest[0] === undefined ? undefined : components[rest[0]];

  if (!isLoaded) return <Loading>Reading the library…</Loading>;
  if (!mayList) {
    return (
      <ErrorState title="You may not see the components" icon="lock">
        Sign in with a secret that has the permission protocol:component.
      </ErrorState>
    );
  }
  return (
    <div className="components">
      <nav className="components-list" aria-label="Components">
        <div className="components-list-head">
          <SearchField label="Search components" value={search} onChange={setSearch} />
          {mayWrite && <Button icon="plus" label="New component" onClick={() => setMaking(true)} />}
        </div>
        <ul>
          {listed.map(({ name, description, icon }) => (
            <li key={name}>
              <a href={link("components", [name])} aria-current={chosen?.name === name ? "true" : undefined}>
                <span className="components-icon">
                  <Icon name={iconOf(icon ?? "")} />
                </span>
                <span className="components-names">
                  <strong>{name}</strong>
                  <span>{description ?? "no description"}</span>
                </span>
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <section className="components-main">
        {chosen ? (
          <ComponentPage key={chosen.name} component={chosen} />
        ) : (
          <>
            <h1 className="unseen">Components</h1>
            <EmptyState title={rest[0] ? `There is no component ${rest[0]}` : "Choose a component"} icon="components">
            {listed.length === 0
              ? "The library is empty: say --library or --componentdir to msgflo run."
              : "Its ports and its source are shown here."}
            </EmptyState>
          </>
        )}
      </section>
      {isMaking && (
        <NewComponent
          onClose={() => setMaking(false)}
          onMade={(name) => {
            setMaking(false);
            go(link("components", [name]));
          }}
        />
      )}
    </div>
  );
}

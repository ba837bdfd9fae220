import { Component, Suspense, type ReactNode } from "react";

import { Button } from "../design/Button";
import { Icon } from "../design/Icon";
import { EmptyState, ErrorState, Loading } from "../design/Notice";
import { ServerState } from "./ServerState";
import { link, useRoute } from "./route";
import { currentSecret } from "./secret";
import { signOut, type Abilities } from "./session";
import { toggleTheme, useTheme } from "./theme";
import { VIEWS } from "./views";

/** The frame: the navigation above, a view below. */
export function Shell({ abilities }: { abilities: Abilities }) {
  const route = useRoute();
  const theme = useTheme();
  const views = VIEWS.filter((view) => view.needs(abilities));
  const home = abilities.network ? "network" : "overview";
  const shown = views.find((view) => view.path === (route.view || home));
  return (
    <div className="shell">
      <header className="shell-header">
        <a className="shell-name" href={link(home)}>
          <img src="./icon.svg" alt="" width="22" height="22" />
          {abilities.network ? "msgflo" : "guv"}
        </a>
        <nav aria-label="Views">
          {views.map((view) => (
            <a key={view.path} href={link(view.path)} aria-current={view === shown ? "page" : undefined}>
              <Icon name={view.icon} />
              <span>{view.title}</span>
            </a>
          ))}
        </nav>
        <div className="shell-tools">
          {abilities.network && <ServerState />}
          <Button
            look="quiet"
            icon={theme === "dark" ? "sun" : "moon"}
            label={theme === "dark" ? "Light colours" : "Dark colours"}
            onClick={toggleTheme}
          />
          {currentSecret() && <Button look="quiet" icon="leave" label="Sign out" onClick={signOut} />}
        </div>
      </header>
      <main className={shown?.fills ? "shell-view fills" : "shell-view"} key={shown?.path}>
        <Boundary>
          <Suspense fallback={<Loading />}>
            {shown ? (
              <shown.Component />
            ) : (
              <EmptyState
                title="There is no such view here"
                actions={
                  <a className="button" href={link(home)}>
                    Go to the start
                  </a>
                }
              >
                The address names something that this server does not have.
              </EmptyState>
            )}
          </Suspense>
        </Boundary>
      </main>
    </div>
  );
}

/** A view that fails takes nothing else with it. */
class Boundary extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <ErrorState title="This view failed" actions={<Button onClick={() => window.location.reload()}>Reload</Button>}>
        {error.message}
      </ErrorState>
    );
  }
}

// Where we are: `#/view/rest?key=value`. The hash never reaches a server, so that any server can serve the page.

import { useSyncExternalStore } from "react";

export interface Route {
  /** The view: the first part of the path. */
  view: string;
  /** What of it: the other parts, decoded. */
  rest: string[];
  query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view = "", ...rest] = path.split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { view, rest, query: new URLSearchParams(query) };
}

/** The hash that leads there: `link("messages", ["in", "OUT"], {tab: "live"})`. */
export function link(view: string, rest: string[] = [], query: Record<string, string> = {}): string {
  const path = [view, ...rest].map(encodeURIComponent).join("/");
  const search = new URLSearchParams(query).toString();
  return `#/${path}${search ? `?${search}` : ""}`;
}

export function go(hash: string) {
  window.location.hash = hash;
}

function subscribe(changed: () => void) {
  window.addEventListener("hashchange", changed);
  return () => window.removeEventListener("hashchange", changed);
}

let known: { hash: string; route: Route } | undefined;

function current(): Route {
  const { hash } = window.location;
  if (known?.hash !== hash) known = { hash, route: parseRoute(hash) };
  return known.route;
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, current);
}

// Light or dark: as the system says, unless somebody chose.

import { useSyncExternalStore } from "react";

export type Theme = "light" | "dark";

const KEY = "msgflo.theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");
// Kept, and not asked for anew: Chromium does not tell of a change that somebody has seen by asking before it could.
let prefersDark = system.matches;
const listeners = new Set<() => void>();

export function currentTheme(): Theme {
  const chosen = localStorage.getItem(KEY);
  if (chosen === "light" || chosen === "dark") return chosen;
  return prefersDark ? "dark" : "light";
}

function apply() {
  document.documentElement.dataset["theme"] = currentTheme();
  for (const listener of listeners) listener();
}

export function startTheme() {
  apply();
  system.addEventListener("change", ({ matches }) => {
    prefersDark = matches;
    apply();
  });
}

export function toggleTheme() {
  localStorage.setItem(KEY, currentTheme() === "dark" ? "light" : "dark");
  apply();
}

/** Draws again when the theme changes; a canvas reads the colours anew. */
export function useTheme(): Theme {
  return useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    currentTheme,
  );
}

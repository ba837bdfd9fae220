// Asking again and again, while somebody looks.

import { useCallback, useEffect, useRef, useState } from "react";

import { rest, RestError } from "../app/rest";

export interface Asked<T> {
  /** The last good answer; it stays while a later request fails. */
  value: T | undefined;
  /** Why the last request had none. */
  error: RestError | undefined;
  /** Asks now. */
  again: () => void;
}

/**
 * The answer of a path, asked every so many seconds while the page is visible; `undefined` asks nothing. Where the path
 * changes the answer to the one before is forgotten.
 */
export function useAsked<T>(path: string | undefined, every?: number): Asked<T> {
  const [state, setState] = useState<{ path: string | undefined; value?: T; error?: RestError }>({ path });
  const [turn, setTurn] = useState(0);
  const asking = useRef<string | undefined>(undefined);
  useEffect(() => {
    if (path === undefined) return;
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      asking.current = path;
      try {
        const value = await rest.get<T>(path);
        if (!isOver) setState({ path, value });
      } catch (failed) {
        const error = failed instanceof RestError ? failed : new RestError(0, String(failed));
        if (!isOver) setState((known) => (known.path === path ? { ...known, error } : { path, error }));
      }
      if (!isOver && every) timer = setTimeout(next, every * 1000);
    };
    const next = () => {
      if (document.visibilityState === "hidden") document.addEventListener("visibilitychange", next, { once: true });
      else if (!isOver) void ask();
    };
    void ask();
    return () => {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", next);
    };
  }, [path, every, turn]);
  const again = useCallback(() => setTurn((turn) => turn + 1), []);
  const known = state.path === path ? state : { value: undefined, error: undefined };
  return { value: known.value, error: known.error, again };
}

/** What went wrong, in the words of whoever refused. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

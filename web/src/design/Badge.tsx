import type { ReactNode } from "react";

/** How something fares: never by colour alone, the word says it. */
export type Tone = "good" | "warn" | "bad" | "idle" | "info";

export function Badge({ tone, children, title }: { tone: Tone; children: ReactNode; title?: string | undefined }) {
  return (
    <span className={`badge ${tone}`} title={title}>
      {children}
    </span>
  );
}

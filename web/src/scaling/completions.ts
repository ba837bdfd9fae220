// The keys of a configuration, as its JSON Schema has them, for whoever writes one.

export interface Completion {
  label: string;
  info: string;
  /** What is put in its place. */
  apply: string;
}

interface Key {
  description?: string;
  enum?: unknown[];
}

export interface ConfigSchema {
  $defs?: Record<string, { properties?: Record<string, Key> }>;
}

export function completionsOf(schema: ConfigSchema): Completion[] {
  const keys = new Map<string, Completion>();
  for (const block of Object.values(schema.$defs ?? {})) {
    for (const [label, key] of Object.entries(block.properties ?? {})) {
      keys.set(label, { label, info: key.description ?? "", apply: `${label}: ` });
      for (const value of key.enum ?? []) {
        const word = String(value);
        keys.set(`=${word}`, { label: word, info: `a value of ${label}`, apply: word });
      }
    }
  }
  return [...keys.values()];
}

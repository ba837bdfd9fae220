// How a role fares, in a word and a tone.

import type { Condition, RoleNow } from "../api";
import type { Tone } from "../design/Badge";

const SHOWN: Record<Condition, { word: string; tone: Tone; rank: number }> = {
  failing: { word: "Failing", tone: "bad", rank: 0 },
  blind: { word: "Blind", tone: "bad", rank: 1 },
  late: { word: "Late", tone: "bad", rank: 2 },
  at_limit: { word: "At its limit", tone: "warn", rank: 3 },
  paused: { word: "Paused", tone: "idle", rank: 4 },
  manual: { word: "By hand", tone: "info", rank: 5 },
  well: { word: "Well", tone: "good", rank: 6 },
};

export function shown(condition: Condition) {
  return SHOWN[condition];
}

/** What the condition means for this role, in a sentence. */
export function meaning(role: RoleNow): string {
  switch (role.condition) {
    case "failing":
    case "blind":
      return role.error ?? role.alerts[0] ?? "";
    case "late":
      return role.alerts[0] ?? "the jobs at hand will not be done within the deadline";
    case "at_limit":
      return role.alerts[0] ?? "";
    case "paused":
      return "the number of workers is left as it is";
    case "manual":
      return role.reason;
    case "well":
      return "the jobs are done within the deadline";
  }
}

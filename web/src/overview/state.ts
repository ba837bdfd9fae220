// What the overview is made from: the network's status, the dead letters, the roles of every application. Pure.

import type { AppInfo, Scaling } from "../api";
import { link } from "../app/route";
import type { IconName } from "../design/Icon";
import { meaning, shown } from "../scaling/condition";
import { count, duration } from "../scaling/format";

export interface ProcessStatus {
  wanted: number;
  running: number;
  stopping: number;
  failing: number;
  restarts: number;
}

export interface NetworkStatus {
  network: string;
  broker: string;
  broker_connected: boolean;
  settled: boolean;
  nodes: {
    role: string;
    component: string;
    state: "starting" | "up" | "idle" | "missing" | "failed" | "stopped";
    reason?: string;
    process: ProcessStatus | null;
    queues: { port: string; queue: string; ready?: number; consumers?: number; unacknowledged?: number | null }[];
  }[];
  edges: { source: string; target: string; state: "pending" | "bound" | "failed"; reason?: string }[];
  strangers: { id: string; role: string }[];
  editors: number;
}

export interface Parked {
  node: string;
  port: string;
  queue: string;
  ready: number;
}

export interface AppState {
  app: AppInfo;
  scaling: Scaling | undefined;
}

/** Something that somebody should look at. */
export interface Trouble {
  grave: boolean;
  icon: IconName;
  what: string;
  why: string;
  href: string;
}

/** All that is wrong with a network, the gravest first. */
export function networkTroubles(status: NetworkStatus, parked: Parked[]): Trouble[] {
  const troubles: Trouble[] = [];
  if (!status.broker_connected) {
    const why = "it does not answer; what is shown is what was known of it last";
    troubles.push({ grave: true, icon: "network", what: `the broker ${status.broker} is away`, why, href: link("network") });
  }
  for (const node of status.nodes) {
    const href = link("network", [], { node: node.role });
    const failing = node.process?.failing ?? 0;
    if (node.state === "failed" || failing > 0) {
      const some = failing > 0 && node.state !== "failed" ? `${failing} of its processes keep ending` : "it keeps ending";
      troubles.push({ grave: true, icon: "network", what: `${node.role} fails`, why: node.reason ?? some, href });
    } else if (node.state === "missing") {
      const why = node.reason ?? "nobody has announced it; it is not one that we start";
      troubles.push({ grave: true, icon: "network", what: `${node.role} is missing`, why, href });
    }
    for (const queue of node.queues) {
      const isOurs = parked.some((known) => known.queue === queue.queue);
      if (node.state === "up" && queue.consumers === 0 && (queue.ready ?? 0) > 0 && !isOurs) {
        const what = `${node.role}: ${count(queue.ready ?? 0, "message")} and nobody to take ${queue.ready === 1 ? "it" : "them"}`;
        troubles.push({ grave: false, icon: "messages", what, why: `queue ${queue.queue}`, href });
      }
    }
  }
  for (const edge of status.edges) {
    if (edge.state !== "failed") continue;
    const what = `${edge.source} → ${edge.target} is not bound`;
    troubles.push({ grave: true, icon: "network", what, why: edge.reason ?? "", href: link("network") });
  }
  for (const { node, port, queue, ready } of parked) {
    if (ready === 0) continue;
    const what = `${count(ready, "message")} refused`;
    const href = link("messages", [], { deadletters: queue });
    troubles.push({ grave: false, icon: "messages", what, why: `parked at ${node}.${port}`, href });
  }
  return troubles.sort((a, b) => Number(b.grave) - Number(a.grave));
}

/** All that is wrong with what is scaled, the gravest first. */
export function scalingTroubles(apps: AppState[]): Trouble[] {
  const troubles: (Trouble & { rank: number; names: string; word: string })[] = [];
  const isOne = apps.length === 1;
  for (const { app, scaling } of apps) {
    if (!app.is_governed) {
      const why = "it has no configuration that can be used";
      const href = link("scaling", [app.id, "config"]);
      const what = `${app.id}: not governed`;
      troubles.push({ grave: false, icon: "scaling", what, names: app.id, word: "not governed", why, href, rank: 9 });
    }
    for (const role of scaling?.roles ?? []) {
      const { word, tone, rank } = shown(role.condition);
      if (tone !== "bad" && tone !== "warn") continue;
      const name = isOne ? role.role : `${app.id}, ${role.role}`;
      troubles.push({
        grave: tone === "bad",
        icon: "scaling",
        what: `${name}: ${word.toLowerCase()}`,
        names: name,
        word: word.toLowerCase(),
        why:
          role.condition === "late" && role.expected
            ? `the jobs at hand take ${duration(role.expected.done_after)}, the deadline is ${duration(role.deadline)}`
            : meaning(role),
        href: link("scaling", [app.id, "roles", role.role]),
        rank,
      });
    }
  }
  return gathered(troubles.sort((a, b) => a.rank - b.rank));
}

/** The same said of several is said once. */
function gathered(troubles: (Trouble & { names: string; word: string })[]): Trouble[] {
  const known = new Map<string, Trouble & { names: string; word: string }>();
  for (const trouble of troubles) {
    const key = `${trouble.word} ${trouble.why}`;
    const before = known.get(key);
    if (!before) {
      known.set(key, { ...trouble });
      continue;
    }
    before.names += `, ${trouble.names}`;
    before.what = `${before.names}: ${before.word}`;
    before.href = link("scaling");
  }
  return [...known.values()];
}

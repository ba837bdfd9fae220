// What only the REST interface tells: processes, and what waits in queues. Asked every two seconds while somebody looks.

import { useEffect } from "react";
import { create } from "zustand";

import { rest } from "../app/rest";

export interface QueueStatus {
  port: string;
  queue: string;
  ready?: number;
  unacknowledged?: number | null;
  consumers?: number;
  /** How long ago the next one was sent, where that is known. */
  oldest_seconds?: number;
}

export interface ProcessStatus {
  name: string;
  command: string;
  wanted: number;
  running: number;
  stopping: number;
  failing: number;
  restarts: number;
  pids: number[];
  last_exit: { status: string; output: string[] } | null;
}

export type NodeState = "starting" | "up" | "idle" | "missing" | "failed" | "stopped";

export interface NodeStatus {
  role: string;
  component: string;
  state: NodeState;
  reason?: string;
  process: ProcessStatus | null;
  heard_seconds_ago: number | null;
  inports: { id: string; type?: string; queue?: string; description?: string }[];
  outports: { id: string; type?: string; queue?: string; description?: string }[];
  queues: QueueStatus[];
}

export interface EdgeStatus {
  source: string;
  target: string;
  /** What they are in the broker, once that is known. */
  source_queue?: string;
  target_queue?: string;
  round_robin: boolean;
  deadletter?: string;
  /** Messages a second, as the broker tells it. */
  rate?: number;
  state: "pending" | "bound" | "failed";
  reason?: string;
}

/** Who has announced itself and is not in the graph. */
export interface Stranger {
  role: string;
  component: string;
  icon?: string;
  label?: string;
  inports: { id: string }[];
  outports: { id: string }[];
}

/** The answer of `GET api/status`. */
export interface Status {
  network: string;
  broker: string;
  /** Whether the broker is there now. */
  broker_connected: boolean;
  settled: boolean;
  nodes: NodeStatus[];
  edges: EdgeStatus[];
  strangers?: Stranger[];
  editors?: number;
  scaling?: unknown;
}

interface Known {
  status: Status | undefined;
  /** By role. */
  nodes: Record<string, NodeStatus>;
  error: string | undefined;
}

export const useStatus = create<Known>(() => ({ status: undefined, nodes: {}, error: undefined }));

const EVERY_MS = 2000;
let watchers = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

async function poll() {
  try {
    const status = await rest.get<Status>("api/status");
    useStatus.setState({
      status,
      nodes: Object.fromEntries(status.nodes.map((node) => [node.role, node])),
      error: undefined,
    });
  } catch (error) {
    useStatus.setState({ error: error instanceof Error ? error.message : String(error) });
  }
  clearTimeout(timer);
  if (watchers > 0) timer = setTimeout(() => void poll(), EVERY_MS);
}

/** Has the status asked for as long as the component is shown. */
export function usePolledStatus() {
  useEffect(() => {
    watchers += 1;
    if (watchers === 1) void poll();
    return () => {
      watchers -= 1;
      if (watchers === 0) clearTimeout(timer);
    };
  }, []);
}

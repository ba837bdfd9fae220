// What charts, the overview and the configuration are made of.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { AppInfo, Operation, RoleNow, Scaling } from "../src/api";
import { networkTroubles, scalingTroubles, type NetworkStatus } from "../src/overview/state";
import { completionsOf } from "../src/scaling/completions";
import { count, duration, money, number, percent, rate, workerTime } from "../src/scaling/format";
import { AXIS, EDGE, placed, said } from "../src/scaling/place";

test("numbers are as long as their size asks for, and what is not known is no number", () => {
  assert.deepEqual([0, 0.4217, 3.14, 25.06, 1204, null].map(number), ["0", "0.42", "3.14", "25.1", "1,204", "–"]);
  assert.deepEqual([0.44, 12, 99, 100, 7260, 90_000, 3e6, undefined].map(duration), [
    "0.4 s",
    "12 s",
    "99 s",
    "2 min",
    "2 h 1 min",
    "25 h",
    "35 d",
    "–",
  ]);
  assert.deepEqual([2.5, 0.5, 0.001, 0].map(rate), ["2.5/s", "30/min", "3.6/h", "0/s"]);
  assert.deepEqual([1, 0.99996, 0.981, 0.031, null].map(percent), ["100 %", "99.99 %", "98.1 %", "3 %", "–"]);
  assert.deepEqual([17.938, 0.0021, 140.4, 0].map(money), ["$17.94", "$0.0021", "$140", "$0.00"]);
  assert.deepEqual([count(1, "job"), count(2000, "job")], ["1 job", "2,000 jobs"]);
  assert.deepEqual([workerTime(0), workerTime(0.5), workerTime(87.4)], ["0 h", "30 min", "87.4 h"]);
});

const operation = (at: number, from: number, to: number): Operation => ({
  role: "work",
  at,
  from,
  to,
  outcome: "applied",
  reason: "up_at_once",
});

test("marks that would lie on each other are one, and the newest keeps its place", () => {
  const operations = [operation(0, 1, 2), operation(500, 2, 3), operation(502, 3, 4), operation(1000, 4, 1), operation(2000, 1, 2)];
  const marks = placed(operations, 0, 1000, AXIS + EDGE + 1000);
  assert.deepEqual(
    marks.map((mark) => [mark.operation.to, mark.others, mark.left]),
    [
      [2, 0, AXIS],
      [4, 1, AXIS + 502],
      [1, 0, AXIS + 1000],
    ],
  );
  assert.match(said({ ...operation(0, 4, 9), outcome: "planned" }), /: 4 → 9 workers, planned$/);
  assert.match(said({ ...operation(0, 4, 9), from: null, outcome: "failed" }), /: \? → 9 workers, failed$/);
});

const app = (id: string): AppInfo => ({
  id,
  platform_app: id,
  has_platform_token: true,
  is_governed: true,
  roles: 1,
  cycle: 1,
  troubled: 0,
});
const role = (name: string, condition: RoleNow["condition"], error?: string) =>
  ({ role: name, condition, error: error ?? null, alerts: ["an alert"], reason: "", deadline: 60, expected: null }) as unknown as RoleNow;
const scaling = (...roles: RoleNow[]) => ({ roles }) as Scaling;

test("what is said of several roles is said once, the gravest first", () => {
  const state = { app: app("shop"), scaling: scaling(role("a", "at_limit"), role("b", "blind", "away"), role("c", "blind", "away"), role("d", "well"), role("e", "paused")) };
  const troubles = scalingTroubles([state]);
  assert.deepEqual(
    troubles.map(({ what, why, grave }) => [what, why, grave]),
    [
      ["b, c: blind", "away", true],
      ["a: at its limit", "an alert", false],
    ],
  );
  const idle = { app: { ...app("new"), is_governed: false }, scaling: undefined };
  assert.equal(scalingTroubles([state, idle]).at(-1)?.what, "new: not governed");
});

test("a network's troubles are what fails, what is missing, what is not bound, and what was refused", () => {
  const node = { component: "c", process: null, queues: [] };
  const status: NetworkStatus = {
    network: "n",
    broker: "amqp://localhost",
    broker_connected: true,
    settled: true,
    nodes: [
      { ...node, role: "up", state: "up", queues: [{ port: "in", queue: "up.IN", ready: 3, consumers: 0 }] },
      { ...node, role: "gone", state: "missing" },
      { ...node, role: "bad", state: "failed", reason: "exit status 1" },
    ],
    edges: [
      { source: "a.out", target: "b.in", state: "failed", reason: "no such exchange" },
      { source: "b.out", target: "c.in", state: "pending" },
    ],
    strangers: [],
    editors: 1,
  };
  const parked = [{ node: "dead", port: "in", queue: "dead.IN", ready: 2 }];
  assert.deepEqual(
    networkTroubles(status, parked).map(({ what, grave }) => [what, grave]),
    [
      ["gone is missing", true],
      ["bad fails", true],
      ["a.out → b.in is not bound", true],
      ["up: 3 messages and nobody to take them", false],
      ["2 messages refused", false],
    ],
  );
  assert.deepEqual(networkTroubles({ ...status, nodes: [], edges: [] }, []), []);
  const away = networkTroubles({ ...status, broker_connected: false, nodes: [], edges: [] }, []);
  assert.deepEqual(away.map(({ what, grave }) => [what, grave]), [["the broker amqp://localhost is away", true]]);
});

test("the keys of a configuration and their values are what its schema says", () => {
  const schema = { $defs: { role: { properties: { policy: { description: "how", enum: ["ratio"] }, max: {} } } } };
  assert.deepEqual(completionsOf(schema), [
    { label: "policy", info: "how", apply: "policy: " },
    { label: "ratio", info: "a value of policy", apply: "ratio" },
    { label: "max", info: "", apply: "max: " },
  ]);
});

// What messages and ports are shown as.

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseRoute } from "../src/app/route";
import { bodyOf, hexOf, lineOf, sizeOf } from "../src/messages/body";
import { edgeAt, rateOf } from "../src/messages/history";
import { kindOf, rangeOf } from "../src/network/packet";
import { fromJson } from "../src/protocol/graph";
import { leftOutOf } from "../src/protocol/stream";

test("a message is what it is: JSON, text, a picture, bytes, or too long", () => {
  assert.equal(bodyOf({ a: 1 }).kind, "json");
  assert.equal(bodyOf("22 C").kind, "text");
  assert.equal(bodyOf({ base64: "AAEC", contentType: "application/octet-stream" }).kind, "binary");
  assert.equal(bodyOf({ base64: "iVBORw0KGgoAAA", contentType: "application/octet-stream" }).kind, "image");
  assert.equal(bodyOf({ base64: "AAEC", contentType: "image/webp" }).kind, "image");
  assert.equal(bodyOf({ base64: "AAEC", other: 1 }).kind, "json", "an object like any other");
  assert.deepEqual(bodyOf({ bytes: 300_000, contentType: "text/plain" }), {
    kind: "long",
    bytes: 300_000,
    contentType: "text/plain",
  });
  assert.equal(lineOf({ base64: "AAEC", contentType: "a/b" }), "3 B of a/b");
  assert.equal(hexOf("AAFB"), `0000  ${"00 01 41".padEnd(47)}  ··A`);
  assert.deepEqual([sizeOf(1), sizeOf(2048), sizeOf(3 * 1024 * 1024)], ["1 B", "2.0 kB", "3.0 MB"]);
});

test("what the server left out is counted", () => {
  assert.equal(leftOutOf("12 of 40 messages of `default/my graph` were not shown"), 12);
  assert.equal(leftOutOf("what the file cannot hold is not in it: a group"), 0);
  const seen = Array.from({ length: 50 }, (_, id) => ({ id, edge: "", src: undefined, tgt: { node: "a", port: "b" }, data: 1, properties: undefined, at: 9_000 }));
  assert.equal(rateOf(seen, 10, 10_000), 100);
});

test("the address finds an edge, whatever the case of its ports", () => {
  const graph = fromJson({
    processes: { "my web": { component: "A" }, b: { component: "B" } },
    connections: [{ src: { process: "my web", port: "OUT", index: 2 }, tgt: { process: "b", port: "IN" } }],
  });
  assert.equal(edgeAt(graph, ["my web out[2]", "b in"])?.tgt.node, "b");
  assert.equal(edgeAt(graph, ["my web out", "b in"]), undefined);
  const { view, rest, query } = parseRoute("#/messages/my%20web%20OUT%5B2%5D/b%20IN?tab=live");
  assert.deepEqual([view, rest, query.get("tab")], ["messages", ["my web OUT[2]", "b IN"], "live"]);
});

test("a packet is edited by its port's type, else by what it is", () => {
  assert.equal(kindOf({ type: "boolean" }, undefined), "switch");
  assert.equal(kindOf({ type: "any" }, true), "switch");
  assert.equal(kindOf({ type: "any" }, "22.33"), "number");
  assert.equal(kindOf({ type: "string", values: ["a", "b"] }, "a"), "choice");
  assert.equal(kindOf({ type: "any" }, { a: 1 }), "json");
  assert.equal(kindOf(undefined, "words"), "text");
  for (const value of [0, 22.33, 999, -3, 1e6]) {
    const { low, high } = rangeOf(value);
    assert(low <= value && value <= high && high > low, String(value));
  }
});

// What Node's amqplib needs of a broker. Runs against AMQP_URL; exits 0 when everything holds.
//
// Usage: AMQP_URL=amqp://127.0.0.1:5672 node amqplib.mjs   (amqplib must be resolvable from the working folder)

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.cwd(), "package.json"));
const amqp = require("amqplib");

const url = process.env.AMQP_URL;
assert.ok(url, "AMQP_URL is not set");

const PATIENCE = 20_000;
let counter = 0;
const unique = (name) => `amqplib.${process.pid}.${counter++}.${name}`;

/** Rejects when the promise takes too long. */
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`too late: ${what}`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Collects deliveries until there are `count`. */
function collect(channel, queue, count, options = {}, each = () => {}) {
  return within(
    new Promise((resolve, reject) => {
      const messages = [];
      channel
        .consume(
          queue,
          (message) => {
            if (message === null) return reject(new Error("cancelled"));
            messages.push(message);
            each(message);
            if (messages.length === count) resolve(messages);
          },
          options,
        )
        .catch(reject);
    }),
    `${count} messages from ${queue}`,
  );
}

/** Runs something that the broker must answer by closing the channel with `code`. */
async function refused(connection, code, run) {
  const channel = await connection.createChannel();
  const closed = new Promise((resolve) => channel.once("error", resolve));
  await assert.rejects(async () => {
    await run(channel);
    throw await within(closed, `error ${code}`);
  });
  assert.equal((await within(closed, `error ${code}`)).code, code);
}

/** Asks until the answer is right. */
async function until(what, ask) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    if (await ask()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`never came true: ${what}`);
}

const tests = {
  async "confirmed publishing and acknowledged consuming"(connection) {
    const queue = unique("jobs");
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue(queue, { durable: false });
    for (let i = 0; i < 500; i++) channel.sendToQueue(queue, Buffer.from(`${i}`));
    await within(channel.waitForConfirms(), "confirms");
    await channel.prefetch(10);
    const messages = await collect(channel, queue, 500, {}, (message) => channel.ack(message));
    assert.deepEqual(messages.map((m) => m.content.toString()), [...Array(500).keys()].map(String));
    await until("all acknowledged", async () => (await channel.checkQueue(queue)).messageCount === 0);
    await channel.deleteQueue(queue);
  },

  async "the layout of msgflo participants"(connection) {
    // Inport: durable queue with dead-letter exchange, and a fanout of the same name. Outport: a durable fanout.
    const [inport, outport] = [unique("in"), unique("out")];
    const channel = await connection.createConfirmChannel();
    await channel.assertExchange(inport, "fanout", { durable: true });
    await channel.assertQueue(inport, { durable: true, deadLetterExchange: `dead-${inport}` });
    await channel.bindQueue(inport, inport, "");
    await channel.assertExchange(outport, "fanout", { durable: true });
    // A round-robin binding with dead letters, as a coordinator makes it.
    await channel.assertExchange(`out-${outport}`, "direct", { durable: true });
    await channel.bindExchange(`out-${outport}`, outport, "");
    await channel.bindQueue(inport, `out-${outport}`, "");
    await channel.assertExchange(`dead-${inport}`, "fanout", { durable: true });
    const dead = unique("dead");
    await channel.assertQueue(dead, { durable: true });
    await channel.bindQueue(dead, `dead-${inport}`, "");
    channel.publish(outport, "", Buffer.from("work"));
    await within(channel.waitForConfirms(), "confirm");
    const [message] = await collect(channel, inport, 1);
    assert.equal(message.content.toString(), "work");
    channel.nack(message, false, false);
    const [letter] = await collect(channel, dead, 1);
    assert.equal(letter.properties.headers["x-death"][0].reason, "rejected");
    assert.equal(letter.properties.headers["x-death"][0].queue, inport);
    assert.equal(letter.properties.headers["x-first-death-reason"], "rejected");
    for (const queue of [inport, dead]) await channel.deleteQueue(queue);
    for (const name of [inport, outport, `out-${outport}`, `dead-${inport}`]) await channel.deleteExchange(name);
  },

  async "properties and headers arrive as sent"(connection) {
    const queue = unique("properties");
    const channel = await connection.createChannel();
    await channel.assertQueue(queue, { exclusive: true });
    const headers = { text: "x", number: 7, nested: { list: [1, "two", true, null] } };
    const properties = {
      contentType: "text/plain", contentEncoding: "utf-8", correlationId: "c", replyTo: "r", messageId: "m",
      timestamp: 1234, type: "t", appId: "a", priority: 3, deliveryMode: 2, expiration: "60000", headers,
    };
    channel.sendToQueue(queue, Buffer.from("body"), properties);
    const [message] = await collect(channel, queue, 1, { noAck: true });
    for (const [key, value] of Object.entries(properties)) assert.deepEqual(message.properties[key], value, key);
  },

  async "requeue keeps the place and marks as redelivered"(connection) {
    const queue = unique("requeue");
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue(queue, { exclusive: true });
    for (const body of ["a", "b", "c"]) channel.sendToQueue(queue, Buffer.from(body));
    await within(channel.waitForConfirms(), "confirms");
    await channel.get(queue).then((m) => channel.ack(m));
    const b = await channel.get(queue);
    assert.equal(b.fields.redelivered, false);
    channel.nack(b, false, true);
    const again = await channel.get(queue);
    assert.equal(again.content.toString(), "b");
    assert.equal(again.fields.redelivered, true);
    channel.ackAll();
    assert.equal((await channel.get(queue)).content.toString(), "c");
    assert.equal(await channel.get(queue), false);
    await channel.recover();
    assert.equal((await channel.get(queue)).content.toString(), "c");
  },

  async "a closed channel gives back its messages"(connection) {
    const queue = unique("dying");
    const keeper = await connection.createConfirmChannel();
    await keeper.assertQueue(queue, { exclusive: true });
    for (const body of ["a", "b"]) keeper.sendToQueue(queue, Buffer.from(body));
    await within(keeper.waitForConfirms(), "confirms");
    const dying = await connection.createChannel();
    await collect(dying, queue, 2);
    await dying.close();
    const messages = await collect(keeper, queue, 2, { noAck: true });
    assert.deepEqual(messages.map((m) => [m.content.toString(), m.fields.redelivered]), [["a", true], ["b", true]]);
  },

  async "mandatory messages come back"(connection) {
    const channel = await connection.createConfirmChannel();
    const returned = new Promise((resolve) => channel.once("return", resolve));
    channel.publish("", unique("nowhere"), Buffer.from("lost"), { mandatory: true });
    await within(channel.waitForConfirms(), "confirm");
    const message = await within(returned, "return");
    assert.equal(message.fields.replyCode, 312);
    assert.equal(message.content.toString(), "lost");
  },

  async "topic and headers exchanges"(connection) {
    const channel = await connection.createConfirmChannel();
    const [topic, headers, queue] = [unique("topic"), unique("headers"), unique("q")];
    await channel.assertQueue(queue, { exclusive: true });
    await channel.assertExchange(topic, "topic", { autoDelete: true });
    await channel.assertExchange(headers, "headers", { autoDelete: true });
    await channel.bindQueue(queue, topic, "a.*.#");
    await channel.bindQueue(queue, headers, "", { "x-match": "all", kind: "image" });
    for (const key of ["a", "a.b", "b.a", "a.b.c.d"]) channel.publish(topic, key, Buffer.from(key));
    channel.publish(headers, "", Buffer.from("no"), { headers: { kind: "text" } });
    channel.publish(headers, "", Buffer.from("yes"), { headers: { kind: "image" } });
    await within(channel.waitForConfirms(), "confirms");
    const messages = await collect(channel, queue, 3, { noAck: true });
    assert.deepEqual(messages.map((m) => m.content.toString()), ["a.b", "a.b.c.d", "yes"]);
  },

  async "refusals close the channel with their code"(connection) {
    const queue = unique("refusals");
    const channel = await connection.createChannel();
    await channel.assertQueue(queue, { exclusive: true });
    await refused(connection, 404, (other) => other.checkQueue(unique("missing")));
    await refused(connection, 404, (other) => other.checkExchange(unique("missing")));
    await refused(connection, 406, (other) => other.assertQueue(queue, { exclusive: true, messageTtl: 5 }));
    await refused(connection, 406, async (other) => other.ack({ fields: { deliveryTag: 9 } }));
    await refused(connection, 403, (other) => other.assertQueue("amq.reserved"));
    const stranger = await amqp.connect(url);
    await refused(stranger, 405, (other) => other.checkQueue(queue));
    await stranger.close();
  },

  async "deleting a queue cancels its consumers"(connection) {
    const queue = unique("cancelled");
    const channel = await connection.createChannel();
    await channel.assertQueue(queue, { durable: false });
    const cancelled = new Promise((resolve) => channel.consume(queue, resolve));
    await channel.checkQueue(queue);
    await channel.deleteQueue(queue);
    assert.equal(await within(cancelled, "cancel"), null);
  },

  async "expiry, length limits and priorities"(connection) {
    const channel = await connection.createConfirmChannel();
    const [dead, short, small, levels] = ["dead", "short", "small", "levels"].map(unique);
    await channel.assertQueue(dead, { exclusive: true });
    await channel.assertQueue(short, {
      exclusive: true, messageTtl: 20, deadLetterExchange: "", deadLetterRoutingKey: dead,
    });
    channel.sendToQueue(short, Buffer.from("late"));
    const [letter] = await collect(channel, dead, 1, { noAck: true });
    assert.equal(letter.properties.headers["x-death"][0].reason, "expired");
    await channel.assertQueue(small, { exclusive: true, maxLength: 2 });
    for (const body of ["a", "b", "c"]) channel.sendToQueue(small, Buffer.from(body));
    await channel.assertQueue(levels, { exclusive: true, maxPriority: 5 });
    for (const priority of [1, 5, 3]) channel.sendToQueue(levels, Buffer.from(`${priority}`), { priority });
    await within(channel.waitForConfirms(), "confirms");
    const kept = await collect(channel, small, 2, { noAck: true });
    assert.deepEqual(kept.map((m) => m.content.toString()), ["b", "c"]);
    const ordered = await collect(channel, levels, 3, { noAck: true });
    assert.deepEqual(ordered.map((m) => m.content.toString()), ["5", "3", "1"]);
  },

  async "large bodies"(connection) {
    const queue = unique("large");
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue(queue, { exclusive: true });
    const body = Buffer.alloc(5_000_000, "msgflo");
    channel.sendToQueue(queue, body);
    await within(channel.waitForConfirms(), "confirm");
    const [message] = await collect(channel, queue, 1, { noAck: true });
    assert.ok(message.content.equals(body));
  },

  async "a wrong password is refused"() {
    const wrong = new URL(url);
    wrong.username = "guest";
    wrong.password = "wrong";
    await assert.rejects(amqp.connect(wrong.href), /403|ACCESS.REFUSED/i);
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  const connection = await amqp.connect(url);
  connection.on("error", (error) => console.error(`connection: ${error.message}`));
  try {
    await test(connection);
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
  await connection.close().catch(() => {});
}
console.log(`${Object.keys(tests).length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

// Participants as anybody writes them, with amqplib: a source, a worker that refuses what it is told to, and a queue for what
// is refused.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "ui.cjs"));
const amqplib = require("amqplib");

export async function play(url) {
  const connection = await amqplib.connect(url);
  const channel = await connection.createConfirmChannel();
  const done = [];
  let isRefusing = false;

  const queue = async (role, port) => {
    const name = `${role}.${port}`;
    await channel.assertQueue(name, { arguments: { "x-dead-letter-exchange": `dead-${name}` } });
    return { id: port, type: "any", queue: name };
  };
  const exchange = async (role, port) => {
    const name = `${role}.${port}`;
    await channel.assertExchange(name, "fanout");
    return { id: port, type: "any", queue: name };
  };
  const announced = [];
  async function announce(role, inports, outports) {
    const payload = {
      id: `${role}-1`,
      role,
      component: `ui/${role.charAt(0).toUpperCase()}${role.slice(1)}`,
      label: "Played by the test",
      icon: "user",
      inports: await Promise.all(inports.map((port) => queue(role, port))),
      outports: await Promise.all(outports.map((port) => exchange(role, port))),
    };
    announced.push(payload);
    tell(payload);
  }
  function tell(payload) {
    channel.sendToQueue("fbp", Buffer.from(JSON.stringify({ protocol: "discovery", command: "participant", payload })));
  }

  await announce("source", [], ["OUT"]);
  await announce("worker", ["IN"], []);
  await announce("failed", ["IN"], []);
  await channel.consume("worker.IN", (message) => {
    if (isRefusing) return channel.nack(message, false, false);
    try {
      done.push(JSON.parse(message.content.toString()));
    } catch {
      // A picture.
    }
    channel.ack(message);
  });
  await channel.waitForConfirms();

  return {
    done,
    announce,
    refuseAll: () => (isRefusing = true),
    takeAll: () => (isRefusing = false),
    async send(data, headers) {
      const content = Buffer.isBuffer(data) ? data : Buffer.from(JSON.stringify(data));
      channel.publish("source.OUT", "", content, { headers, timestamp: Math.floor(Date.now() / 1000) });
      await channel.waitForConfirms();
    },
    /** Many at once. */
    async flood(count) {
      for (let number = 0; number < count; number++) {
        channel.publish("source.OUT", "", Buffer.from(JSON.stringify({ number: -1, text: "one of many" })));
      }
      await channel.waitForConfirms();
    },
    leave: () => connection.close(),
  };
}

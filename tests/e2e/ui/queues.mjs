// Queues for guv to look at: the embedded broker alone, filled and emptied by its management interface.

import { start } from "./program.mjs";

/** Starts a broker with these queues. */
export async function queues(msgflo, names) {
  const said = /broker: amqp:\/\/\S+:(\d+)[\s\S]*management: http:\/\/\S+:(\d+)/;
  let ports = ["0", "0"];
  let broker;
  const run = async () => {
    const [port, management] = ports;
    broker = await start(msgflo, ["broker", `embedded:?port=${port}`, "--management", `127.0.0.1:${management}`], said);
    ports = said.exec(broker.log()).slice(1, 3);
    for (const name of names) await ask("PUT", `queues/%2F/${encodeURIComponent(name)}`, { durable: true });
  };
  const ask = async (method, path, body) => {
    const headers = { authorization: `Basic ${btoa("guest:guest")}`, "content-type": "application/json" };
    const response = await fetch(`http://127.0.0.1:${ports[1]}/api/${path}`, { method, headers, body: JSON.stringify(body ?? {}) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  };
  await run();
  return {
    url: `amqp://guest:guest@127.0.0.1:${ports[0]}`,
    management: `http://guest:guest@127.0.0.1:${ports[1]}`,
    /** Has exactly so many messages wait. */
    hold: async (name, messages) => {
      await ask("DELETE", `queues/%2F/${encodeURIComponent(name)}/contents`);
      const message = { properties: {}, routing_key: name, payload: "{}", payload_encoding: "string" };
      for (let sent = 0; sent < messages; sent += 50) {
        const some = Array.from({ length: Math.min(50, messages - sent) });
        await Promise.all(some.map(() => ask("POST", "exchanges/%2F/amq.default/publish", message)));
      }
    },
    stop: () => broker.stop(),
    /** Starts it again after `stop`, at the same address and empty. */
    again: run,
  };
}

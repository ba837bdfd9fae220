/** MQTT, by mqtt.js: version 5, where instances share their messages, else 3.1.1. */

import { randomBytes } from 'node:crypto';

import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';

import { type Broker, DISCOVERY, type Take } from './broker.js';
import { type AnnouncedPort, decode } from './participant.js';
import { JOBS } from './reports.js';

/** The group under which instances of ours share a subscription. */
const GROUP = 'msgflo';
/** Seconds of silence after which the broker is asked for a sign of life, and for which it keeps a lost session. */
const KEEP_ALIVE = 10;
const ABSENCE = 60;

export async function connect(url: string): Promise<Broker> {
  const name = () => `msgflo-${randomBytes(8).toString('hex')}`;
  const options: IClientOptions = { keepalive: KEEP_ALIVE, reconnectPeriod: 0, connectTimeout: 30_000 };
  const takers = new Map<string, Take>();
  // Two connections: on the one that takes, a message is worked on before the next packet is looked at, whatever it is.
  const open = async (version: 4 | 5) => {
    const sender = await connectAsync(url, { ...options, clientId: name(), protocolVersion: version });
    const expiry = version === 5 ? { properties: { sessionExpiryInterval: ABSENCE, receiveMaximum: 100 } } : {};
    const receiver = await connectAsync(url, {
      ...options,
      ...expiry,
      clientId: name(),
      protocolVersion: version,
      customHandleAcks: (topic, payload, packet, done) => {
        const taken = takers.get(topic)?.(decode(payload as Buffer, packet.dup ?? false)) ?? Promise.resolve(true);
        // Refusing is not known to MQTT.
        taken.then(() => done(0));
      },
    });
    return new Mqtt(sender, receiver, takers, version === 5);
  };
  try {
    return await open(5);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ECONNREFUSED') throw error;
    return open(4);
  }
}

class Mqtt implements Broker {
  readonly ended: Promise<void>;
  private readonly filters: string[] = [];
  private working: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly sender: MqttClient,
    private readonly receiver: MqttClient,
    private readonly takers: Map<string, Take>,
    private readonly shares: boolean,
  ) {
    const closed = (client: MqttClient) => new Promise<void>((resolve) => client.once('close', () => resolve()));
    this.ended = Promise.race([closed(sender), closed(receiver)]);
    for (const client of [sender, receiver]) client.on('error', () => {});
  }

  async outport(): Promise<void> {
    // A topic needs no making.
  }

  async inport(port: AnnouncedPort, _prefetch: number, take: Take): Promise<void> {
    this.takers.set(port.queue, (message) => {
      const taken = take(message);
      this.working = taken;
      return taken;
    });
    const filter = this.shares ? `$share/${GROUP}/${port.queue}` : port.queue;
    // With quality of service 0 nothing would be asked before a message is given away.
    await this.receiver.subscribeAsync(filter, { qos: 1 });
    this.filters.push(filter);
    this.receiver.on('message', (topic, payload, packet) => {
      if (packet.qos === 0 && topic === port.queue) void this.takers.get(topic)?.(decode(payload, false));
    });
  }

  async send(port: AnnouncedPort, payload: Buffer): Promise<void> {
    await this.sender.publishAsync(port.queue, payload, { qos: port.options?.qos === 0 ? 0 : 1 });
  }

  async announce(payload: Buffer): Promise<void> {
    await this.sender.publishAsync(DISCOVERY, payload, { qos: 1 });
  }

  report(payload: Buffer): void {
    this.sender.publish(JOBS, payload, { qos: 0 });
  }

  async pause(): Promise<void> {
    await this.working;
    await Promise.all(this.filters.map((filter) => this.receiver.unsubscribeAsync(filter)));
  }

  async close(): Promise<void> {
    await this.sender.endAsync();
    // The broker need not wait for us.
    const forget = this.shares ? { properties: { sessionExpiryInterval: 0 } } : {};
    await this.receiver.endAsync(false, forget as never);
  }
}

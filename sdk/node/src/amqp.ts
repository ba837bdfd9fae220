/** AMQP 0-9-1, by amqplib. The layout in the broker is that of all MsgFlo participants. */

import { type Channel, type ChannelModel, type ConfirmChannel, type MessageProperties, connect as open } from 'amqplib';

import { type Broker, DISCOVERY, type Take } from './broker.js';
import { type AnnouncedPort, decode } from './participant.js';
import { JOBS } from './reports.js';

/** Seconds after which a silent broker counts as gone: twice this. */
const HEARTBEAT = 10;

export async function connect(url: string): Promise<Broker> {
  const address = new URL(url);
  if (!address.searchParams.has('heartbeat')) address.searchParams.set('heartbeat', String(HEARTBEAT));
  const connection = await open(address.href, { clientProperties: { connection_name: 'msgflo participant (Node)' } });
  // Errors come with the end of the connection, which is told.
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => connection.close().catch(() => {}));
  return new Amqp(connection, channel, await reporting(connection));
}

/** A channel for reports, on which nothing is confirmed; none where reports are not allowed. */
async function reporting(connection: ChannelModel): Promise<Channel | undefined> {
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  try {
    await channel.assertExchange(JOBS, 'fanout');
    return channel;
  } catch {
    return undefined;
  }
}

/** When a message was sent, in ms since the epoch. */
function sentAt({ headers, timestamp }: MessageProperties): number | undefined {
  const milliseconds: unknown = headers?.['timestamp_in_ms'];
  if (typeof milliseconds === 'number') return milliseconds;
  return typeof timestamp === 'number' ? 1000 * timestamp : undefined;
}

class Amqp implements Broker {
  readonly ended: Promise<void>;
  private readonly consumers: string[] = [];

  constructor(
    private readonly connection: ChannelModel,
    private readonly channel: ConfirmChannel,
    private readonly reports: Channel | undefined,
  ) {
    this.ended = new Promise((resolve) => connection.once('close', () => resolve()));
  }

  async outport(port: AnnouncedPort): Promise<void> {
    await this.channel.assertExchange(port.queue, 'fanout');
  }

  async inport(port: AnnouncedPort, prefetch: number, take: Take): Promise<void> {
    const { queue } = port;
    await this.channel.assertQueue(queue, { deadLetterExchange: `dead-${queue}` });
    await this.channel.assertExchange(queue, 'fanout');
    await this.channel.bindQueue(queue, queue, '');
    await this.channel.prefetch(prefetch);
    const { consumerTag } = await this.channel.consume(queue, async (delivery) => {
      // None: the queue was deleted.
      if (!delivery) return void this.connection.close().catch(() => {});
      const message = decode(delivery.content, delivery.fields.redelivered);
      const done = await take(message, sentAt(delivery.properties));
      try {
        if (done) this.channel.ack(delivery);
        else this.channel.nack(delivery, false, false);
      } catch {
        // The connection has ended: the message comes again.
      }
    });
    this.consumers.push(consumerTag);
  }

  async send(port: AnnouncedPort, payload: Buffer): Promise<void> {
    const now = Date.now();
    const options = {
      persistent: port.options?.qos !== 0,
      timestamp: Math.floor(now / 1000),
      headers: { timestamp_in_ms: now },
    };
    await this.publish(port.queue, '', payload, options);
  }

  async announce(payload: Buffer): Promise<void> {
    await this.channel.assertQueue(DISCOVERY);
    await this.publish('', DISCOVERY, payload, {});
  }

  report(payload: Buffer): void {
    try {
      this.reports?.publish(JOBS, '', payload, { contentType: 'application/json' });
    } catch {
      // The connection has ended, and so has whoever it was for.
    }
  }

  private publish(exchange: string, key: string, payload: Buffer, options: object): Promise<void> {
    return new Promise((resolve, reject) => {
      this.channel.publish(exchange, key, payload, options, (error) => (error ? reject(error) : resolve()));
    });
  }

  async pause(): Promise<void> {
    await Promise.all(this.consumers.map((tag) => this.channel.cancel(tag)));
  }

  async close(): Promise<void> {
    await this.reports?.close().catch(() => {});
    await this.channel.close();
    await this.connection.close();
  }
}

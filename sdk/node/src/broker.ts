/** What participants need of a broker. */

import type { AnnouncedPort, Message } from './participant.js';

/** Where participants announce themselves. */
export const DISCOVERY = 'fbp';

/** Has a message worked on, sent at a time in ms since the epoch where that is known; whether it is done with, or refused. */
export type Take = (message: Message, sent?: number) => Promise<boolean>;

/** A connection to a broker. It ends with the first failure: whoever wants another one makes it. */
export interface Broker {
  /** Makes an outport. */
  outport(port: AnnouncedPort): Promise<void>;
  /** Makes an inport, and has `take` work on its messages, at most `prefetch` at once. */
  inport(port: AnnouncedPort, prefetch: number, take: Take): Promise<void>;
  /** Sends on an outport. Resolves when the broker has confirmed it. */
  send(port: AnnouncedPort, payload: Buffer): Promise<void>;
  /** Sends a discovery message. */
  announce(payload: Buffer): Promise<void>;
  /** Sends a job report, if it can: nobody waits for it. */
  report(payload: Buffer): void;
  /** Takes no more messages. Those in hand can still be answered for. */
  pause(): Promise<void>;
  /** Leaves. */
  close(): Promise<void>;
  /** Resolves when the connection has ended. */
  readonly ended: Promise<void>;
}

/** Connects to the broker at `url`. The libraries are loaded when they are needed: one is enough for one kind of broker. */
export async function connect(url: string): Promise<Broker> {
  const scheme = new URL(url).protocol;
  switch (scheme) {
    case 'amqp:':
    case 'amqps:':
      return (await import('./amqp.js')).connect(url);
    case 'mqtt:':
    case 'mqtts:':
      return (await import('./mqtt.js')).connect(url);
    default:
      throw new TypeError(`no transport speaks \`${scheme}\`; known are amqp, amqps, mqtt, mqtts`);
  }
}

/** What an application writes: participants, which take and send messages. */

import { randomUUID } from 'node:crypto';

/** A place where a participant takes or sends messages. */
export interface Port {
  /** Its name. */
  id: string;
  /** What it is connected to in the broker: `ROLE.ID` unless said. */
  queue?: string;
  /** The type of its data: `any` unless said. */
  type?: string;
  description?: string;
  hidden?: boolean;
  /** `{ qos: 0 }`: its messages may be lost on MQTT, and do not survive the broker on AMQP. */
  options?: { qos?: 0 | 1 } & Record<string, unknown>;
}

/** What a participant says of itself. */
export interface Definition {
  component: string;
  label?: string;
  icon?: string;
  inports?: Port[];
  outports?: Port[];
}

/** A message that was taken. */
export interface Message {
  /** The payload as JSON says it, else its bytes. */
  data: unknown;
  /** The payload. */
  buffer: Buffer;
  /** Whether it may have been taken before. */
  redelivered: boolean;
}

/** Sends on an outport: bytes as they are, anything else as JSON. Resolves when the broker has confirmed it. */
export type Send = (port: string, data: unknown) => Promise<void>;

/** Works on one message. */
export type Handler = (message: Message, send: Send) => Promise<void> | void;

/** A handler for each inport, by its id. */
export type Handlers = Record<string, Handler>;

/** A participant with a role and an identity: the payload of its discovery message. */
export interface Announced extends Definition {
  id: string;
  role: string;
  label: string;
  icon: string;
  inports: AnnouncedPort[];
  outports: AnnouncedPort[];
}

/** A port whose queue is known. */
export type AnnouncedPort = Port & { queue: string; type: string };

/** A participant, and what it does with messages. */
export class Participant {
  /**
   * @param definition what it says of itself
   * @param handlers a handler for each inport
   * @param prefetch how many messages are worked on at once; on MQTT one, in the order in which they come
   */
  constructor(
    readonly definition: Definition,
    readonly handlers: Handlers,
    readonly prefetch = 2,
  ) {
    for (const { id } of definition.inports ?? []) {
      if (!(id in handlers)) throw new Error(`the inport \`${id}\` of ${definition.component} has no handler`);
    }
  }

  /** How it announces itself in `role`. */
  announced(role: string): Announced {
    const ports = (ports: Port[] = []) =>
      ports.map((port) => ({ type: 'any', ...port, queue: port.queue ?? `${role}.${port.id}` }));
    const { component, label = '', icon = 'file-word-o', inports, outports } = this.definition;
    return { id: `${role}-${randomUUID()}`, role, component, label, icon, inports: ports(inports), outports: ports(outports) };
  }
}

/** The payload of `data`. */
export function encode(data: unknown): Buffer {
  if (data instanceof Uint8Array) return Buffer.from(data);
  const text = JSON.stringify(data);
  if (text === undefined) throw new TypeError('what is sent must be bytes, or something that JSON can say');
  return Buffer.from(text);
}

/** The message of a payload. */
export function decode(buffer: Buffer, redelivered: boolean): Message {
  try {
    return { data: JSON.parse(buffer.toString()), buffer, redelivered };
  } catch {
    return { data: buffer, buffer, redelivered };
  }
}

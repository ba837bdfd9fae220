/** Participants that run, and programs made of them. */

import { parseArgs } from 'node:util';

import { type Broker, connect } from './broker.js';
import { type Announced, encode, type Message, type Participant, type Send } from './participant.js';
import { Tally } from './reports.js';

/** The broker of one who does not say. */
const BROKER = 'amqp://localhost';
/** Seconds within which coordinators are to hear of a participant, and how often they do. */
const PERIOD = 60;
const ANNOUNCEMENTS = 2.2;
/** The shortest and the longest pause between two attempts to connect, and how long messages in hand may take at the end, in ms. */
const PAUSES = [200, 10_000] as const;
const GRACE = 25_000;

/** What a participant is told from outside. */
export interface StartOptions {
  /** The role that it plays. */
  role: string;
  /** The broker's URL: MSGFLO_BROKER unless said. */
  broker?: string;
  /** Seconds within which coordinators are to hear of it: MSGFLO_DISCOVERY_PERIOD unless said. */
  period?: number;
}

/** A running participant. */
export interface Running {
  /** Takes no more messages, finishes those in hand, and leaves. */
  stop(): Promise<void>;
}

/**
 * Connects, makes the ports, takes messages and announces `participant`; again whenever the connection was lost. It waits for a
 * broker that is away.
 */
export async function start(participant: Participant, options: StartOptions): Promise<Running> {
  const instance = new Instance(participant, options);
  await instance.begin().catch((error) => {
    if (!isAway(error)) throw error;
    console.error(`the broker is away: ${text(error)}; trying again`);
    return instance.beginAgain();
  });
  return instance;
}

/** Whether there was nobody to speak to. */
function isAway(error: unknown): boolean {
  const { code, errors } = error as { code?: unknown; errors?: unknown[] };
  // One for each address of a name.
  if (Array.isArray(errors) && errors.length > 0) return errors.every(isAway);
  return ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EPIPE'].includes(String(code));
}

class Instance implements Running {
  private readonly announced: Announced;
  private readonly tallies: Record<string, Tally> = {};
  private readonly url: string;
  private readonly every: number;
  private readonly working = new Set<Promise<unknown>>();
  private broker?: Broker;
  private announcing?: NodeJS.Timeout;
  private stopping = false;

  constructor(
    private readonly participant: Participant,
    options: StartOptions,
  ) {
    this.announced = participant.announced(options.role);
    for (const port of this.announced.inports) {
      this.tallies[port.id] = new Tally(this.announced, port, (report) => this.broker?.report(report));
    }
    this.url = options.broker || process.env['MSGFLO_BROKER'] || BROKER;
    const period = options.period ?? Number(process.env['MSGFLO_DISCOVERY_PERIOD'] || PERIOD);
    this.every = (1000 * period) / ANNOUNCEMENTS;
  }

  async begin(): Promise<void> {
    const broker = await connect(this.url);
    this.broker = broker;
    for (const port of this.announced.outports) await broker.outport(port);
    for (const port of this.announced.inports) {
      await broker.inport(port, this.participant.prefetch, (message, sent) => this.take(port.id, message, sent));
    }
    const announce = () => this.announce(broker);
    await announce();
    this.announcing = setInterval(() => void announce().catch(() => {}), this.every);
    void broker.ended.then(() => {
      if (this.stopping) return;
      console.error('the connection to the broker was lost; trying again');
      return this.beginAgain();
    });
  }

  /** Tries until it succeeds. */
  async beginAgain(): Promise<void> {
    clearInterval(this.announcing);
    let pause: number = PAUSES[0];
    while (!this.stopping) {
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random())));
      pause = Math.min(2 * pause, PAUSES[1]);
      try {
        return await this.begin();
      } catch (error) {
        console.error(`the broker is away: ${text(error)}`);
      }
    }
  }

  private announce(broker: Broker): Promise<void> {
    const message = { protocol: 'discovery', command: 'participant', payload: this.announced };
    return broker.announce(encode(message));
  }

  private async take(inport: string, message: Message, sent?: number): Promise<boolean> {
    const ended = this.tallies[inport]!.begin(sent);
    const work = this.work(inport, message);
    this.working.add(work);
    const done = await work;
    this.working.delete(work);
    ended(done);
    return done;
  }

  private async work(inport: string, message: Message): Promise<boolean> {
    try {
      await this.participant.handlers[inport]!(message, this.send);
      return true;
    } catch (error) {
      console.error(`\`${this.announced.role}\` failed on a message of \`${inport}\`: ${text(error)}`);
      await this.tellFailure(message, error).catch((failed) => console.error(`the failure could not be told: ${text(failed)}`));
      return false;
    }
  }

  private readonly send: Send = async (name, data) => {
    const port = this.announced.outports.find(({ id }) => id === name);
    if (!port) {
      const known = this.announced.outports.map(({ id }) => id).join(', ') || 'none';
      throw new Error(`\`${this.announced.role}\` has no outport \`${name}\`; it has: ${known}`);
    }
    await this.broker!.send(port, encode(data));
  };

  private async tellFailure({ data }: Message, error: unknown): Promise<void> {
    const port = this.announced.outports.find(({ id }) => id.toLowerCase() === 'error');
    if (!port) return;
    const input = typeof data === 'object' && data !== null && !Array.isArray(data) && !Buffer.isBuffer(data) ? data : {};
    await this.send(port.id, { ...input, error: { message: text(error) }, failed_at: new Date().toISOString() });
  }

  async stop(): Promise<void> {
    this.stopping = true;
    clearInterval(this.announcing);
    const leave = async () => {
      // Where the connection is lost there is nothing to leave.
      await this.broker?.pause().catch(() => {});
      await Promise.all(this.working);
      // What was answered is told first.
      await new Promise((resolve) => setImmediate(resolve));
      for (const tally of Object.values(this.tallies)) tally.end();
      await this.broker?.close().catch(() => {});
    };
    const late = new Promise<void>((resolve) => setTimeout(resolve, GRACE).unref());
    await Promise.race([leave(), late]);
  }
}

/** Runs `participant` as a program: `node FILE ROLE [--broker URL]`, until SIGTERM or SIGINT. */
export async function main(participant: Participant): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { broker: { type: 'string' }, role: { type: 'string' } } });
  const role = values.role ?? positionals[0];
  if (!role) {
    console.error(`usage: node ${process.argv[1]} ROLE [--broker URL]`);
    process.exit(2);
  }
  const options: StartOptions = values.broker ? { role, broker: values.broker } : { role };
  let running: Running | undefined;
  const leave = (status: number) => () => void Promise.resolve(running?.stop()).then(() => process.exit(status));
  process.once('SIGTERM', leave(0));
  process.once('SIGINT', leave(130));
  try {
    running = await start(participant, options);
  } catch (error) {
    console.error(`error: ${text(error)}`);
    process.exit(70);
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

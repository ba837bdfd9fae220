/** What participants report of their jobs, for those who watch and scale them. A report may be lost. */

import { type Announced, type AnnouncedPort, encode } from './participant.js';

/** The fanout exchange, or topic, of reports. */
export const JOBS = 'msgflo.jobs';

/** How long after a first change a report waits for more, and how often one is made when nothing changes, in ms. */
const GATHER = 100;
const REPEAT = 5000;
/** So many finished jobs are kept while nothing can be reported. */
const MOST = 10_000;

/** A finished job; times are in seconds. */
interface Completed {
  waiting?: number;
  processing: number;
  outcome: 'completed' | 'failed';
}

/** The jobs of an inport. */
export class Tally {
  private inFlight = 0;
  private completed: Completed[] = [];
  private gathering = false;
  private due?: NodeJS.Timeout;

  /** @param tell sends a report */
  constructor(
    private readonly announced: Announced,
    private readonly port: AnnouncedPort,
    private readonly tell: (report: Buffer) => void,
  ) {}

  /** A job has begun, whose message was sent at a time, if that is known. What it gives is called with how the job ended. */
  begin(sent?: number): (done: boolean) => void {
    const started = performance.now();
    const waiting = sent === undefined ? {} : { waiting: Math.max(0, Date.now() - sent) / 1000 };
    this.inFlight += 1;
    this.changed();
    return (done) => {
      this.inFlight -= 1;
      const processing = (performance.now() - started) / 1000;
      if (this.completed.length < MOST) this.completed.push({ ...waiting, processing, outcome: done ? 'completed' : 'failed' });
      this.changed();
    };
  }

  private changed(): void {
    if (this.gathering) return;
    this.gathering = true;
    this.remindIn(GATHER);
  }

  private remindIn(milliseconds: number): void {
    clearTimeout(this.due);
    this.due = setTimeout(() => this.report(), milliseconds).unref();
  }

  private report(): void {
    this.gathering = false;
    const { id, role, component } = this.announced;
    const completed = this.completed.splice(0);
    const queue = this.port.queue;
    this.tell(encode({ id, role, component, queue, inport: this.port.id, in_flight: this.inFlight, completed }));
    if (this.inFlight > 0) this.remindIn(REPEAT);
  }

  /** Tells what is still to be told. */
  end(): void {
    clearTimeout(this.due);
    if (this.gathering) this.report();
    clearTimeout(this.due);
  }
}

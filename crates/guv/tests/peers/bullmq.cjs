// BullMQ as an application uses it. `node bullmq.cjs URL QUEUE STEP…`; steps are done in turn, each answered by a line:
// `add N`, `delay N SECONDS`, `priority N`, `pause`, `resume`, `take N` (hold N jobs at work), `finish` (those).
const { Queue, Worker } = require('bullmq');
const { Redis } = require('ioredis');
const readline = require('node:readline');

const [url, name] = process.argv.slice(2);
const connection = new Redis(url, { maxRetriesPerRequest: null });
const queue = new Queue(name, { connection });
let worker = null;
let release = () => {};

const steps = {
  add: (n) => queue.addBulk(Array.from({ length: Number(n) }, () => ({ name: 'job', data: {} }))),
  delay: (n, seconds) => queue.addBulk(
    Array.from({ length: Number(n) }, () => ({ name: 'job', data: {}, opts: { delay: 1000 * Number(seconds) } }))),
  priority: (n) => queue.addBulk(
    Array.from({ length: Number(n) }, () => ({ name: 'job', data: {}, opts: { priority: 2 } }))),
  pause: () => queue.pause(),
  resume: () => queue.resume(),
  take: (n) => new Promise((taken) => {
    let held = 0;
    const released = new Promise((resolve) => { release = resolve; });
    worker = new Worker(name, async () => {
      held += 1;
      if (held === Number(n)) taken();
      await released;
    }, { connection: connection.duplicate(), concurrency: Number(n) });
  }),
  finish: async () => {
    const closed = worker.close();
    release();
    await closed;
  },
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const [step, ...rest] = line.split(' ');
  try {
    await steps[step](...rest);
    console.log('done');
  } catch (error) {
    console.log(`failed: ${error.stack.replaceAll('\n', ' ')}`);
  }
}).on('close', () => process.exit(0));

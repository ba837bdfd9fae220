// The least participant: sends what it gets. node repeat.mjs ROLE
import { main, Participant } from '../dist/index.js';

const repeat = new Participant(
  { component: 'node/Repeat', label: 'Sends what it gets', icon: 'repeat', inports: [{ id: 'in' }], outports: [{ id: 'out' }] },
  { in: async (message, send) => send('out', message.buffer) },
);
await main(repeat);

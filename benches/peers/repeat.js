// The participant of msgflo-nodejs that sends what it gets, with a prefetch that can be chosen, which its command line does
// not offer: node repeat.js URL ROLE PREFETCH
'use strict';
const msgflo = require('msgflo-nodejs');

const [url, role, prefetch] = process.argv.slice(2);
const definition = {
  component: 'bench/Repeat',
  inports: [{ id: 'in', type: 'any' }],
  outports: [{ id: 'out', type: 'any' }],
};
const client = msgflo.transport.getClient(url, { prefetch: Number(prefetch) });
const repeat = (inport, data, callback) => callback('out', null, data);
new msgflo.participant.Participant(client, definition, repeat, role).start((error) => {
  if (error) throw error;
});

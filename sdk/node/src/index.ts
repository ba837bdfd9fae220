/**
 * Write MsgFlo participants in TypeScript and JavaScript.
 *
 *     import { main, Participant } from 'msgflo-participant';
 *
 *     const repeat = new Participant({ component: 'examples/Repeat', inports: [{ id: 'in' }], outports: [{ id: 'out' }] }, {
 *       in: async (message, send) => { await send('out', message.data); },
 *     });
 *     await main(repeat);
 *
 * A message is acknowledged when its handler has resolved, and `send` resolves when the broker has confirmed. What a handler throws
 * goes to the port `error`, if there is one, and the message is refused, so that the broker dead-letters or drops it.
 */

export { type Definition, type Handler, type Handlers, type Message, Participant, type Port, type Send } from './participant.js';
export { main, type Running, start, type StartOptions } from './running.js';

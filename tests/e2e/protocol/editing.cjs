// Edits a running network with npm's fbp-client, which checks what it sends and gets, and what it may.
//
// node editing.cjs ws://127.0.0.1:3569

const assert = require('node:assert');
const need = require('node:module').createRequire(`${process.cwd()}/`);
const fbpClient = need('fbp-client');
const { graph: { loadJSON } } = need('fbp-graph');

async function connected(address) {
  const client = await fbpClient({ address, protocol: 'websocket', secret: '' }, { commandTimeout: 60000 });
  client.on('protocolError', (error) => {
    console.error('protocol error', error);
    process.exit(1);
  });
  await client.connect();
  return client;
}

async function main(address) {
  const [client, other] = [await connected(address), await connected(address)];
  const heard = [];
  other.on('graph', ({ command, payload }) => heard.push(`${command} ${payload.id || ''}`.trim()));
  const graph = await new Promise((resolve, reject) => {
    const json = {
      caseSensitive: false,
      properties: { name: 'edited' },
      inports: { in: { process: 'first', port: 'in' } },
      outports: { out: { process: 'second', port: 'out' } },
      processes: { first: { component: 'core/Repeat' }, second: { component: 'core/Repeat' } },
      connections: [{ src: { process: 'first', port: 'out' }, tgt: { process: 'second', port: 'in' } }],
    };
    loadJSON(json, (error, loaded) => (error ? reject(error) : resolve(loaded)));
  });
  graph.name = 'edited';
  await client.protocol.graph.send(graph, false);
  await client.protocol.network.start({ graph: 'edited' });

  const results = [];
  client.on('runtime', ({ command, payload }) => {
    if (command === 'packet' && payload.graph === 'edited') results.push(payload.payload.n);
  });
  for (let n = 0; n < 20; n += 1) {
    await client.protocol.runtime.packet({ port: 'in', event: 'data', payload: { n }, graph: 'edited' });
  }
  while (results.length < 20) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepStrictEqual([...results].sort((a, b) => a - b), [...Array(20).keys()], 'each once');

  await client.protocol.graph.addnode({ id: 'third', component: 'core/Repeat', metadata: {}, graph: 'edited' });
  await client.protocol.graph.addedge({ src: { node: 'second', port: 'out' }, tgt: { node: 'third', port: 'in' }, metadata: {}, graph: 'edited' });
  await client.protocol.graph.removenode({ id: 'third', graph: 'edited' });
  await client.protocol.network.stop({ graph: 'edited' });
  assert.deepStrictEqual(await client.protocol.network.getstatus({ graph: 'edited' }), { graph: 'edited', running: false, started: false });
  assert.ok((await client.protocol.component.list()).some(({ name }) => name === 'core/Repeat'));
  const end = Date.now() + 60000;
  for (const edit of ['clear edited', 'addnode first', 'addnode third', 'removenode third']) {
    while (!heard.includes(edit)) {
      assert.ok(Date.now() < end, `the other client was told of ${edit}: ${heard}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  await Promise.all([client.disconnect(), other.disconnect()]);
}

main(process.argv[2]).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});

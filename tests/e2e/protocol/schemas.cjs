// Goes through every command of the FBP runtime protocol, and checks every message that comes back against the schemas of
// npm's fbp-protocol. (Its own suite names them without their leading slash, and so checks nothing.)
//
// node schemas.cjs ws://127.0.0.1:3569

const assert = require('node:assert');
const need = require('node:module').createRequire(`${process.cwd()}/`);
const schemas = need('fbp-protocol/schema/index.js');
const { client: Client } = need('websocket');

// The protocol has answers to these, and no schemas for them.
const WITHOUT_SCHEMA = new Set(['network:persist', 'network:debug']);
const seen = new Set();
const received = [];
const waiting = [];

function check(text) {
  const message = JSON.parse(text);
  const name = `${message.protocol}:${message.command}`;
  seen.add(name);
  if (!WITHOUT_SCHEMA.has(name)) {
    // Of all schemas, only this one does not allow for the id of the request.
    const { responseTo, ...bare } = message;
    const checked = name === 'network:edges' ? bare : message;
    const result = schemas.validateMultiple(checked, `/${message.protocol}/output/${message.command}`);
    assert.deepStrictEqual(result.missing, [], `${name} has a schema`);
    assert.deepStrictEqual(result.errors.map((e) => `${e.dataPath}: ${e.message}`), [], `${name}: ${text}`);
  }
  assert.ok(!text.includes('the-secret'), 'secrets are not echoed');
  return message;
}

function arrived(message) {
  const index = waiting.findIndex(({ wanted }) => wanted(message));
  if (index >= 0) {
    waiting.splice(index, 1)[0].resolve(message);
  } else {
    received.push(message);
  }
}

// The first message, of those that have come and will come, that is wanted.
function next(what, wanted) {
  const index = received.findIndex(wanted);
  if (index >= 0) return Promise.resolve(received.splice(index, 1)[0]);
  return new Promise((resolve, reject) => {
    waiting.push({ wanted, resolve });
    setTimeout(() => reject(new Error(`${what} did not come; there were ${[...seen].join(', ')}`)), 30000).unref();
  });
}

async function main(url) {
  const connection = await new Promise((resolve, reject) => {
    const client = new Client();
    client.on('connect', resolve);
    client.on('connectFailed', reject);
    client.connect(url, 'noflo');
  });
  assert.strictEqual(connection.protocol, 'noflo');
  connection.on('message', ({ utf8Data }) => {
    try {
      arrived(check(utf8Data));
    } catch (error) {
      console.error(error);
      process.exit(1);
    }
  });
  let requests = 0;
  const ask = async (protocol, command, payload, answer = command) => {
    requests += 1;
    const requestId = `request-${requests}`;
    connection.sendUTF(JSON.stringify({ protocol, command, payload, requestId, secret: 'the-secret' }));
    const message = await next(`${protocol}:${answer}`, (m) => m.responseTo === requestId && m.command !== 'ports' && m.command !== 'component');
    assert.strictEqual(`${message.protocol}:${message.command}`, `${protocol}:${answer}`, JSON.stringify(message.payload));
    return message.payload;
  };

  const runtime = await ask('runtime', 'getruntime', {}, 'runtime');
  assert.strictEqual(runtime.type, 'msgflo');
  assert.ok(runtime.capabilities.includes('network:persist'));
  assert.ok(JSON.parse((await ask('component', 'getsource', { name: runtime.graph }, 'source')).code).processes);
  const components = await ask('component', 'list', {}, 'componentsready');
  assert.ok(components >= 2);
  assert.strictEqual((await ask('component', 'getsource', { name: 'core/Repeat' }, 'source')).name, 'Repeat');

  const graph = 'schemas';
  const of = (payload) => ({ ...payload, graph });
  await ask('graph', 'clear', { id: graph, name: 'Schemas', library: 'core', main: false, icon: '', description: 'd' });
  await ask('graph', 'addnode', of({ id: 'a', component: 'core/Repeat', metadata: { x: 1.5, y: -20 } }));
  await ask('graph', 'addnode', of({ id: 'b', component: 'core/Repeat' }));
  await ask('graph', 'addnode', of({ id: 'gone', component: 'core/Repeat' }));
  await ask('graph', 'changenode', of({ id: 'a', metadata: { label: 'A' } }));
  const edge = { src: { node: 'a', port: 'out' }, tgt: { node: 'b', port: 'in' } };
  await ask('graph', 'addedge', of({ ...edge, metadata: { route: 3 } }));
  await ask('graph', 'changeedge', of({ ...edge, metadata: { secure: true } }));
  await ask('graph', 'addedge', of({ src: { node: 'b', port: 'out' }, tgt: { node: 'gone', port: 'in' } }));
  await ask('graph', 'addinitial', of({ src: { data: { hello: 'world' } }, tgt: { node: 'gone', port: 'in' } }));
  await ask('graph', 'addoutport', of({ public: 'gone', node: 'gone', port: 'out' }));
  await ask('graph', 'removenode', of({ id: 'gone' }));
  await ask('graph', 'addinitial', of({ src: { data: 'first' }, tgt: { node: 'a', port: 'in' } }));
  await ask('graph', 'removeinitial', of({ tgt: { node: 'a', port: 'in' } }));
  await ask('graph', 'addinport', of({ public: 'in', node: 'a', port: 'in', metadata: { x: 1, y: 2 } }));
  await ask('graph', 'renameinport', of({ from: 'in', to: 'input' }));
  await ask('graph', 'addoutport', of({ public: 'out', node: 'b', port: 'out' }));
  await ask('graph', 'renameoutport', of({ from: 'out', to: 'result' }));
  await ask('graph', 'addinport', of({ public: 'other', node: 'b', port: 'in' }));
  await ask('graph', 'removeinport', of({ public: 'other' }));
  await ask('graph', 'addgroup', of({ name: 'g', nodes: ['a', 'b'], metadata: { description: 'both' } }));
  await ask('graph', 'renamegroup', of({ from: 'g', to: 'h' }));
  await ask('graph', 'changegroup', of({ name: 'h', metadata: { description: 'all' } }));
  await ask('graph', 'removegroup', of({ name: 'h' }));
  await ask('graph', 'renamenode', of({ from: 'b', to: 'c' }));
  const renamed = { src: edge.src, tgt: { node: 'c', port: 'in' } };

  await ask('trace', 'start', of({ buffersize: 100 }));
  await ask('network', 'edges', of({ edges: [renamed] }));
  await ask('network', 'debug', of({ enable: true }));
  await ask('graph', 'addinitial', of({ src: { data: 'iip' }, tgt: { node: 'a', port: 'in' } }));
  await ask('network', 'start', of({}), 'started');
  const isData = (m) => m.command === 'data' && m.payload.graph === graph;
  await next('the initial packet', (m) => isData(m) && m.payload.data === 'iip' && !m.payload.src);
  await next('what it causes', (m) => isData(m) && m.payload.data === 'iip' && m.payload.src);
  await next('the result', (m) => m.command === 'packet' && m.payload.port === 'result' && m.payload.payload === 'iip');

  const binary = { base64: Buffer.from([0, 255, 1, 254]).toString('base64'), contentType: 'application/x-test' };
  await ask('runtime', 'packet', of({ port: 'input', event: 'begingroup', payload: 'g' }), 'packetsent');
  await ask('runtime', 'packet', of({ port: 'input', event: 'data', payload: binary }), 'packetsent');
  const packet = await next('the binary result', (m) => m.command === 'packet' && m.payload.payload.base64);
  assert.strictEqual(packet.payload.payload.base64, binary.base64, 'binary payloads pass unchanged');
  await next('an edge that is bound', (m) => m.command === 'changeedge' && m.payload.metadata.msgflo?.state === 'bound');
  assert.deepStrictEqual(await ask('network', 'getstatus', of({}), 'status'), { graph, running: false, started: true });

  await ask('trace', 'stop', of({}));
  const { flowtrace } = await ask('trace', 'dump', of({ type: 'flowtrace.json' }));
  assert.ok(JSON.parse(flowtrace).events.length >= 2, flowtrace);
  await ask('trace', 'clear', of({}));
  await ask('graph', 'removeedge', of(renamed));
  await ask('graph', 'removeoutport', of({ public: 'result' }));
  await ask('network', 'stop', of({}), 'stopped');
  await ask('network', 'persist', {});

  // What cannot be done is answered, and changes nothing.
  for (const [protocol, command, payload] of [
    ['graph', 'addnode', { id: 'x', component: 'y', graph: 'nowhere' }],
    ['graph', 'addnode', { id: 'x', component: 'y' }],
    ['graph', 'addedge', of({ src: { node: 'no', port: 'out' }, tgt: { node: 'a', port: 'in' } })],
    ['graph', 'addnode', of({ id: 7 })],
    ['graph', 'fly', of({})],
    ['network', 'start', { graph: 'nowhere' }],
    ['component', 'getsource', { name: 'core/Nothing' }],
    ['component', 'source', { name: '../../etc/passwd', language: 'python', code: '' }],
    ['runtime', 'packet', of({ port: 'input', event: 'data', payload: 1 })],
    ['trace', 'dump', { graph: 'nowhere', type: 'flowtrace.json' }],
    ['trace', 'rewind', of({})],
  ]) {
    const { message } = await ask(protocol, command, payload, 'error');
    assert.ok(message, `${protocol}:${command}`);
  }
  for (const frame of ['', '{', '[]', '"x"', `{"protocol":${'['.repeat(5000)}`, '{"protocol":"graph"}']) {
    connection.sendUTF(frame);
    await next('an error', (m) => m.protocol === 'runtime' && m.command === 'error');
  }
  connection.sendBytes(Buffer.from([1, 2, 3]));
  await next('an error', (m) => m.protocol === 'runtime' && m.command === 'error');
  connection.sendUTF(JSON.stringify({ protocol: 'runtime', command: 'packet', payload: of({ port: 'input', event: 'data', payload: 'x'.repeat(10 << 20) }) }));
  await next('an error', (m) => m.protocol === 'runtime' && m.command === 'error');
  assert.strictEqual((await ask('runtime', 'getruntime', {}, 'runtime')).graph, runtime.graph);
  connection.close();
  console.log(`${seen.size} kinds of messages checked`);
}

main(process.argv[2]).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});

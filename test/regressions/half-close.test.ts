import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { recordingUpstream, startGateway, testCertificate } from '../rest/lane-fixture.ts';
import { until } from '../support/until.ts';

/**
 * A client that closed its writing half behind its request got no answer, and its request was ended upstream. Qdrant
 * answers (actix-http 3: `READ_DISCONNECT` ends the connection only when nothing is under way).
 */
const certificate = await testCertificate();
const get = (tag: string, lines = '') =>
  `GET /collections/a?${tag} HTTP/1.1\r\nhost: x\r\napi-key: main\r\n${lines}\r\n`;
const put = (tag: string, lines = '') =>
  `PUT /collections/a/points?${tag} HTTP/1.1\r\nhost: x\r\napi-key: main\r\ncontent-length: 2\r\n${lines}\r\n{}`;
const ODD = 'content-encoding: identity\r\n';

const CASES: readonly (readonly [name: string, bytes: string, answered: readonly string[]])[] = [
  ['one request', get('one'), ['one']],
  ['one with a body', put('one'), ['one']],
  [
    'three, the last asks for the end',
    get('one') + put('two') + get('three', 'connection: close\r\n'),
    ['one', 'two', 'three'],
  ],
  ['one for the other lane', get('one', ODD), ['one']],
  ['one with a body for the other lane', put('one', ODD), ['one']],
  [
    'a mix over the hand-over',
    get('one') + put('two') + put('three', ODD) + get('four') + get('five', ODD),
    ['one', 'two', 'three', 'four', 'five'],
  ],
  ['a filtered answer', get('one').replace('/collections/a', '/collections').replace('main', 'listNone'), []],
  ['an open route', 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n', []],
  ['a refused one', get('one').replace('main', 'wrong'), []],
];

function open(port: number, tls: boolean): Socket {
  return tls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, allowHalfOpen: true } as never)
    : connect({ port, host: '127.0.0.1', allowHalfOpen: true });
}

async function halfClosed(
  test: Test,
  bytes: string,
  options: { tls: boolean; relayed: boolean },
): Promise<{ text: string; targets: string[] }> {
  let left = () => false;
  const upstream = await recordingUpstream((request, response) => {
    response.setHeader('content-type', 'application/json');
    // Not before the client's end has come: it is what used to end the request.
    const answer = () =>
      left() ? response.end(`{"result":{"collections":[]},"target":"${request.url}"}`) : setTimeout(answer, 2);
    setTimeout(answer, 20);
  });
  const gateway = await startGateway(upstream.port, {
    relayed: options.relayed,
    ...(options.tls ? { tls: certificate } : {}),
  });
  test.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const socket = open(gateway.port, options.tls);
  left = () => socket.writableFinished;
  let text = '';
  let closed = false;
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket
    .on('error', () => undefined)
    .on('end', () => {
      closed = true;
    });
  socket.end(bytes);
  await until(() => closed, 'the gateway ends the connection behind its last answer', 10_000);
  socket.destroy();
  return { text, targets: upstream.received.map(({ target }) => target) };
}

for (const relayed of [true, false]) {
  for (const tls of [false, true]) {
    const lane = `${relayed ? 'relay' : 'no relay'}, ${tls ? 'TLS' : 'plain'}`;
    t.test(`who closes its writing half is answered (${lane})`, async (t) => {
      for (const [name, bytes, answered] of CASES) {
        await t.test(name, async (t) => {
          const { text } = await halfClosed(t, bytes, { tls, relayed });
          const expected = bytes.split(' HTTP/1.1\r\n').length - 1;
          t.equal(text.split('HTTP/1.1 ').length - 1, expected, 'every request has its answer');
          t.strictSame(
            [...text.matchAll(/"target":"[^?"]*\?(\w+)"/g)].map(([, tag]) => tag),
            answered,
            'in order',
          );
        });
      }
    });

    t.test(`a body that is not whole is never sent to its end (${lane})`, async (t) => {
      for (const lines of ['', ODD]) {
        const short = put('short', lines).slice(0, -1);
        const { targets, text } = await halfClosed(t, get('first') + short, { tls, relayed });
        t.match(text, /^HTTP\/1\.1 200 /, 'what came before is answered');
        t.notMatch(text, /\?short/, 'and it is not');
        t.ok(targets.length >= 1);
      }
    });
  }
}

import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { type HttpPortOptions, openHttpPort } from '../../src/acme/http-port.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { until } from '../support/until.ts';

const TOKEN = 'LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0';
const AUTHORIZATION = `${TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI`;

async function open(options: Partial<HttpPortOptions> = {}) {
  const port = await openHttpPort({
    ...{ host: '127.0.0.1', port: 0, connectionMs: PATIENCE_MS },
    answers: () => new Map([[TOKEN, AUTHORIZATION]]),
    ...options,
  });
  t.teardown(() => port.close());
  return port;
}

/** The whole answer to some bytes; ends when the port closes the connection. */
async function send(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  return await text(socket).catch(() => 'reset');
}

const { address } = await open();
const PATH = `/.well-known/acme-challenge/${TOKEN}`;
const SECRET = 'x-secret-of-a-client';

const cases: readonly (readonly [name: string, head: string, status: string])[] = [
  ['the path of a token', `GET ${PATH}`, '200 OK'],
  ['the same by HEAD', `HEAD ${PATH}`, '200 OK'],
  ['the root', 'GET /', '404 Not Found'],
  ['a path of Qdrant', 'GET /collections', '404 Not Found'],
  ['another token', `GET ${PATH.slice(0, -1)}`, '404 Not Found'],
  ['a longer one', `GET ${PATH}x`, '404 Not Found'],
  ['with a query', `GET ${PATH}?x=1`, '404 Not Found'],
  ['with an encoded letter', `GET ${PATH.replace('L', '%4c')}`, '404 Not Found'],
  ['with dot segments', `GET /.well-known/acme-challenge/../acme-challenge/${TOKEN}`, '404 Not Found'],
  ['an absolute target of a stranger', `GET http://evil.example${PATH}`, '404 Not Found'],
  ['the path of a prototype', 'GET /.well-known/acme-challenge/__proto__', '404 Not Found'],
  ['by POST', `POST ${PATH}`, '404 Not Found'],
  ['by OPTIONS', `OPTIONS ${PATH}`, '404 Not Found'],
];

for (const [name, head, status] of cases) {
  t.test(`${name}: ${status}`, async (t) => {
    const answer = await send(
      address.port,
      `${head} HTTP/1.1\r\nhost: evil.example\r\n${SECRET}: yes\r\norigin: https://evil.example\r\n\r\n`,
    );
    t.match(answer, new RegExp(`^HTTP/1.1 ${status}\r\n`));
    t.match(answer, /\r\nconnection: close\r\n/i, 'one answer a connection');
    t.notMatch(answer, /location|evil|secret|access-control/i, 'it repeats nothing, and leads nowhere');
    const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
    t.equal(body, head.startsWith('HEAD') ? '' : status === '200 OK' ? AUTHORIZATION : 'not found\n');
  });
}

t.test('what is no request of HTTP/1.1 is disconnected without a word', async (t) => {
  const broken: readonly (readonly [name: string, bytes: string])[] = [
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a head that is too large', `GET ${PATH} HTTP/1.1\r\nhost: a\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`],
    ['a tunnel', 'CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n'],
  ];
  for (const [name, bytes] of broken) t.match(await send(address.port, bytes), /^(reset)?$/, name);
});

t.test('a wish for another protocol is ignored, and the request answered', async (t) => {
  for (const protocol of ['websocket', 'h2c', 'TLS/1.2, HTTP/1.1']) {
    const fields = `host: a\r\nconnection: upgrade, http2-settings\r\nupgrade: ${protocol}\r\nhttp2-settings: AAMAAABk\r\n`;
    const answer = await send(address.port, `GET ${PATH} HTTP/1.1\r\n${fields}\r\n`);
    t.match(answer, /^HTTP\/1\.1 200 OK\r\n/, protocol);
    t.equal(answer.slice(answer.indexOf('\r\n\r\n') + 4), AUTHORIZATION);
  }
});

t.test('a client that sends slowly is disconnected after the time of a connection, whatever it sends', async (t) => {
  const slow = await open({ connectionMs: 300 });
  const socket = connect(slow.address.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\n');
  const drip = setInterval(() => socket.write('x: y\r\n'), 50);
  await text(socket).catch(() => undefined);
  clearInterval(drip);
  t.pass('it ended');
});

t.test('T15: strangers that keep every connection open do not keep a validator out', async (t) => {
  const most = 8;
  const port = await open({ mostConnections: most });
  const strangers: Socket[] = [];
  let closed = 0;
  for (let at = 0; at < 3 * most; at += 1) {
    const socket = connect(port.address.port, '127.0.0.1');
    socket
      .on('error', () => undefined)
      .on('close', () => {
        closed += 1;
      });
    socket.resume();
    await once(socket, 'connect');
    strangers.push(socket);
  }
  await until(() => closed >= 2 * most, 'the oldest have ended');
  const asked = request({ host: '127.0.0.1', port: port.address.port, path: PATH });
  asked.end();
  const [response] = await once(asked, 'response');
  t.equal(await text(response), AUTHORIZATION);
  for (const socket of strangers) socket.destroy();
});

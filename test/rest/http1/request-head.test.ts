import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { readRequestHead } from '../../../src/rest/http1/request-head.ts';
import { runs } from '../../support/generators/runs.ts';
import { PATIENCE_MS } from '../../support/patience.ts';

const LIMITS = { maxBytes: 65_536, maxFields: 100 };
const HOST = 'host: x\r\n';

function read(text: string, limits = LIMITS) {
  return readRequestHead(Buffer.from(text, 'latin1'), limits);
}

function request(headers: string, line = 'POST /collections/a HTTP/1.1'): string {
  return `${line}\r\n${headers}\r\n`;
}

t.test('a plain head is read whole, and its length is where the body begins', async (t) => {
  const head = request(
    'Host: x.test:6333\r\nAPI-Key:  s e \r\nx-empty:\r\nContent-Length: 12\r\nconnection: Keep-Alive\r\n',
    'PUT /collections/a-b_c.d~/points?wait=true&x=%2F HTTP/1.1',
  );
  t.strictSame(read(`${head}body`), {
    method: 'PUT',
    target: '/collections/a-b_c.d~/points?wait=true&x=%2F',
    headers: [
      ...['Host', 'x.test:6333', 'API-Key', 's e', 'x-empty', ''],
      ...['Content-Length', '12', 'connection', 'Keep-Alive'],
    ],
    host: 'x.test:6333',
    contentLength: 12,
    close: false,
    coded: false,
    length: head.length,
  });
  t.match(read(request(`${HOST}Connection: CLOSE\r\ncontent-encoding: gzip\r\n`)), { close: true, coded: true });
  for (let size = 0; size < head.length; size++)
    t.equal(read(head.slice(0, size)), 'incomplete', `${size} bytes of it`);
});

const plain: readonly (readonly [name: string, text: string])[] = [
  ['no body', request(HOST, 'GET /collections HTTP/1.1')],
  ['the root', request(HOST, 'GET / HTTP/1.1')],
  ['a length of zero', request(`${HOST}content-length: 0\r\n`)],
  ['one api-key', request(`${HOST}api-key: k\r\n`)],
  ['one authorization', request(`${HOST}authorization: Bearer k\r\n`)],
  ['three dots are a name', request(HOST, 'GET /collections/... HTTP/1.1')],
  ['a dot in a name', request(HOST, 'GET /collections/.a HTTP/1.1')],
  ['dots and slashes in the query', request(HOST, 'GET /c?/../a//b/./%zz HTTP/1.1')],
];
for (const host of ['x', 'x.test:80', 'x_y', '127.0.0.1:6333', '[::1]:6333']) {
  t.type(read(request(`host: ${host}\r\n`)), 'object', `plain: the host ${host}`);
}
for (const [name, text] of plain) t.type(read(text), 'object', `plain: ${name}`);

const odd: readonly (readonly [name: string, text: string])[] = [
  ['content-length beside transfer-encoding', request(`${HOST}content-length: 3\r\ntransfer-encoding: chunked\r\n`)],
  ['any transfer-encoding', request(`${HOST}Transfer-Encoding: chunked\r\n`)],
  ['transfer-encoding identity', request(`${HOST}transfer-encoding: identity\r\n`)],
  ['two lengths that differ', request(`${HOST}content-length: 3\r\ncontent-length: 4\r\n`)],
  ['two lengths alike', request(`${HOST}content-length: 3\r\nContent-Length: 3\r\n`)],
  ['a list of lengths', request(`${HOST}content-length: 3, 3\r\n`)],
  ...['', '+2', '-1', '0x2', '2_0', '03', '00', '2 ', '2 2', '1e3', '1.0', '9999999999999999', '२'].flatMap(
    (value): [string, string][] =>
      value === '2 ' ? [] : [[`a length of "${value}"`, request(`${HOST}content-length: ${value}\r\n`)]],
  ),
  ['a blank before the colon', request(`${HOST}transfer-encoding : chunked\r\n`)],
  ['a tab before the colon', request(`${HOST}content-length\t: 3\r\n`)],
  ['a tab in a value', request(`${HOST}x-a: b\tc\r\n`)],
  ['a folded header', request(`${HOST}x-a: b\r\n c\r\n`)],
  ['a header line that begins with a tab', request(`${HOST}\tx-a: b\r\n`)],
  ['a vertical tab', request(`${HOST}transfer-encoding: \vchunked\r\n`)],
  ['a form feed', request(`${HOST}transfer-encoding: \fchunked\r\n`)],
  ['a NUL', request(`${HOST}x-a: b\0c\r\n`)],
  ['DEL', request(`${HOST}x-a: \x7f\r\n`)],
  ['a raw byte', request(`${HOST}x-a: \xe4\r\n`)],
  ['a raw byte in a name', request(`${HOST}x-\xe4: a\r\n`)],
  ['an empty name', request(`${HOST}: a\r\n`)],
  ['no colon', request(`${HOST}x-a\r\n`)],
  ['bare line feeds', 'GET /c HTTP/1.1\nhost: x\n\n'],
  ['one bare line feed', 'GET /c HTTP/1.1\r\nhost: x\nx: y\r\n\r\n'],
  ['a bare CR in a value', request(`${HOST}x-a: b\rc\r\n`)],
  ['a bare CR at the end', 'GET /c HTTP/1.1\r\nhost: x\r\n\rX\r\n\r\n'],
  ['CR CR LF', 'GET /c HTTP/1.1\r\nhost: x\r\r\n\r\n'],
  ['an empty line before', `\r\n${request(HOST)}`],
  ['no host', request('')],
  ['an empty host', request('host:\r\n')],
  ['a blank in the host', request('host: x y\r\n')],
  ...['x/y', 'a@x', 'x:y', 'x?y', 'x, y', 'x:', ':1', '[::1', 'x#y'].map((host): [string, string] => [
    `the host ${host}`,
    request(`host: ${host}\r\n`),
  ]),
  ['two hosts', request(`${HOST}Host: x\r\n`)],
  ['two keys', request(`${HOST}api-key: a\r\nApi-Key: a\r\n`)],
  ['two authorizations', request(`${HOST}authorization: a\r\nauthorization: b\r\n`)],
  ['a key and an authorization', request(`${HOST}api-key: a\r\nauthorization: b\r\n`)],
  ['an expectation', request(`${HOST}expect: 100-continue\r\n`)],
  ['an upgrade', request(`${HOST}upgrade: h2c\r\n`)],
  ['a trailer', request(`${HOST}trailer: api-key\r\n`)],
  ['Connection names a header', request(`${HOST}connection: close, x-a\r\n`)],
  ['Connection names the key', request(`${HOST}connection: api-key\r\n`)],
  ['Connection asks for an upgrade', request(`${HOST}connection: upgrade\r\n`)],
  ['two Connection headers', request(`${HOST}connection: close\r\nconnection: close\r\n`)],
  ['an empty Connection', request(`${HOST}connection:\r\n`)],
  ...['OPTIONS', 'CONNECT', 'TRACE', 'TRACK', 'FOO', 'get', 'GETT', 'QUERY', '"GET"'].map(
    (method): [string, string] => [`the method ${method}`, request(HOST, `${method} /c HTTP/1.1`)],
  ),
  ...['*', 'c', '//c', '/c/', '/a//b', '/./c', '/a/../c', '/a/..', '/a/.', '/c\\d', '/c;p=1', '/c#f', '/c?a#f'].map(
    (target): [string, string] => [`the target ${target}`, request(HOST, `GET ${target} HTTP/1.1`)],
  ),
  ...[
    'http://x/c',
    'http://evil/c',
    '/c\td',
    '/c?\xe4',
    '/c?\x01',
    '/\xe4',
    '/c?<',
    '/c?^',
    '/a+b',
    '/a@b',
    '/a:b',
  ].map((target): [string, string] => [`the target ${target}`, request(HOST, `GET ${target} HTTP/1.1`)]),
  ['two blanks before the target', request(HOST, 'GET  /c HTTP/1.1')],
  ['two blanks behind the target', request(HOST, 'GET /c  HTTP/1.1')],
  ['a blank behind the version', request(HOST, 'GET /c HTTP/1.1 ')],
  ...['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.10', 'HTTP/01.1', 'SSH/1.1'].map(
    (version): [string, string] => [`the version ${version}`, request(HOST, `GET /c ${version}`)],
  ),
  ['HTTP/0.9', 'GET /c\r\n\r\n'],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['101 headers', request(`${HOST}${'x-a: b\r\n'.repeat(100)}`)],
  ['a TLS record', '\x16\x03\x01\x02\x00\x01\x00'],
];
for (const [name, text] of odd) t.equal(read(text), 'odd', `odd: ${name}`);

t.test('the limits', async (t) => {
  t.type(read(request(`${HOST}${'x-a: b\r\n'.repeat(99)}`)), 'object', '100 headers');
  const head = request(`${HOST}x-a: ${'b'.repeat(500)}\r\n`);
  t.type(read(head, { ...LIMITS, maxBytes: head.length + 1 }), 'object', 'a head below the limit');
  t.equal(read(head, { ...LIMITS, maxBytes: head.length - 1 }), 'odd', 'a head above it');
  t.equal(read(`GET /${'a'.repeat(70_000)}`), 'odd', 'a target without an end');
});

interface Seen {
  readonly method: string | undefined;
  readonly target: string | undefined;
  readonly headers: readonly string[];
  readonly bytes: number;
}

/** What Node's own parser makes of the bytes: its first request, and the length of that one's body. */
async function nodeReads(bytes: Buffer): Promise<Seen | undefined> {
  let seen: Promise<Seen> | undefined;
  const server = createServer({ maxHeaderSize: LIMITS.maxBytes, insecureHTTPParser: false });
  server.on('request', (request: IncomingMessage) => {
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
    });
    const { method, url, rawHeaders } = request;
    seen ??= once(request, 'end').then(() => ({ method, target: url, headers: rawHeaders, bytes: size }));
    request.on('error', () => undefined);
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const socket = connect(typeof address === 'object' && address ? address.port : 0, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  const end = performance.now() + PATIENCE_MS;
  while (!seen && !socket.destroyed && performance.now() < end) await new Promise(setImmediate);
  const result = await seen;
  socket.destroy();
  server.closeAllConnections();
  server.close();
  return result;
}

const PIECES = [
  ...['\r\n', '\n', '\r', ' ', '\t', ':', ',', '\0', '\x7f', '\xe4', '0', '1', 'x'],
  ...[
    'content-length: 2\r\n',
    'Content-Length:3\r\n',
    'transfer-encoding: chunked\r\n',
    'host: y\r\n',
    '/',
    '..',
    '%2f',
    '?',
    '#',
  ],
  ...[
    'connection: close\r\n',
    'x-a: b\r\n',
    ' folded\r\n',
    'HTTP/1.1',
    'GET ',
    'expect: 100-continue\r\n',
    'upgrade: x\r\n',
  ],
];
const SEEDS = [
  request(`${HOST}content-length: 2\r\n`),
  request(`${HOST}api-key: k\r\naccept: */*\r\n`, 'GET /collections/a?b=c HTTP/1.1'),
  request(`${HOST}Connection: keep-alive\r\ncontent-type: a/b\r\nContent-Length: 10\r\n`, 'PUT /a/b HTTP/1.1'),
];

const mutated = fc
  .record({
    seed: fc.constantFrom(...SEEDS),
    edits: fc.array(
      fc.record({
        at: fc.nat({ max: 10_000 }),
        cut: fc.nat({ max: 3 }),
        put: fc.oneof(fc.constantFrom(...PIECES), fc.constant('')),
      }),
      { maxLength: 4 },
    ),
  })
  .map(({ seed, edits }) =>
    edits.reduce((text, { at, cut, put }) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + put + text.slice(place + cut);
    }, seed),
  );

t.test('what is plain reads the same in Node', async (t) => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(mutated, async (text) => {
      const head = read(text);
      if (typeof head === 'string' || head.contentLength > 50) return;
      compared += 1;
      const body = Buffer.alloc(head.contentLength, 'b');
      const bytes = Buffer.concat([Buffer.from(text, 'latin1').subarray(0, head.length), body]);
      const expected = { method: head.method, target: head.target, headers: head.headers, bytes: head.contentLength };
      t.strictSame(await nodeReads(bytes), expected, JSON.stringify(text));
      if (!t.passing()) throw new Error('another reading');
    }),
    { numRuns: runs(3_000) },
  );
  t.ok(compared > runs(100), `${compared} plain heads were compared`);
});

t.test('what is incomplete is never called plain, whatever comes before the end', async (t) => {
  fc.assert(
    fc.property(mutated, fc.nat({ max: 10_000 }), (text, at) => {
      const whole = read(text);
      const part = read(text.slice(0, at % (text.length + 1)));
      if (typeof part !== 'object') return true;
      return typeof whole === 'object' && whole.length === part.length && part.length <= at % (text.length + 1);
    }),
    { numRuns: runs(5_000) },
  );
  t.pass('held for every case');
});

import { connect as connectHttp2 } from 'node:http2';
import { request as requestTls } from 'node:https';
import t from 'tap';
import { exchangeRaw, readAnswer, recordingUpstream, startGateway, testCertificate } from '../lane-fixture.ts';

const upstream = await recordingUpstream();
const certificate = await testCertificate();
const plain = await startGateway(upstream.port);
const secure = await startGateway(upstream.port, { tls: certificate });
t.teardown(async () => {
  await plain.close();
  await secure.close();
  await upstream.close();
});
t.beforeEach(() => {
  upstream.received.length = 0;
});

const FORBIDDEN = '{"status":{"error":"Forbidden: Access to collection b is required"},"time":0.0}';
const MISSING = 'Must provide an API key or an Authorization bearer token';

interface Seen {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: string;
}

function overTls(path: string, key: string | undefined): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const headers = key === undefined ? {} : { 'api-key': key };
    const options = {
      host: '127.0.0.1',
      port: secure.port,
      path,
      headers,
      ca: certificate.issuer,
      agent: false as const,
    };
    requestTls(options, (response) => {
      let body = '';
      response.on('data', (chunk) => (body += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'], body }),
      );
    })
      .on('error', reject)
      .end();
  });
}

function overHttp2(headers: Record<string, string>, body?: string): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://127.0.0.1:${secure.port}`, { ca: certificate.issuer });
    session.on('error', reject);
    const stream = session.request(headers, { endStream: body === undefined });
    let head: { status: number; type: string | undefined } = { status: 0, type: undefined };
    let text = '';
    stream.on('response', (answer) => {
      head = { status: Number(answer[':status']), type: answer['content-type'] };
    });
    stream.on('data', (chunk) => (text += chunk));
    stream.on('error', () => undefined);
    stream.on('close', () => {
      session.close();
      resolve({ ...head, body: text });
    });
    if (body !== undefined) stream.end(body);
  });
}

async function overPlain(path: string, key: string | undefined): Promise<Seen> {
  const credential = key === undefined ? '' : `api-key: ${key}\r\n`;
  const { text } = await exchangeRaw(
    plain.port,
    `GET ${path} HTTP/1.1\r\nhost: x\r\n${credential}connection: close\r\n\r\n`,
  );
  const answer = readAnswer(text);
  return { status: answer.status, type: /content-type: (.*)/.exec(answer.head)?.[1]?.trim(), body: answer.body };
}

t.test('the same verdict over plain HTTP/1.1, TLS HTTP/1.1 and TLS HTTP/2', async (t) => {
  const ways = {
    plain: overPlain,
    'tls http/1.1': overTls,
    'tls h2': (path: string, key: string | undefined) =>
      overHttp2({ ':path': path, ...(key === undefined ? {} : { 'api-key': key }) }),
  };
  const served = (target: string) => ({
    status: 200,
    type: 'application/json',
    body: JSON.stringify({ method: 'GET', target, length: 0 }),
  });
  const bare = (status: number, body: string) => ({ status, type: undefined, body });
  for (const [way, ask] of Object.entries(ways)) {
    t.strictSame(
      await ask('/collections/a', 'listA'),
      served('/collections/a'),
      `${way}: a listed collection is served`,
    );
    t.strictSame(
      await ask('/collections/b', 'listA'),
      { status: 403, type: 'application/json', body: FORBIDDEN },
      `${way}: another is not`,
    );
    t.strictSame(await ask('/collections/b', 'main'), served('/collections/b'), `${way}: but to the admin key`);
    t.strictSame(await ask('/collections/a', undefined), bare(401, MISSING), `${way}: nothing without a credential`);
    t.strictSame(
      await ask('/collections/a', 'wrong'),
      bare(401, 'Invalid API key or JWT'),
      `${way}: nothing with a wrong one`,
    );
    t.strictSame(await ask('/healthz', 'wrong'), served('/healthz'), `${way}: an open route asks for none`);
    t.strictSame(await ask('/nope', 'listA'), bare(404, ''), `${way}: an unknown route does not exist`);
    const text = { status: 403, type: 'text/plain; charset=utf-8', body: 'Forbidden: Global access is required' };
    t.strictSame(await ask('/snapshots/x', 'listA'), text, `${way}: a text row refuses in text`);
  }
  t.equal(upstream.received.length, 9, 'refused requests put no byte upstream');
  t.notOk(JSON.stringify(upstream.received).includes('api-key'), 'no credential goes upstream');
});

t.test('an HTTP/2 body goes upstream, with a length and without', async (t) => {
  const put = { ':method': 'PUT', ':path': '/collections/a/points', 'api-key': 'main' };
  t.equal((await overHttp2({ ...put, 'content-length': '4' }, 'body')).status, 200);
  t.equal((await overHttp2(put, 'body')).status, 200);
  t.strictSame(
    upstream.received.map((one) => one.body.toString()),
    ['body', 'body'],
  );
  t.equal(
    (await overHttp2({ ...put, 'api-key': 'listA' }, 'x'.repeat(300_000))).status,
    403,
    'a refusal with an unread body',
  );
  t.equal(
    (await overHttp2({ ':method': 'FOO', ':path': '/collections', 'api-key': 'main' })).status,
    501,
    'unknown method',
  );
  t.equal(upstream.received.length, 2);
});

t.test('plain HTTP on the TLS port is told so', async (t) => {
  const { text, closed } = await exchangeRaw(secure.port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  t.ok(closed);
  t.strictSame([readAnswer(text).status, readAnswer(text).body], [400, 'client sent an HTTP request to an HTTPS port']);
  await exchangeRaw(secure.port, Buffer.from('1603010200010001fc0303deadbeef', 'hex'), { limitMs: 50 });
  await exchangeRaw(secure.port, Buffer.alloc(65_536, 0x16), { limitMs: 500 });
  t.equal((await overTls('/healthz', undefined)).status, 200, 'and the next client is served');
});

t.test('100 pipelined requests, allowed and denied, are each judged alone and answered in order', async (t) => {
  let bytes = '';
  for (let i = 0; i < 100; i++) {
    const close = i === 99 ? 'connection: close\r\n' : '';
    bytes += `GET /collections/${i % 2 ? 'a' : 'b'}?n=${i} HTTP/1.1\r\nhost: x\r\napi-key: listA\r\n${close}\r\n`;
  }
  const { text } = await exchangeRaw(plain.port, bytes);
  const seen = [...text.matchAll(/HTTP\/1\.1 (\d+)|\?n=(\d+)/g)].map((found) => found[1] ?? Number(found[2]));
  const expected = Array.from({ length: 100 }, (_, i) => (i % 2 ? ['200', i] : ['403'])).flat();
  t.strictSame(seen, expected);
  t.equal(upstream.received.length, 50);
});

const HEAD = 'PUT /collections/a/points HTTP/1.1\r\nhost: x\r\n';

t.test('100 Continue is sent only to a client that may go on', async (t) => {
  const allowed = await exchangeRaw(
    plain.port,
    `${HEAD}api-key: main\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n{}`,
    {
      until: (text) => text.includes('"length":2'),
    },
  );
  t.match(allowed.text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
  const denied = await exchangeRaw(
    plain.port,
    `${HEAD}api-key: wrong\r\nexpect: 100-continue\r\ncontent-length: 5000000\r\n\r\n`,
  );
  t.equal(readAnswer(denied.text).status, 401);
  t.match(readAnswer(denied.text).head, /connection: close/);
  t.ok(denied.closed, 'the connection is not left half-read');
  const odd = await exchangeRaw(
    plain.port,
    `${HEAD}api-key: main\r\nexpect: tea\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`,
  );
  t.equal(readAnswer(odd.text).status, 200, 'other expectations are ignored');
  t.notOk(upstream.received.some((one) => one.headers.some((part) => part.toLowerCase() === 'expect')));
});

t.test('a refused upload gets its answer, and the request behind it another', async (t) => {
  const next = 'GET /collections/a HTTP/1.1\r\nhost: x\r\napi-key: main\r\nconnection: close\r\n\r\n';
  const chunk = `${(100_000).toString(16)}\r\n${'x'.repeat(100_000)}\r\n`;
  const bodies: readonly (readonly [name: string, bytes: string])[] = [
    ['of 5 bytes', 'content-length: 5\r\n\r\nhello'],
    ['of 500 KB', `content-length: 500000\r\n\r\n${'x'.repeat(500_000)}`],
    ['in one small chunk', 'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
    ['in large chunks', `transfer-encoding: chunked\r\n\r\n${chunk.repeat(5)}0\r\n\r\n`],
  ];
  for (const [name, bytes] of bodies) {
    const before = upstream.received.length;
    const { text, closed } = await exchangeRaw(plain.port, `${HEAD}api-key: listA\r\n${bytes}${next}`);
    t.strictSame(
      [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((found) => found[1]),
      ['403', '200'],
      name,
    );
    t.ok(closed, name);
    t.equal(upstream.received.length - before, 1, name);
  }
});

t.test('a body that cannot be read on behind its answer ends the connection without a second one', async (t) => {
  for (const [name, bytes] of [
    ['no size of a chunk', '5\r\nhello\r\nZZ\r\n'],
    ['no end of a chunk', '5\r\nhelloxx'],
  ] as const) {
    const head = `${HEAD}api-key: listA\r\ntransfer-encoding: chunked\r\n\r\n`;
    const { text, closed } = await exchangeRaw(plain.port, `${head}${bytes}`);
    t.strictSame([[...text.matchAll(/HTTP\/1\.1 (\d+)/g)].length, closed], [1, true], name);
  }
});

t.test('framing that could be read in two ways is refused and closes', async (t) => {
  const put = (rest: string) => `${HEAD}api-key: main\r\n${rest}`;
  const get = (rest: string) => `GET /collections HTTP/1.1\r\napi-key: main\r\n${rest}`;
  const cases: readonly (readonly [name: string, bytes: string, status: number])[] = [
    ['a length beside chunked', put('content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'), 400],
    ['chunked beside a length', put('transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n'), 400],
    ['two lengths', put('content-length: 2\r\ncontent-length: 3\r\n\r\n{}x'), 400],
    ['two equal lengths', put('content-length: 2\r\ncontent-length: 2\r\n\r\n{}'), 400],
    ['lengths in a list', put('content-length: 2, 2\r\n\r\n{}'), 400],
    ['a signed length', put('content-length: +2\r\n\r\n{}'), 400],
    ['a negative length', put('content-length: -1\r\n\r\n{}'), 400],
    ['a hexadecimal length', put('content-length: 0x2\r\n\r\n{}'), 400],
    ['an empty length', put('content-length: \r\n\r\n{}'), 400],
    ['an endless length', put('content-length: 99999999999999999999\r\n\r\n{}'), 400],
    ['gzip before chunked', put('transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n'), 400],
    ['identity', put('transfer-encoding: identity\r\n\r\n'), 400],
    ['xchunked', put('transfer-encoding: xchunked\r\n\r\n0\r\n\r\n'), 400],
    ['a comma before chunked', put('transfer-encoding: ,chunked\r\n\r\n0\r\n\r\n'), 400],
    ['chunked twice', put('transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'), 400],
    ['a blank before the colon', put('transfer-encoding : chunked\r\n\r\n0\r\n\r\n'), 400],
    [
      'chunked on HTTP/1.0',
      'PUT /collections/a/points HTTP/1.0\r\nhost: x\r\napi-key: main\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['two hosts', get('host: x\r\nhost: y\r\n\r\n'), 400],
    ['two equal hosts', get('host: x\r\nhost: x\r\n\r\n'), 400],
    ['no host', get('\r\n'), 400],
    [
      'another host in the target',
      'GET http://evil.test/collections HTTP/1.1\r\nhost: x\r\napi-key: main\r\n\r\n',
      400,
    ],
    ['a user in the target', 'GET http://x@x/collections HTTP/1.1\r\nhost: x\r\napi-key: main\r\n\r\n', 400],
    ['CONNECT', 'CONNECT x:443 HTTP/1.1\r\nhost: x\r\napi-key: main\r\n\r\n', 405],
    ['an unknown method', 'FOO /collections HTTP/1.1\r\nhost: x\r\napi-key: main\r\n\r\n', 501],
    ['bare line feeds', 'GET /collections HTTP/1.1\nhost: x\napi-key: main\n\n', 400],
    ['a folded header', get('host: x\r\nx-a: b\r\n c\r\n\r\n'), 400],
    ['a NUL in a header', get('host: x\r\nx-a: \0\r\n\r\n'), 400],
    ['an empty header name', get('host: x\r\n: y\r\n\r\n'), 400],
    ['101 headers', get(`host: x\r\n${'x-a: b\r\n'.repeat(99)}\r\n`), 431],
    ['65 KiB of headers', get(`host: x\r\nx-a: ${'b'.repeat(66_000)}\r\n\r\n`), 431],
    ['HTTP/2 without TLS', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ];
  for (const [name, bytes, status] of cases) {
    const { text, closed } = await exchangeRaw(plain.port, bytes);
    t.strictSame([readAnswer(text).status, closed], [status, true], name);
    t.equal([...text.matchAll(/HTTP\/1\.1 \d/g)].length, 1, `${name} is answered once`);
  }
  t.equal(upstream.received.length, 0, 'none of it goes upstream');
  const many = await exchangeRaw(plain.port, get(`host: x\r\nconnection: close\r\n${'x-a: b\r\n'.repeat(97)}\r\n`));
  t.equal(readAnswer(many.text).status, 200, '100 headers are served');
});

t.test('a body that cannot be read ends as its own refusal, never as the answer to an earlier request', async (t) => {
  const chunked = `${HEAD}api-key: main\r\ntransfer-encoding: chunked\r\n\r\n`;
  const bad = await exchangeRaw(plain.port, `${chunked}zz\r\n`);
  t.strictSame([readAnswer(bad.text).status, bad.closed], [400, true]);
  const get = 'GET /collections/a HTTP/1.1\r\nhost: x\r\napi-key: main\r\n\r\n';
  const after = await exchangeRaw(plain.port, `${get}GET / HTTP/9\r\n\r\n`);
  t.ok(after.closed);
  t.notMatch(after.text, /^HTTP\/1\.1 400/);
});

t.test('trailers are dropped', async (t) => {
  const bytes = `${HEAD}connection: close\r\napi-key: main\r\ntrailer: api-key\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\napi-key: main\r\nx-late: 1\r\n\r\n`;
  t.equal(readAnswer((await exchangeRaw(plain.port, bytes)).text).status, 200);
  t.strictSame(
    upstream.received.map((one) => one.body.toString()),
    ['{}'],
  );
  t.notMatch(upstream.received[0]?.headers.join('|'), /trailer|x-late|api-key/i);
});

t.test('Upgrade opens nothing: the answer is the last on its connection', async (t) => {
  for (const protocol of ['h2c', 'foo', 'websocket']) {
    upstream.received.length = 0;
    const bytes =
      `GET /collections/a HTTP/1.1\r\nhost: x\r\napi-key: main\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\n\r\n` +
      'GET /collections/b HTTP/1.1\r\nhost: x\r\napi-key: listA\r\nconnection: close\r\n\r\n';
    const { text, closed } = await exchangeRaw(plain.port, bytes);
    t.strictSame(
      [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((found) => found[1]),
      ['200'],
      protocol,
    );
    t.ok(closed);
    t.equal(upstream.received.length, 1);
    t.notMatch(upstream.received[0]?.headers.join('|'), /upgrade/i);
  }
});

t.test('every exchange is recorded once, with what it came to', async (t) => {
  plain.outcomes.length = 0;
  await overPlain('/collections/a', 'main');
  await overPlain('/collections/b', 'listA');
  await overPlain('/healthz', undefined);
  const seen = plain.outcomes.map(({ exchange, outcome }) => [
    exchange.resolution?.operation.name,
    exchange.decision?.kind,
    outcome.status,
    outcome.received,
  ]);
  t.strictSame(seen, [
    ['collections.get', 'permit', 200, 0],
    ['collections.get', 'denial', 403, 0],
    ['service.healthz', 'permit', 200, 0],
  ]);
  t.strictSame(plain.faults, []);
});

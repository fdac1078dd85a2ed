import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from 'node:http2';
import t from 'tap';
import { PATIENCE_MS } from '../../support/patience.ts';
import { until } from '../../support/until.ts';
import {
  exchangeRaw,
  type RecordingUpstream,
  recordingUpstream,
  startGateway,
  type TestGateway,
  testCertificate,
} from '../lane-fixture.ts';

const certificate = await testCertificate();
const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR } = constants;

interface Ended {
  readonly status: number;
  readonly bytes: number;
  /** HTTP/2 error code the stream ended with. */
  readonly code: number;
}

function ended(stream: ClientHttp2Stream): Promise<Ended> {
  return new Promise((resolve) => {
    let status = 0;
    let bytes = 0;
    stream.on('response', (head) => {
      status = Number(head[':status']);
    });
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.on('error', () => undefined);
    stream.on('close', () => resolve({ status, bytes, code: stream.rstCode ?? NGHTTP2_NO_ERROR }));
  });
}

async function setUp(
  t: Tap,
  upstream: RecordingUpstream,
): Promise<{ gateway: TestGateway; session: ClientHttp2Session }> {
  const gateway = await startGateway(upstream.port, { tls: certificate });
  const session = connect(`https://127.0.0.1:${gateway.port}`, { rejectUnauthorized: false });
  session.on('error', () => undefined);
  t.teardown(async () => {
    session.destroy();
    await gateway.close();
    await upstream.close();
  });
  return { gateway, session };
}
type Tap = { teardown(run: () => Promise<void>): void };

t.test('the head of an HTTP/2 request', async (t) => {
  const upstream = await recordingUpstream();
  const { session } = await setUp(t, upstream);
  const ask = async (headers: OutgoingHttpHeaders) => {
    upstream.received.length = 0;
    const { status } = await ended(session.request({ 'api-key': 'main', ...headers }));
    return [status, upstream.received.map((one) => `${one.method} ${one.target}`)];
  };
  t.strictSame(await ask({ ':path': '/collections//a?x#y' }), [200, ['GET /collections/a?x']]);
  t.strictSame(await ask({ ':path': '*', ':method': 'OPTIONS' }), [404, []]);
  t.strictSame(await ask({ ':path': '/collections/\u00e4' }), [400, []], 'a raw byte');
  t.strictSame(
    await ask({ ':path': '/collections/a', 'api-key': ['main', 'wrong'] }),
    [200, ['GET /collections/a']],
    'the first key counts',
  );
  t.strictSame(await ask({ ':path': '/collections/a', 'api-key': ['wrong', 'main'] }), [401, []], 'and no other');
  t.strictSame(await ask({ ':path': '/collections/a', ':method': 'TRACE' }), [404, []]);
  t.match(await ask({ ':path': '/collections/a', expect: '100-continue' }), [200]);
  const many = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`x-${i}`, 'y']));
  t.not((await ask({ ':path': '/collections/a', ...many }))[0], 200, 'too many headers');
});

t.test('the authority is what upstream is told; a host header beside it has to say the same', async (t) => {
  const upstream = await recordingUpstream();
  const { session } = await setUp(t, upstream);
  const ask = (host: string) =>
    ended(session.request({ ':path': '/collections/a', ':authority': 'real.test', host, 'api-key': 'main' }));
  t.match(await ask('evil.test'), { status: 0, code: NGHTTP2_PROTOCOL_ERROR });
  t.strictSame(upstream.received, []);
  t.match(await ask('Real.test'), { status: 200 });
  t.strictSame(upstream.received[0]?.headers, [
    ...['host', `127.0.0.1:${upstream.port}`, 'connection', 'keep-alive'],
    ...[
      'x-forwarded-for',
      '127.0.0.1',
      'x-forwarded-proto',
      'https',
      'x-real-ip',
      '127.0.0.1',
      'x-forwarded-host',
      'real.test',
    ],
  ]);
});

t.test('bodies go both ways at the pace of the slower side', async (t) => {
  const upstream = await recordingUpstream();
  upstream.server.removeAllListeners('request');
  upstream.server.on('request', (request, response) => request.pipe(response));
  const { session } = await setUp(t, upstream);
  const size = 16 * 1_048_576;
  const stream = session.request({ ':method': 'PUT', ':path': '/collections/a/points', 'api-key': 'main' });
  const result = ended(stream);
  const chunk = Buffer.alloc(65_536, 'q');
  for (let sent = 0; sent < size; sent += chunk.length) if (!stream.write(chunk)) await once(stream, 'drain');
  stream.end();
  t.strictSame(await result, { status: 200, bytes: size, code: NGHTTP2_NO_ERROR });
});

t.test('a broken answer, a reset and a refused upload end their own stream and no other', async (t) => {
  let closed = 0;
  const upstream = await recordingUpstream();
  upstream.server.removeAllListeners('request');
  upstream.server.on('request', (request, response) => {
    request.on('error', () => undefined).resume();
    response.on('close', () => {
      closed += 1;
    });
    if (request.url?.endsWith('/broken')) response.write('part', () => response.destroy());
    else if (request.url?.endsWith('/hanging')) response.write('part');
    else response.end('whole');
  });
  const { gateway, session } = await setUp(t, upstream);
  const ask = (path: string) => session.request({ ':path': `/collections/${path}`, 'api-key': 'main' });
  t.strictSame(await ended(ask('broken')), { status: 200, bytes: 4, code: NGHTTP2_INTERNAL_ERROR });
  const hanging = ask('hanging');
  await once(hanging, 'data');
  closed = 0;
  hanging.close(NGHTTP2_CANCEL);
  const end = performance.now() + PATIENCE_MS;
  while (closed === 0 && performance.now() < end) await new Promise(setImmediate);
  t.equal(closed, 1, 'upstream hears of a reset');
  const upload = session.request({ ':method': 'PUT', ':path': '/collections/a/points', 'api-key': 'listA' });
  upload.write('x'.repeat(30_000));
  // Its client may send on for 30 s: the rest is thrown away. This one leaves.
  const [refused] = await once(upload, 'response');
  t.equal(refused[':status'], 403);
  const left = ended(upload);
  upload.close(NGHTTP2_CANCEL);
  await left;
  t.strictSame(await ended(ask('a')), { status: 200, bytes: 5, code: NGHTTP2_NO_ERROR }, 'the connection goes on');
  await until(() => gateway.outcomes.length === 4, 'all are recorded');
  t.strictSame(
    gateway.outcomes.map(({ outcome }) => outcome.status),
    [200, 200, 403, 200],
  );
  t.strictSame(gateway.faults, []);
});

t.test('a cut answer over TLS HTTP/1.1 is broken as well', async (t) => {
  const upstream = await recordingUpstream((_request, response) => {
    response.write('part', () => response.destroy());
  });
  const { gateway } = await setUp(t, upstream);
  const ask = 'GET /collections/a HTTP/1.1\r\nhost: x\r\napi-key: main\r\n\r\n';
  const { text, closed } = await exchangeRaw(gateway.port, ask, { tls: true });
  t.ok(closed);
  t.notMatch(text, /\r\n0\r\n/);
  t.match(text, /part/);
});

t.test('1,500 streams that are reset at once leave the listener serving', async (t) => {
  const upstream = await recordingUpstream();
  const { gateway, session } = await setUp(t, upstream);
  session.on('goaway', () => undefined);
  for (let i = 0; i < 1_500 && !session.closed && !session.destroyed; i++) {
    const stream = session.request({ ':path': '/collections/a', 'api-key': 'main' });
    stream.on('error', () => undefined);
    stream.close(NGHTTP2_CANCEL);
  }
  const next = connect(`https://127.0.0.1:${gateway.port}`, { rejectUnauthorized: false });
  t.match(await ended(next.request({ ':path': '/collections/a', 'api-key': 'main' })), { status: 200 });
  next.close();
});

t.test('a connection on which nothing happens is told to go, one with an open request is not', async (t) => {
  const upstream = await recordingUpstream((request, response) => {
    if (request.url === '/collections/a') setTimeout(() => response.end('{}'), 3000);
    else response.end('{}');
  });
  const gateway = await startGateway(upstream.port, { tls: certificate, limits: { keep_alive_timeout_ms: 500 } });
  const open = () => {
    const session = connect(`https://127.0.0.1:${gateway.port}`, { rejectUnauthorized: false });
    session.on('error', () => undefined);
    return session;
  };
  const [idle, busy] = [open(), open()];
  t.teardown(async () => {
    for (const session of [idle, busy]) session.destroy();
    await gateway.close();
    await upstream.close();
  });
  const slow = ended(busy.request({ ':path': '/collections/a', 'api-key': 'main' }));
  t.equal((await ended(idle.request({ ':path': '/collections', 'api-key': 'main' }))).status, 200);
  await once(idle, 'close');
  t.match(await slow, { status: 200, bytes: 2, code: NGHTTP2_NO_ERROR }, 'what was open was answered');
});

t.test('a refused request whose body never ends does not keep the process from its end', async (t) => {
  const upstream = await recordingUpstream();
  const { gateway, session } = await setUp(t, upstream);
  const refused = session.request({ ':path': '/collections/a/points', ':method': 'PUT', 'api-key': 'wrong' });
  const closed = ended(refused);
  const [head] = (await once(refused, 'response')) as [OutgoingHttpHeaders];
  t.equal(head[':status'], 401);
  // A client that goes on sending is waited for longer.
  const drip = setInterval(() => refused.write('{'), 500);
  t.teardown(async () => clearInterval(drip));
  await gateway.listener.close(60_000);
  t.match(await closed, { status: 401, code: NGHTTP2_NO_ERROR }, 'it is over without an error');
});

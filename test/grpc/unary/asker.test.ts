import { once } from 'node:events';
import { createSecureServer, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { grpcTimeoutOf } from '../../../src/grpc/call-timeout.ts';
import { createGrpcAsker, type GrpcAsker } from '../../../src/grpc/unary/asker.ts';
import { NO_CREDENTIAL } from '../../../src/upstream/credential.ts';
import { testCertificate } from '../../rest/lane-fixture.ts';

interface Asked {
  readonly stream: ServerHttp2Stream;
  /** What upstream is told of the deadline, in milliseconds. */
  readonly timeoutMs: number;
}

const HEALTH = '/qdrant.Qdrant/HealthCheck';
const LIST = '/qdrant.Collections/List';
const waiting = (leastMs: number, signal = new AbortController().signal) => ({ leastMs, signal });

/** An upstream that answers nothing of itself, and who asks it. */
async function setUp(
  t: Test,
  ca: () => Buffer | undefined = () => undefined,
  now?: () => number,
): Promise<[GrpcAsker, Http2Server]> {
  const upstream = createServer();
  upstream.on('session', (session) => t.teardown(() => session.destroy()));
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const { port } = upstream.address() as AddressInfo;
  const socket = {
    ...{ connectTimeoutMs: 1000, alpn: ['h2'] },
    get ca() {
      return ca();
    },
  };
  const address = { tls: false, host: '127.0.0.1', port };
  const asker = createGrpcAsker(
    { address, authority: `127.0.0.1:${port}`, credential: () => NO_CREDENTIAL, socket },
    now,
  );
  t.teardown(() => {
    asker.close();
    upstream.close();
  });
  return [asker, upstream];
}

async function next(upstream: Http2Server): Promise<Asked> {
  const [stream, headers] = (await once(upstream, 'stream')) as [ServerHttp2Stream, Record<string, string>];
  stream.on('error', () => undefined);
  return { stream, timeoutMs: grpcTimeoutOf(['grpc-timeout', headers['grpc-timeout'] ?? '']) ?? 0 };
}

function answer({ stream }: Asked): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.alloc(5));
}

const DEADLINES: readonly (readonly [name: string, leastMs: number, least: number, most: number])[] = [
  ['nothing said', 0, 1, 30_000],
  ['a shorter deadline', 5_000, 5_001, 30_000],
  ['a longer deadline', 3_600_000, 1_800_001, 3_600_000],
  ['one past a day', 1e12, 43_200_001, 86_400_000],
];

t.test('the gateway waits for what it asks as long as the caller does, 30 s at least and a day at most', async (t) => {
  const [asker, upstream] = await setUp(t);
  for (const [name, leastMs, least, most] of DEADLINES) {
    const asked = next(upstream);
    const told = asker.ask(LIST, Buffer.alloc(0), waiting(leastMs));
    const question = await asked;
    t.ok(question.timeoutMs >= least && question.timeoutMs <= most, `${name}: ${question.timeoutMs} ms`);
    answer(question);
    t.match(await told, { kind: 'message' }, name);
  }
});

t.test('a call without a waiting caller is given up', async (t) => {
  const [asker, upstream] = await setUp(t);
  const caller = new AbortController();
  const asked = next(upstream);
  const told = asker.ask(LIST, Buffer.alloc(0), waiting(0, caller.signal));
  const { stream } = await asked;
  const closed = once(stream, 'close');
  caller.abort();
  await closed;
  t.equal(stream.rstCode, 8, 'cancelled upstream');
  t.match(await told, { kind: 'denial' });
  const late = await asker.ask(LIST, Buffer.alloc(0), waiting(0, caller.signal));
  t.match(late, { kind: 'denial' }, 'who has left before is not asked for');
});

t.test('what was asked before the CA changed is still answered', async (t) => {
  let ca: Buffer | undefined;
  const [asker, upstream] = await setUp(t, () => ca);
  const first = next(upstream);
  const before = asker.ask(LIST, Buffer.alloc(0), waiting(3_600_000));
  const question = await first;
  ca = Buffer.from('another');
  const second = next(upstream);
  const after = asker.ask(LIST, Buffer.alloc(0), waiting(0));
  answer(await second);
  t.match(await after, { kind: 'message' });
  answer(question);
  t.match(await before, { kind: 'message' });
});

t.test(
  'a connection on which a call waits for nothing is asked no more, and what it was asked is still answered',
  async (t) => {
    let now = 0;
    const [asker, upstream] = await setUp(t, undefined, () => now);
    const sessions = new Set<unknown>();
    upstream.on('session', (session) => sessions.add(session));
    const first = next(upstream);
    const before = asker.ask(LIST, Buffer.alloc(0), waiting(3_600_000));
    const question = await first;
    for (const [at, connections] of [
      [4999, 1],
      [5000, 2],
      [5001, 2],
    ] as const) {
      now = at;
      const asked = next(upstream);
      const told = asker.askOpen(HEALTH);
      answer(await asked);
      t.match(await told, { kind: 'message' });
      t.equal(sessions.size, connections, `connections after ${at} ms`);
    }
    answer(question);
    t.match(await before, { kind: 'message' });
  },
);

t.test('so is one whose call was given up without a byte, and connections given up are bounded', async (t) => {
  let now = 0;
  const [asker, upstream] = await setUp(t, undefined, () => now);
  const sessions = new Set<unknown>();
  upstream.on('session', (session) => sessions.add(session));
  const caller = new AbortController();
  const asked = next(upstream);
  const told = asker.ask(LIST, Buffer.alloc(0), waiting(0, caller.signal));
  await asked;
  now = 1000;
  caller.abort();
  t.match(await told, { kind: 'denial' });
  for (let at = 0; at < 20; at += 1) {
    const question = next(upstream);
    asker.ask(LIST, Buffer.alloc(0), waiting(3_600_000)).catch(() => undefined);
    await question;
    now += 5000;
  }
  t.equal(sessions.size, 10, 'the first, eight that still have calls, and the last');
});

t.test('over TLS upstream has to show a certificate of the CA in force', async (t) => {
  const [own, other] = await Promise.all([testCertificate(), testCertificate('own')]);
  const upstream = createSecureServer({ cert: own.cert, key: own.key });
  const schemes: unknown[] = [];
  upstream.on('session', (session) => t.teardown(() => session.destroy()));
  upstream.on('stream', (stream: ServerHttp2Stream, headers) => {
    schemes.push(headers[':scheme']);
    answer({ stream, timeoutMs: 0 });
  });
  upstream.on('sessionError', () => undefined);
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const { port } = upstream.address() as AddressInfo;
  let ca = other.issuer;
  const asker = createGrpcAsker({
    address: { tls: true, host: '127.0.0.1', port },
    authority: 'upstream',
    credential: () => NO_CREDENTIAL,
    socket: {
      ...{ connectTimeoutMs: 5000, alpn: ['h2'] },
      get ca() {
        return Buffer.from(ca);
      },
    },
  });
  t.teardown(() => {
    asker.close();
    upstream.close();
  });
  const list = () => asker.ask(LIST, Buffer.alloc(0), waiting(0));
  t.match(await list(), { kind: 'denial', code: 'upstream_unreachable' }, 'of another CA');
  ca = own.issuer;
  t.match(await list(), { kind: 'message' }, 'once the CA has been replaced');
  t.strictSame(schemes, ['https']);
  ca = other.issuer;
  t.match(await list(), { kind: 'denial', code: 'upstream_unreachable' }, 'the open connection is not used any more');
});

// Clients that left ended the process, or kept for ever what they had been given: memory of a held body was freed before
// upstream's connection had begun to read it, and what was to be given back was registered on an end that had been already.
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { exchangeRaw, readAnswer, recordingUpstream, startGateway, testCertificate } from '../rest/lane-fixture.ts';
import { until } from '../support/until.ts';

const QUERY = JSON.stringify({ query: [1], lookup_from: { collection: 'a' } });

function post(path: string, body: Buffer, more: string, length = body.length): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: ${length}\r\n${more}\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

async function send(t: Test, port: number, bytes: Buffer): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => void socket.destroy());
  socket.on('error', () => undefined).resume();
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  return socket;
}

async function leave(sockets: readonly Socket[]): Promise<void> {
  const closed = sockets.map((socket) => once(socket, 'close'));
  for (const socket of sockets) socket.resetAndDestroy();
  await Promise.all(closed);
}

const padded = Buffer.from(QUERY.padEnd(200_000));
let state = 1;
const noise = Buffer.from(
  Array.from({ length: 300_000 }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return 97 + ((state >>> 16) % 26);
  }),
);
const BODIES: readonly (readonly [name: string, request: Buffer])[] = [
  ['an inspected body', post('/collections/a/points/query', padded, 'api-key: listA\r\n')],
  [
    'a compressed body',
    post(
      '/collections/a/points/query',
      gzipSync(Buffer.concat([Buffer.from(QUERY.slice(0, -1)), Buffer.from(',"x":"'), noise, Buffer.from('"}')])),
      'api-key: listA\r\ncontent-encoding: gzip\r\n',
    ),
  ],
];

for (const [name, request] of BODIES) {
  t.test(`${name} that waits for a connection to upstream when its client leaves is never read`, async (t) => {
    const answers: (() => void)[] = [];
    const upstream = await recordingUpstream((_request, response) => {
      answers.push(() => response.end('{}'));
    });
    t.teardown(() => upstream.close());
    const gateway = await startGateway(upstream.port, { upstreamOptions: { connections: 1 } });
    t.teardown(() => gateway.close());
    await send(t, gateway.port, request);
    await until(() => answers.length === 1, 'reached upstream');
    const waiting = await send(t, gateway.port, request);
    await until(() => gateway.upstream.size() === 2, 'waited');
    await leave([waiting]);
    answers.shift()?.();
    await until(() => gateway.upstream.size() === 0, 'at rest');
    t.equal(upstream.received.length, 1, 'nothing of it was sent');
    t.strictSame(gateway.faults, []);
  });
}

t.test('160 clients that leave at once leave nothing behind', async (t) => {
  const upstream = await recordingUpstream();
  t.teardown(() => upstream.close());
  const gateway = await startGateway(upstream.port, { upstreamOptions: { connections: 4 } });
  t.teardown(() => gateway.close());
  const [, request = Buffer.alloc(0)] = BODIES[0] ?? [];
  await leave(await Promise.all(Array.from({ length: 160 }, () => send(t, gateway.port, request))));
  await until(
    () => gateway.upstream.size() === 0 && Object.values(gateway.listener.figures()).every((n) => n === 0),
    'at rest',
  );
  t.strictSame(gateway.faults, []);
});

t.test('bodies whose clients left while they waited give their room back', async (t) => {
  const upstream = await recordingUpstream();
  t.teardown(() => upstream.close());
  const gateway = await startGateway(upstream.port, {
    limits: { inspected_body_bytes: 8 << 20, body_idle_timeout_ms: 60_000 },
  });
  t.teardown(() => gateway.close());
  const key = 'api-key: listA\r\n';
  const incomplete = post('/collections/a/points/query', padded.subarray(0, 180_000), key, padded.length);
  const whole = post('/collections/a/points/query', padded, key);
  const first = await Promise.all(Array.from({ length: 33 }, () => send(t, gateway.port, incomplete)));
  await until(() => gateway.listener.figures().bodies > 16, 'full');
  const second = await Promise.all(Array.from({ length: 40 }, () => send(t, gateway.port, whole)));
  await until(() => gateway.listener.figures().exchanges > 60, 'begun');
  await leave(second);
  await leave(first);
  const large = post(
    '/collections/a/points/query',
    Buffer.from(QUERY.padEnd(3_000_000)),
    `${key}connection: close\r\n`,
  );
  const { text } = await exchangeRaw(gateway.port, large, { limitMs: 60_000 });
  t.equal(readAnswer(text).status, 200);
  t.strictSame(gateway.listener.figures().bodyBytes, 0);
});

t.test('a body that HTTP/2 resets is never whole upstream', async (t) => {
  const upstream = await recordingUpstream();
  t.teardown(() => upstream.close());
  const gateway = await startGateway(upstream.port, { tls: await testCertificate() });
  t.teardown(() => gateway.close());
  for (let round = 0; round < 20; round += 1) {
    const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { rejectUnauthorized: false });
    session.on('error', () => undefined);
    const stream = session.request(
      { ':method': 'PUT', ':path': '/collections/a/points', 'api-key': 'main', 'content-type': 'application/json' },
      { endStream: false },
    );
    stream.on('error', () => undefined);
    stream.write('{"points":[]}');
    await until(() => upstream.received.length === round + 1, 'begun');
    const closed = new Promise<void>((resolve) => void stream.once('close', () => resolve()));
    stream.destroy(new Error('left'));
    await closed;
    session.destroy();
  }
  await until(() => gateway.upstream.size() === 0, 'at rest');
  t.strictSame(
    upstream.received.filter(({ body }) => body.length > 0),
    [],
  );
});

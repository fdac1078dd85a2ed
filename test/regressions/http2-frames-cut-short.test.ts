// A frame that was sent one byte at a time, or that stopped in its middle, had no time limit: only a header block of several
// frames had one. And each byte, each PING and each WINDOW_UPDATE was activity of its connection, so that an idle one never ended.
import t, { type Test } from 'tap';
import { FrameType } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { writeData, writeHeaders, writePing, writeWindowUpdate } from '../../src/http2/write-frames.ts';
import { Connections } from '../../src/net/connections.ts';
import { startRelay, startUpstream } from '../grpc/relay-fixture.ts';
import { recordingUpstream, startGateway, testCertificate } from '../rest/lane-fixture.ts';
import { H2Client, naming } from '../support/clients/h2-client.ts';
import { grpcFields, outcome, request, restFields } from '../support/invariants-http2.ts';
import { until } from '../support/until.ts';

const TIMEOUT_MS = 400;

interface Listening {
  readonly connect: () => Promise<H2Client>;
  readonly connections: Connections;
  /** A request that has a body. */
  readonly upload: readonly HeaderField[];
  readonly ask: (client: H2Client, streamId: number) => Promise<string>;
}

async function rest(t: Test, keepAliveMs = 60_000): Promise<Listening> {
  const [upstream, certificate] = [await recordingUpstream(), await testCertificate()];
  const connections = new Connections((error) => t.error(error));
  const limits = {
    header_timeout_ms: TIMEOUT_MS,
    body_idle_timeout_ms: 60_000,
    keep_alive_timeout_ms: keepAliveMs,
  };
  const gateway = await startGateway(upstream.port, { tls: certificate, connections, limits });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  return {
    connect: () => H2Client.connect(gateway.port, { ca: Buffer.from(certificate.issuer) }),
    connections,
    upload: restFields('/collections/a/points', [['api-key', 'main']], 'PUT'),
    ask: (client, id) => request(client, id, restFields('/collections/a', [['api-key', 'main']])),
  };
}

async function grpc(t: Test): Promise<Listening> {
  const connections = new Connections((error) => t.error(error));
  const listener = await startRelay(t, await startUpstream(t), { connections, headerTimeoutMs: TIMEOUT_MS });
  return {
    connect: () => H2Client.connect(listener.address.port),
    connections,
    upload: grpcFields('/qdrant.Points/Upsert', [['api-key', 'admin']]),
    ask: (client, id) =>
      request(client, id, grpcFields('/qdrant.Collections/Get', [['api-key', 'admin']]), naming('a')),
  };
}

/** How a connection ended: the reason of its GOAWAY. */
const reason = ({ frames }: H2Client): string =>
  frames.findLast(({ type }) => type === FrameType.GOAWAY)?.payload.toString('latin1', 8) ?? 'no GOAWAY';

for (const [protocol, listen] of [
  ['REST', rest],
  ['gRPC', grpc],
] as const) {
  t.test(`${protocol}: a frame has to come whole in time, DATA has the time of a body`, async (t) => {
    const listening = await listen(t);
    const { upload, ask } = listening;
    const begun = writeHeaders(1, encodeHeaders(upload), false);
    const long = encodeHeaders([...upload, ['x-long', 'x'.repeat(12_000)]]);
    const ping = writePing(Buffer.alloc(8), false);
    const message = writeData(1, Buffer.alloc(100), false);

    /** Opened first, so that they have waited longer than all of the others when those have ended. */
    const allowed: readonly (readonly [name: string, sent: readonly Buffer[]])[] = [
      ['nothing of a frame', []],
      ['an open request', [begun]],
      ['DATA that stops in the middle', [begun, message.subarray(0, 50)]],
      ['DATA that stops behind its frame header', [begun, message.subarray(0, 9)]],
      ['DATA that stops in its frame header', [begun, message.subarray(0, 5)]],
    ];
    const staying = await Promise.all(
      allowed.map(async ([name, sent]) => {
        const client = await listening.connect();
        client.send(...sent);
        return { name, client };
      }),
    );
    const slow = await listening.connect();

    const cut: readonly (readonly [name: string, sent: readonly Buffer[]])[] = [
      ['HEADERS that stop in the middle', [writeHeaders(1, long, true).subarray(0, 500)]],
      ['HEADERS that stop in the frame header', [begun.subarray(0, 8)]],
      ['PING that stops in the middle', [ping.subarray(0, 12)]],
      ['HEADERS behind an open request', [begun, writeHeaders(3, long, true).subarray(0, 500)]],
      ['HEADERS behind whole frames', [ping, ping, writeHeaders(1, long, true).subarray(0, 500)]],
    ];
    const ended = cut.map(async ([name, sent]) => {
      const client = await listening.connect();
      client.send(...sent);
      await until(() => client.closed, `${name}: the connection ends`);
      t.equal(reason(client), 'frame not completed in time', name);
    });
    const bytes = writeHeaders(1, long, true);
    let at = 0;
    const trickled = until(() => {
      slow.send(bytes.subarray(at, at + 1));
      at += 1;
      return slow.closed;
    }, 'HEADERS one byte at a time: the connection ends');
    await Promise.all([...ended, trickled]);
    t.equal(reason(slow), 'frame not completed in time', 'HEADERS one byte at a time');
    t.strictSame(listening.connections.counts().faults, { timeout: cut.length + 1 });

    for (const { name, client } of staying) {
      t.notOk(client.closed, `${name}: goes on`);
      if (!name.startsWith('DATA')) t.match(await ask(client, 5), /^(status 200|grpc 0)$/, `${name}: is served`);
      client.close();
    }
  });
}

t.test('REST: frames that are no request keep no idle connection, requests do', async (t) => {
  const listening = await rest(t, 500);
  const frames: readonly (readonly [name: string, frame: Buffer])[] = [
    ['PING', writePing(Buffer.alloc(8), false)],
    ['WINDOW_UPDATE', writeWindowUpdate(0, 1)],
  ];
  const busy = await listening.connect();
  const idle = await Promise.all(
    frames.map(async ([name, frame]) => {
      const client = await listening.connect();
      t.equal(await listening.ask(client, 1), 'status 200', `${name}: a request`);
      return { name, frame, client };
    }),
  );
  let streamId = 1;
  await until(async () => {
    t.equal(await listening.ask(busy, streamId), 'status 200');
    streamId += 2;
    for (const { frame, client } of idle) client.send(frame);
    return idle.every(({ client }) => client.closed);
  }, 'connections on which nothing is asked end');
  t.notOk(busy.closed, 'one with requests goes on');
  t.notOk(
    busy.frames.some(({ type }) => type === FrameType.GOAWAY),
    'and is not told to go',
  );
  t.equal(await outcome(busy, 1), 'status 200');
  busy.close();
});

import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { recordingUpstream, startGateway, testCertificate } from '../rest/lane-fixture.ts';
import { shortened } from '../support/generators/runs.ts';
import { until } from '../support/until.ts';

/**
 * Answers that are written as a whole (filtered lists, telemetry, refusals, health) never timed out when their client took
 * none of them, and kept all of upstream's answer as long.
 */
const certificate = await testCertificate();
const ODD = { 'content-encoding': 'identity' };
const LARGE = shortened(24, 12) * 1_048_576;
const names = (count: number) =>
  Array.from({ length: count }, (_, index) => `{"name":"a"}${' '.repeat(index % 2)}`).join(',');
const list = Buffer.from(`{"result":{"collections":[${names(LARGE / 14)}]},"status":"ok","time":0}`);

const KINDS: Readonly<Record<string, { readonly path: string; readonly headers: Record<string, string> }>> = {
  streamed: { path: '/collections/a', headers: { 'api-key': 'main', ...ODD } },
  'a filtered list': { path: '/collections', headers: { 'api-key': 'listA' } },
  'patched telemetry': { path: '/telemetry', headers: { 'api-key': 'main' } },
  refused: { path: '/collections/a', headers: { 'api-key': 'wrong' } },
  'an open route': { path: '/healthz', headers: {} },
};

async function start(test: Test) {
  const upstream = await recordingUpstream((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(list);
  });
  const gateway = await startGateway(upstream.port, {
    tls: certificate,
    limits: { stream_idle_timeout_ms: 500 },
    maxFilteredBytes: 2 * LARGE,
    telemetry: { jwtRbac: true, hideJwtDashboard: undefined, audit: undefined },
  });
  test.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  return gateway;
}

for (const [kind, { path, headers }] of Object.entries(KINDS)) {
  t.test(`HTTP/2: a stream whose client grants nothing ends (${kind})`, async (t) => {
    const gateway = await start(t);
    const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, {
      rejectUnauthorized: false,
      settings: { initialWindowSize: 0 },
    });
    session.on('error', () => undefined);
    const stream = session.request({ ':path': path, ...headers });
    stream.on('error', () => undefined);
    await once(stream, 'response');
    t.equal(gateway.outcomes.length, 0, 'it is open');
    await until(() => stream.closed && gateway.outcomes.length === 1, 'it is ended', 10_000);
    const ping = new Promise<boolean>((resolve) => session.ping((error) => resolve(error === null)));
    t.ok(await ping, 'and its connection lives');
    session.destroy();
  });
}

for (const kind of ['streamed', 'a filtered list', 'patched telemetry']) {
  for (const tls of [false, true]) {
    t.test(
      `HTTP/1.1, ${tls ? 'TLS' : 'no TLS'}: a client that reads nothing loses its connection (${kind})`,
      async (t) => {
        const upstream = await recordingUpstream((_request, response) => response.end(list));
        const gateway = await startGateway(upstream.port, {
          ...(tls ? { tls: certificate } : {}),
          limits: { stream_idle_timeout_ms: 500 },
          maxFilteredBytes: 2 * LARGE,
          telemetry: { jwtRbac: true, hideJwtDashboard: undefined, audit: undefined },
        });
        const { path = '', headers = {} } = KINDS[kind] ?? {};
        const lines = Object.entries({ host: 'x', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
        const socket = tls
          ? connectTls({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false })
          : connect(gateway.port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
        await until(() => upstream.received.length === 1, 'it is upstream');
        await until(() => gateway.outcomes.length === 1, 'it is ended', 15_000);
        t.ok((gateway.outcomes[0]?.outcome.sent ?? 0) < list.length, 'before all of it was written');
        socket.destroy();
        await gateway.close();
        await upstream.close();
      },
    );
  }
}

t.test('a client that takes its answer slowly gets all of it', async (t) => {
  const gateway = await start(t);
  const socket = connectTls({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.write('GET /collections HTTP/1.1\r\nhost: x\r\napi-key: listA\r\nconnection: close\r\n\r\n');
  let taken = 0;
  let pauses = 0;
  socket.on('data', (chunk: Buffer) => {
    taken += chunk.length;
    if (taken < (pauses + 1) * (LARGE / 4)) return;
    pauses += 1;
    socket.pause();
    // Far below the limit, again and again: longer than the limit in all.
    setTimeout(() => socket.resume(), 250);
  });
  await once(socket, 'close');
  t.ok(taken > 0.8 * LARGE, `${taken} bytes came`);
  t.ok(pauses >= 3, 'with pauses');
});

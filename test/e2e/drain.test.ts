import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ClientHttp2Session, ClientHttp2Stream, ServerHttp2Stream } from 'node:http2';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { framed } from '../support/clients/raw-grpc.ts';
import { openHttp2, openTls } from '../support/clients/sockets.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/process/gateway-process.ts';
import { until } from '../support/until.ts';

/** O1: real signals to a real process, one worker and two. */

t.setTimeout(FILE_MS);
const SLOW = 12;
const ADMIN = { 'api-key': KEYS.admin };

/** An upstream whose answers to `/collections/slow` and gRPC calls wait until they are let go. */
async function slowUpstream() {
  const held: (() => void)[] = [];
  const uploads: IncomingMessage[] = [];
  const upstream = await startFakeQdrant({
    onRest: (incoming: IncomingMessage, response: ServerResponse) => {
      if (incoming.method === 'PUT') {
        uploads.push(incoming);
        let size = 0;
        incoming.on('data', (chunk: Buffer) => {
          size += chunk.length;
        });
        incoming.on('end', () =>
          response.writeHead(200, { 'content-type': 'application/json' }).end(`{"size":${size}}`),
        );
        return true;
      }
      if (!incoming.url?.startsWith('/collections/slow')) return false;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"first":1,');
      held.push(() => response.end('"last":2}'));
      return true;
    },
    onGrpc: (stream: ServerHttp2Stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      held.push(() => stream.end(framed(Buffer.from([0x0a, 0]))));
      stream.resume();
      return true;
    },
  });
  return { upstream, held, uploads };
}

interface Answer {
  readonly status: number;
  readonly connection: string | undefined;
  readonly body: string;
}

function get(gateway: GatewayProcess, path: string, agent: TlsAgent): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options = { host: 'localhost', port: gateway.rest.port, ca: gateway.ca, agent, path, headers: ADMIN };
  tlsRequest(options, (response) => {
    const { statusCode = 0, headers } = response;
    text(response).then((body) => resolve({ status: statusCode, connection: headers.connection, body }), reject);
  })
    .on('error', reject)
    .end();
  return promise;
}

/** Status and body of a request over HTTP/2; with `body`, of an upload that is ended by the caller. */
function overHttp2(session: ClientHttp2Session, path: string, body?: string) {
  const head = { ':method': body === undefined ? 'GET' : 'PUT', ':path': path, ...ADMIN };
  const stream = session.request(head, { endStream: body === undefined });
  if (body !== undefined) stream.write(body);
  const status = once(stream, 'response').then(([fields]) => Number(fields[':status']));
  return { stream, answer: Promise.all([status, text(stream)]) };
}

function call(session: ClientHttp2Session): { stream: ClientHttp2Stream; status: Promise<string> } {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/qdrant.Collections/List',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...ADMIN,
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  stream.on('trailers', (trailers) => resolve(String(trailers['grpc-status'])));
  stream.on('error', reject);
  stream.on('close', () => reject(new Error('closed without a status')));
  stream.end(framed(Buffer.alloc(0)));
  stream.resume();
  return { stream, status: promise };
}

async function started(test: Test, env: Readonly<Record<string, string>>) {
  const slow = await slowUpstream();
  const gateway = await startGatewayProcess(slow.upstream, env);
  const exit = once(gateway.child, 'exit');
  test.teardown(async () => {
    await gateway.close();
    await slow.upstream.close();
  });
  return { ...slow, gateway, exit };
}

for (const workers of ['1', '2']) {
  for (const relay of ['true', 'false']) {
    const env = { QDRANT_GATEWAY__WORKERS: workers, QDRANT_GATEWAY__REST__RELAY: relay };
    t.test(`SIGTERM lets all that is open finish (workers ${workers}, relay ${relay})`, async (test) => {
      const { gateway, exit, held, uploads } = await started(test, env);
      const agent = new TlsAgent({ keepAlive: true });
      const idle = await openTls(gateway.rest.port, { ca: gateway.ca });
      idle.write(`GET /collections HTTP/1.1\r\nhost: localhost\r\napi-key: ${KEYS.admin}\r\n\r\n`);
      await once(idle, 'data');
      const slow = Array.from({ length: SLOW }, (_, index) => get(gateway, `/collections/slow${index}`, agent));
      const session = await openHttp2(gateway.grpc.port, gateway.ca);
      const calls = [call(session), call(session)];
      const upload = tlsRequest({
        host: 'localhost',
        port: gateway.rest.port,
        ca: gateway.ca,
        agent: false,
        method: 'PUT',
        path: '/collections/cities/points',
        headers: { ...ADMIN, 'content-type': 'application/json', 'content-length': '10' },
      });
      const uploaded = once(upload, 'response');
      upload.write('{"a":');
      const over2 = await openHttp2(gateway.rest.port, gateway.ca);
      const slow2 = [overHttp2(over2, '/collections/slow-a'), overHttp2(over2, '/collections/slow-b')];
      const upload2 = overHttp2(over2, '/collections/cities/points', '{"a":');
      const open = SLOW + calls.length + slow2.length;
      await until(() => held.length === open && uploads.length === 2, 'all are upstream');

      const goaway = Promise.all([once(session, 'goaway'), once(over2, 'goaway')]);
      const closed = once(idle, 'close');
      gateway.child.kill('SIGTERM');
      await closed;
      await goaway;
      await test.rejects(openTls(gateway.rest.port, { ca: gateway.ca }), 'nothing new is taken on REST');
      await test.rejects(openTls(gateway.grpc.port, { ca: gateway.ca }), 'nothing new is taken on gRPC');
      test.equal(gateway.child.exitCode, null, 'it waits for what is open');

      upload.end('1234}');
      const [answer] = await uploaded;
      test.equal(answer.statusCode, 200, 'the upload went on');
      test.equal(answer.headers.connection, 'close');
      test.equal(await text(answer), '{"size":10}');
      upload2.stream.end('1234}');
      test.same(await upload2.answer, [200, '{"size":10}'], 'over HTTP/2, too');
      for (const release of held) release();
      const answers = await Promise.all(slow);
      test.same(
        answers.map(({ status, body }) => [status, body]),
        Array(SLOW).fill([200, '{"first":1,"last":2}']),
      );
      const answers2 = await Promise.all(slow2.map((one) => one.answer));
      test.same(answers2, Array(slow2.length).fill([200, '{"first":1,"last":2}']), 'over HTTP/2');
      test.same(await Promise.all(calls.map(({ status }) => status)), ['0', '0']);
      for (const one of [session, over2]) one.destroy();
      agent.destroy();
      test.same(await exit, [0, null], gateway.errors());
    });
  }

  t.test(`what does not finish in the grace time is cut, and the exit is clean (workers ${workers})`, async (test) => {
    const env = { QDRANT_GATEWAY__WORKERS: workers, QDRANT_GATEWAY__SHUTDOWN_GRACE_MS: '300' };
    const { gateway, exit, held } = await started(test, env);
    const agent = new TlsAgent({ keepAlive: true });
    const slow = get(gateway, '/collections/slow', agent);
    await until(() => held.length === 1, 'it is upstream');
    gateway.child.kill('SIGTERM');
    await test.rejects(slow, 'an answer that was cut is no short success');
    test.same(await exit, [0, null]);
    agent.destroy();
  });

  t.test(`a second signal ends at once (workers ${workers})`, async (test) => {
    const { gateway, exit, held } = await started(test, { QDRANT_GATEWAY__WORKERS: workers });
    const agent = new TlsAgent({ keepAlive: true });
    const slow = get(gateway, '/collections/slow', agent);
    await until(() => held.length === 1, 'it is upstream');
    gateway.child.kill('SIGTERM');
    await until(() => /a second signal ends at once/.test(gateway.errors()), 'the first signal is taken');
    const again = setInterval(() => gateway.child.kill('SIGTERM'), 100);
    await test.rejects(slow);
    test.same(await exit, [1, null]);
    clearInterval(again);
    agent.destroy();
  });
}

t.test('workers do not outlive a supervisor that is killed', async (test) => {
  const { gateway, exit } = await started(test, { QDRANT_GATEWAY__WORKERS: '2' });
  const { pid } = gateway.child;
  const workers = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  test.equal(workers.length, 2);
  gateway.child.kill('SIGKILL');
  test.same(await exit, [null, 'SIGKILL']);
  const alive = (one: number): boolean => {
    try {
      return process.kill(one, 0);
    } catch {
      return false;
    }
  };
  await until(() => !workers.some(alive), 'both are gone');
  await test.rejects(openTls(gateway.rest.port, { ca: gateway.ca }));
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { framed } from '../support/clients/raw-grpc.ts';
import { talk } from '../support/clients/sockets.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { addresses4, v2 } from '../support/proxy-header.ts';

/* Listeners on unix sockets, in place of ports. */

const folder = mkdtempSync(join(tmpdir(), 'unix-listener-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const rest = join(folder, 'rest.sock');
const grpc = join(folder, 'grpc.sock');
const listen = { 'gateway.listen.rest': `unix:${rest}`, 'gateway.listen.grpc': `unix:${grpc}` };
const ADMIN = { 'api-key': KEYS.admin };

async function get(path: string, headers: Readonly<Record<string, string>> = ADMIN): Promise<number> {
  const sent = request({ socketPath: rest, path, headers, agent: false }).end();
  const [answer] = await once(sent, 'response');
  await text(answer);
  return answer.statusCode;
}

/** What upstream is told of the client. */
function told(rawHeaders: readonly string[]): string {
  const value = (name: string): string => rawHeaders[rawHeaders.indexOf(name) + 1] ?? '';
  return `${value('x-forwarded-for')}, ${rawHeaders.includes('x-real-ip') ? value('x-real-ip') : 'no x-real-ip'}`;
}

/** The gRPC status of one call. */
async function call(headers: Readonly<Record<string, string>> = ADMIN): Promise<string> {
  const session = connectHttp2('http://localhost', { createConnection: () => connect(grpc) });
  const head = { ':method': 'POST', ':path': '/qdrant.Collections/List', 'content-type': 'application/grpc' };
  const stream = session.request({ ...head, te: 'trailers', ...headers });
  stream.end(framed(Buffer.alloc(0)));
  const trailers = once(stream, 'trailers');
  const [answer] = await once(stream, 'response');
  stream.resume();
  const status = answer['grpc-status'] ?? (await trailers)[0]['grpc-status'];
  session.destroy();
  return String(status);
}

t.test('both listeners take requests on unix sockets, whose peers are named as such', async (t) => {
  const seen: string[] = [];
  const observers = [({ remote }: Exchange) => void seen.push(remote)];
  const settings = { ...listen, 'gateway.listen.mode': '0640' };
  const gateway = await startGateway({ tls: false, settings, observers });
  t.strictSame([gateway.rest.host, gateway.grpc.host], [`unix:${rest}`, `unix:${grpc}`]);
  for (const path of [rest, grpc]) t.equal(statSync(path).mode & 0o777, 0o640, 'with these permissions');
  t.strictSame([await get('/collections'), await get('/cluster/telemetry')], [200, 200]);
  t.equal(await get('/collections', { 'api-key': 'wrong' }), 401);
  t.equal(await call(), '0');
  t.strictSame([...new Set(seen)], ['unix:']);
  // `unix:` is no node of RFC 7239.
  const requests = gateway.upstream.recorder.forwarded;
  t.ok(requests.length > 0);
  t.strictSame([...new Set(requests.map(({ rawHeaders }) => told(rawHeaders)))], ['unknown, no x-real-ip']);
  const calls = gateway.upstream.recorder.grpc.map(({ metadata }) => told(metadata));
  t.strictSame([...new Set(calls)], ['unknown, no x-real-ip']);
  await gateway.close();
  t.strictSame([existsSync(rest), existsSync(grpc)], [false, false], 'they are gone with the gateway');
});

t.test('a proxy on a unix socket names its clients, if it is trusted', async (t) => {
  const seen: string[] = [];
  const observers = [({ remote }: Exchange) => void seen.push(remote)];
  const settings = { ...listen, 'gateway.trusted_proxies': 'unix:', 'gateway.proxy_protocol': 'accept' };
  const gateway = await startGateway({ tls: true, settings, observers });
  t.teardown(() => gateway.close());
  const ask = async (header: Buffer, forwarded: string): Promise<string> => {
    const socket = connect(rest);
    socket.write(header);
    const secure = connectTls({ socket, ca: gateway.ca, servername: 'localhost' });
    await once(secure, 'secureConnect');
    const line = `GET /collections HTTP/1.1\r\nhost: a\r\napi-key: ${KEYS.admin}\r\nconnection: close\r\n${forwarded}\r\n`;
    return (await talk(secure, line)).received.toString('latin1', 9, 12);
  };
  t.equal(await ask(v2(0x21, 0x11, addresses4('203.0.113.5')), ''), '200');
  t.equal(await ask(Buffer.alloc(0), 'x-forwarded-for: 203.0.113.6\r\n'), '200');
  t.equal(await ask(Buffer.alloc(0), ''), '200');
  t.strictSame(seen, ['203.0.113.5', '203.0.113.6', 'unix:']);
});

/** Leaves a socket without a listener, as a process that is killed does. */
async function leaveSocket(path: string): Promise<void> {
  const child = spawn(process.execPath, [
    '-e',
    `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('listens'))`,
  ]);
  await once(child.stdout, 'data');
  const gone = once(child, 'close');
  child.kill('SIGKILL');
  await gone;
}

t.test('a socket that was left behind is replaced, and nothing else is', async (t) => {
  await leaveSocket(rest);
  t.ok(existsSync(rest), 'it is left behind');
  const gateway = await startGateway({ tls: false, settings: listen });
  t.equal(await get('/collections'), 200);

  const second: unknown = await startGateway({ tls: false, settings: listen }).catch((error: unknown) => error);
  t.match(second, {
    problems: [
      { place: 'gateway.listen.rest', message: `a process listens on \`${rest}\` already` },
      { place: 'gateway.listen.grpc', message: `a process listens on \`${grpc}\` already` },
    ],
  });
  t.equal(await get('/collections'), 200, 'the first one goes on');
  await gateway.close();

  writeFileSync(rest, 'kept');
  const third: unknown = await startGateway({ tls: false, settings: listen }).catch((error: unknown) => error);
  t.match(third, {
    problems: [{ place: 'gateway.listen.rest', message: `\`${rest}\` is no socket, and is not removed` }],
  });
  t.equal(readFileSync(rest, 'utf8'), 'kept');
  rmSync(rest);
  const held = createServer().listen(rest);
  await once(held, 'listening');
  const fourth: unknown = await startGateway({ tls: false, settings: listen }).catch((error: unknown) => error);
  t.match(fourth, { problems: [{ place: 'gateway.listen.rest' }] }, 'of another program');
  t.ok(existsSync(rest));
  held.close();
});

t.test(
  'several workers share the sockets; a signal removes them, and a kill does not stop the next start',
  async (t) => {
    const upstream = await startFakeQdrant();
    t.teardown(() => upstream.close());
    const env = {
      QDRANT__SERVICE__ENABLE_TLS: 'false',
      QDRANT_GATEWAY__WORKERS: '2',
      QDRANT_GATEWAY__LISTEN__REST: `unix:${rest}`,
      QDRANT_GATEWAY__LISTEN__GRPC: `unix:${grpc}`,
    };
    const killed = await startGatewayProcess(upstream, env);
    t.strictSame([await get('/collections'), await call()], [200, '0']);
    await killed.close();
    t.ok(existsSync(rest), 'a killed gateway leaves them');
    const gateway = await startGatewayProcess(upstream, env);
    t.teardown(() => gateway.close());
    t.match(gateway.errors(), `rest listens on unix:${rest}, `);
    t.equal(statSync(rest).mode & 0o777, 0o660);
    const answers = await Promise.all(Array.from({ length: 8 }, () => get('/collections')));
    t.strictSame([...new Set(answers)], [200]);
    const exit = once(gateway.child, 'exit');
    gateway.child.kill('SIGTERM');
    t.strictSame(await exit, [0, null], gateway.errors());
    t.strictSame([existsSync(rest), existsSync(grpc)], [false, false]);
  },
);

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import {
  type ClientHttp2Session,
  connect,
  createServer as createHttp2Server,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nginxConfig } from '../bench/peers/configs.ts';
import { runCerts } from '../support/certs.ts';
import { openPlain } from '../support/clients/sockets.ts';
import { type Distance, startDistance } from '../support/distance.ts';
import { KEYS } from '../support/gateway.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { findProgram } from '../support/process/programs.ts';
import { until } from '../support/until.ts';

/*
 * Bodies of 16 MiB on one HTTP/2 stream over a link of 50 ms there and back, before the gateway and before nginx:
 *
 *   npm run soak -- distance [MiB]
 *
 * nginx stands twice: as it passes bodies on while they come, which is what the gateway does, and as it is by default, where
 * it takes the whole body first. The link is one of 100 Mbit/s, and one that takes whatever comes. Wants a quiet machine.
 */

const MIB = 1 << 20;
const SIZE = Number(process.argv[2] ?? 16) * MIB;
const ONE_WAY_MS = 25;
const LINKS = { '100 Mbit/s': 12_500_000, 'any rate': undefined };
const ROUNDS = 3;

const listening = async (server: Server): Promise<number> => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
};

/** Takes bodies, and answers a GET with one. */
const rest = createServer((request, response) => {
  request.resume().once('end', () => response.end(request.method === 'GET' ? Buffer.alloc(SIZE, 'x') : '{}'));
});
/** The windows of tonic, which Qdrant has: 1 MiB for each stream and for a connection. */
const grpc = createHttp2Server({ settings: { initialWindowSize: MIB } });
grpc.on('session', (session) => session.setLocalWindowSize(MIB));
grpc.on('stream', (stream: ServerHttp2Stream) => {
  stream.resume().once('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.alloc(5));
  });
});
const [upstreamRest, upstreamGrpc] = [await listening(rest), await listening(grpc)];

/** Ports of a peer; each has the same certificate. */
interface Peer {
  readonly rest: number;
  readonly grpc: number;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const folder = mkdtempSync(join(tmpdir(), 'distance-'));
const children: ChildProcess[] = [];

async function startNginx(name: string, change: (config: string) => string): Promise<Peer> {
  const own = join(folder, name);
  mkdirSync(own);
  const { cert, key } = await runCerts(own);
  const [restPort, grpcPort] = [await freePort(), await freePort()];
  const ports = { restPort, grpcPort, upstreamRest, upstreamGrpc };
  const config = nginxConfig({ folder: own, ...ports, cert, key, bundle: '', apiKey: KEYS.admin });
  writeFileSync(join(own, 'nginx.conf'), change(config));
  children.push(spawn('nginx', ['-c', join(own, 'nginx.conf'), '-p', own], { stdio: ['ignore', 'ignore', 'inherit'] }));
  const isUp = (): Promise<boolean> =>
    openPlain(restPort).then(
      (socket) => !!socket.destroy(),
      () => false,
    );
  await until(isUp, 'nginx is up');
  return { rest: restPort, grpc: grpcPort };
}

async function openSession(link: Distance): Promise<ClientHttp2Session> {
  const settings = { initialWindowSize: 16 * MIB };
  const session = connect(`https://localhost:${link.port}`, { rejectUnauthorized: false, settings });
  session.on('error', () => undefined);
  await once(session, 'connect');
  session.setLocalWindowSize(16 * MIB);
  return session;
}

/** Seconds that a request takes on this session, its answer included. */
async function timed(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: Buffer): Promise<number> {
  const began = performance.now();
  const stream = session.request({ 'api-key': KEYS.admin, ...headers }, { endStream: body === undefined });
  let came = 0;
  stream.on('data', (chunk: Buffer) => (came += chunk.length));
  const head = once(stream, 'response');
  const ended = once(stream, 'end');
  if (body) stream.end(body);
  const [{ ':status': status }] = await head;
  await ended;
  if (status !== 200 || (headers[':method'] === 'GET' && came !== SIZE)) throw new Error(`${status}, ${came} bytes`);
  return (performance.now() - began) / 1000;
}

const BODY = Buffer.alloc(SIZE, ' ');
const MESSAGE = Buffer.concat([Buffer.alloc(5), Buffer.alloc(SIZE)]);
MESSAGE.writeUInt32BE(SIZE, 1);
const small = { ':method': 'PUT', ':path': '/collections/a/points', 'content-length': 2 };
const TRANSFERS = {
  'REST upload': ['rest', { ...small, 'content-length': SIZE }, BODY],
  'REST download': ['rest', { ':method': 'GET', ':path': '/collections/a' }, undefined],
  'gRPC upload': [
    'grpc',
    { ':method': 'POST', ':path': '/qdrant.Points/Upsert', 'content-type': 'application/grpc', te: 'trailers' },
    MESSAGE,
  ],
} as const;

/** MiB a second: the best of some rounds on a connection that has served a request. */
async function measure(peer: Peer, what: keyof typeof TRANSFERS, bytesPerSecond: number | undefined): Promise<number> {
  const [port, headers, body] = TRANSFERS[what];
  const link = await startDistance(peer[port], { oneWayMs: ONE_WAY_MS, ...(bytesPerSecond && { bytesPerSecond }) });
  const session = await openSession(link);
  const warm = { ...headers, ...(port === 'rest' ? small : {}) };
  await timed(session, warm, port === 'rest' ? Buffer.from('{}') : MESSAGE.subarray(0, 5).fill(0));
  MESSAGE.writeUInt32BE(SIZE, 1);
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) least = Math.min(least, await timed(session, headers, body));
  session.destroy();
  link.close();
  return SIZE / MIB / least;
}

const gateway = await startGatewayProcess({
  restUrl: `http://127.0.0.1:${upstreamRest}`,
  grpcUrl: `http://127.0.0.1:${upstreamGrpc}`,
});
const peers: Record<string, Peer> = { gateway: { rest: gateway.rest.port, grpc: gateway.grpc.port } };
if (findProgram('nginx')) {
  // Its worker has to reach the folder for what it takes first.
  const user = process.getuid?.() === 0 ? 'user root; ' : '';
  const buffered = (config: string): string =>
    user + config.replace('proxy_request_buffering off; client_body_buffer_size 64k;', '');
  peers['nginx, passing on'] = await startNginx('streaming', (config) => config);
  peers['nginx, default'] = await startNginx('default', buffered);
} else console.log('nginx is not installed: nothing to compare with');
console.log(`${SIZE / MIB} MiB on one stream, ${2 * ONE_WAY_MS} ms there and back; MiB/s, best of ${ROUNDS}`);
for (const [link, rate] of Object.entries(LINKS)) {
  for (const what of Object.keys(TRANSFERS) as (keyof typeof TRANSFERS)[]) {
    const speeds: string[] = [];
    let own = 0;
    for (const [name, peer] of Object.entries(peers)) {
      const speed = await measure(peer, what, rate);
      if (name === 'gateway') own = speed;
      speeds.push(`${name} ${speed.toFixed(1)}${name === 'gateway' ? '' : ` (x ${(own / speed).toFixed(2)})`}`);
    }
    console.log(`${link.padEnd(12)}${what.padEnd(15)}${speeds.join('   ')}`);
  }
}
for (const child of children) child.kill('SIGTERM');
await gateway.close();
rest.close();
rest.closeAllConnections();
grpc.close();
rmSync(folder, { recursive: true, force: true });

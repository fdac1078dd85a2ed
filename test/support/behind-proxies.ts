import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Test } from 'tap';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { framed } from './clients/raw-grpc.ts';
import { talk } from './clients/sockets.ts';
import { KEYS, type RunningGateway, startGateway } from './gateway.ts';
import { until } from './until.ts';

/*
 * A gateway behind proxies, and requests over each of its lanes that tell which client it sees: 127.0.0.1 is a trusted proxy, and
 * 127.0.0.2 is no proxy.
 */

type Settings = Readonly<Record<string, unknown>>;
type Seen = Pick<Exchange, 'protocol' | 'remote' | 'slowed'>;

/** The gateway, and the exchanges it has recorded. */
export interface Behind {
  readonly gateway: RunningGateway;
  readonly seen: Seen[];
}

/** Starts one that trusts 127.0.0.1. */
export async function behind(t: Test, tls: boolean, settings: Settings): Promise<Behind> {
  const seen: Seen[] = [];
  const observe = ({ protocol, remote, slowed }: Exchange) => void seen.push({ protocol, remote, slowed });
  const all = { 'gateway.trusted_proxies': ['127.0.0.1'], ...settings };
  const gateway = await startGateway({ tls, settings: all, observers: [observe] });
  t.teardown(() => gateway.close());
  return { gateway, seen };
}

/** Addresses that clients of a test dial from. */
export const TRUSTED = '127.0.0.1';
/** The other one. */
export const STRANGER = '127.0.0.2';

/** A connection to loopback from one of its addresses. */
export async function dial(port: number, from: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

/** Sends bytes one by one, each in a write of its own. */
async function sendSlowly(socket: Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += 1) {
    await new Promise((resolve) => socket.write(bytes.subarray(at, at + 1), resolve));
  }
}

/** The way of a request to the gateway. */
export interface Way {
  /** Ports of a balancer, in place of the gateway's own. */
  readonly ports?: { readonly rest: number; readonly grpc: number };
  readonly from?: string;
  readonly header?: Buffer;
  readonly slowly?: boolean;
  /** Further headers of the request. */
  readonly headers?: Readonly<Record<string, string>>;
}

async function open({ gateway }: Behind, port: number, way: Way, alpn: string | undefined): Promise<Socket> {
  const socket = await dial(port, way.from ?? TRUSTED);
  if (way.header && way.slowly) await sendSlowly(socket, way.header);
  else if (way.header) socket.write(way.header);
  if (gateway.rest.url.startsWith('http:')) return socket;
  const protocols = alpn === undefined ? {} : { ALPNProtocols: [alpn] };
  const secure = connectTls({ socket, ca: gateway.ca, servername: 'localhost', ...protocols });
  await once(secure, 'secureConnect');
  return secure;
}

const portsOf = ({ gateway }: Behind, { ports }: Way) => ports ?? { rest: gateway.rest.port, grpc: gateway.grpc.port };

/** The status of one request over HTTP/1.1. */
export async function overHttp1(one: Behind, way: Way, key: string, path: string): Promise<string> {
  const socket = await open(one, portsOf(one, way).rest, way, 'http/1.1');
  const fields = Object.entries({ ...way.headers, 'api-key': key }).map(([name, value]) => `${name}: ${value}\r\n`);
  const { received } = await talk(
    socket,
    `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${fields.join('')}\r\n`,
  );
  return received.toString('latin1').slice(9, 12);
}

/** The status of one request over HTTP/2: of REST, or of gRPC. */
async function overHttp2(one: Behind, way: Way, port: number, head: Readonly<Record<string, string>>): Promise<string> {
  const socket = await open(one, port, way, 'h2');
  const session = connectHttp2('http://localhost', { createConnection: () => socket });
  const stream = session.request({ ...head, ...way.headers, 'api-key': KEYS.admin });
  if (head['content-type'] === 'application/grpc') stream.end(framed(Buffer.alloc(0)));
  const [answer] = await once(stream, 'response');
  stream.resume();
  await once(stream, 'end');
  session.destroy();
  return String(answer[':status']);
}

const GRPC = {
  ':method': 'POST',
  ':path': '/qdrant.Collections/List',
  'content-type': 'application/grpc',
  te: 'trailers',
};

/** The clients that the gateway saw, lane by lane; the TLS port also has HTTP/2. */
export async function clientsSeen(one: Behind, way: Way): Promise<readonly string[]> {
  const { gateway, seen } = one;
  const ports = portsOf(one, way);
  seen.length = 0;
  gateway.upstream.recorder.clear();
  const statuses = [
    await overHttp1(one, way, KEYS.admin, '/collections'),
    await overHttp1(one, way, KEYS.admin, '/cluster/telemetry'),
    await overHttp2(one, way, ports.grpc, GRPC),
  ];
  if (gateway.rest.url.startsWith('https:')) {
    statuses.push(await overHttp2(one, way, ports.rest, { ':path': '/collections' }));
    statuses.push(await overHttp2(one, way, ports.rest, { ':path': '/cluster/telemetry' }));
  }
  await until(() => seen.length === statuses.length, 'all are recorded');
  const remotes = new Set(seen.map(({ remote }) => remote));
  const told = gateway.upstream.recorder.rest.map(
    ({ rawHeaders }) => rawHeaders[rawHeaders.indexOf('x-forwarded-for') + 1],
  );
  return [...new Set([...statuses, ...remotes, ...told.map((client) => `upstream: ${client}`)])];
}

/** All that `clientsSeen` tells where each lane saw one client. */
export const seenAs = (client: string): readonly string[] => ['200', client, `upstream: ${client}`];

import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { framed } from '../support/clients/raw-grpc.ts';
import { talk } from '../support/clients/sockets.ts';
import { KEYS, type RunningGateway, startGateway } from '../support/gateway.ts';
import { addresses4, addresses6, checked, tlv, v2 } from '../support/proxy-header.ts';
import { until } from '../support/until.ts';

/*
 * The client of connections and requests that come through proxies: 127.0.0.1 is a trusted one, 127.0.0.2 is no proxy. Each
 * case goes over the relay, the server and HTTP/2 of the REST port, and over gRPC.
 */

type Settings = Readonly<Record<string, unknown>>;
type Seen = Pick<Exchange, 'protocol' | 'remote' | 'slowed'>;

interface Behind {
  readonly gateway: RunningGateway;
  readonly seen: Seen[];
}

async function behind(t: Test, tls: boolean, settings: Settings): Promise<Behind> {
  const seen: Seen[] = [];
  const observe = ({ protocol, remote, slowed }: Exchange) => void seen.push({ protocol, remote, slowed });
  const all = { 'gateway.trusted_proxies': ['127.0.0.1'], ...settings };
  const gateway = await startGateway({ tls, settings: all, observers: [observe] });
  t.teardown(() => gateway.close());
  return { gateway, seen };
}

const TRUSTED = '127.0.0.1';
const STRANGER = '127.0.0.2';

async function dial(port: number, from: string): Promise<Socket> {
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

interface Way {
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

/** The status of one request over HTTP/1.1. */
async function overHttp1(one: Behind, way: Way, key: string, path: string): Promise<string> {
  const socket = await open(one, one.gateway.rest.port, way, 'http/1.1');
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
async function clientsSeen(one: Behind, way: Way): Promise<readonly string[]> {
  const { gateway, seen } = one;
  seen.length = 0;
  gateway.upstream.recorder.clear();
  const statuses = [
    await overHttp1(one, way, KEYS.admin, '/collections'),
    await overHttp1(one, way, KEYS.admin, '/cluster/telemetry'),
    await overHttp2(one, way, gateway.grpc.port, GRPC),
  ];
  if (gateway.rest.url.startsWith('https:')) {
    statuses.push(await overHttp2(one, way, gateway.rest.port, { ':path': '/collections' }));
    statuses.push(await overHttp2(one, way, gateway.rest.port, { ':path': '/cluster/telemetry' }));
  }
  await until(() => seen.length === statuses.length, 'all are recorded');
  const remotes = new Set(seen.map(({ remote }) => remote));
  const told = gateway.upstream.recorder.rest.map(
    ({ rawHeaders }) => rawHeaders[rawHeaders.indexOf('x-forwarded-for') + 1],
  );
  return [...new Set([...statuses, ...remotes, ...told.map((client) => `upstream: ${client}`)])];
}

const seenAs = (client: string): readonly string[] => ['200', client, `upstream: ${client}`];
const V1 = Buffer.from('PROXY TCP4 203.0.113.5 127.0.0.1 4660 6333\r\n');
const V2 = checked(0x21, 0x11, Buffer.concat([addresses4('203.0.113.6'), tlv(0xea, Buffer.from('vpce-1'))]));
const V2_6 = v2(0x21, 0x21, addresses6('20010db8000200000000000000000001'));
const LOCAL = v2(0x20, 0x00, Buffer.alloc(0));

for (const tls of [true, false]) {
  t.test(`a PROXY header of a trusted proxy names the client (TLS ${tls})`, async (t) => {
    const one = await behind(t, tls, { 'gateway.proxy_protocol': 'require' });
    t.strictSame(await clientsSeen(one, { header: V1 }), seenAs('203.0.113.5'), 'version 1');
    t.strictSame(await clientsSeen(one, { header: V2 }), seenAs('203.0.113.6'), 'version 2');
    t.strictSame(await clientsSeen(one, { header: V2_6 }), seenAs('2001:db8:2::1'), 'IPv6');
    t.strictSame(await clientsSeen(one, { header: V1, slowly: true }), seenAs('203.0.113.5'), 'version 1 in bytes');
    t.strictSame(await clientsSeen(one, { header: V2, slowly: true }), seenAs('203.0.113.6'), 'version 2 in bytes');
    t.strictSame(await clientsSeen(one, { header: LOCAL }), seenAs(TRUSTED), 'LOCAL: the proxy itself');
    t.strictSame(await clientsSeen(one, { from: STRANGER }), seenAs(STRANGER), 'others come without one');
    const spoofed = { 'x-forwarded-for': '198.51.100.9', 'x-real-ip': '198.51.100.9' };
    const named = await clientsSeen(one, { header: V1, headers: spoofed });
    t.strictSame(named, seenAs('203.0.113.5'), 'what that client says of itself counts for nothing');
  });
}

t.test('a PROXY header may be left out where it is accepted', async (t) => {
  const one = await behind(t, false, { 'gateway.proxy_protocol': 'accept' });
  t.strictSame(await clientsSeen(one, { header: V2 }), seenAs('203.0.113.6'));
  t.strictSame(await clientsSeen(one, {}), seenAs(TRUSTED), 'without');
  const headers = { 'x-forwarded-for': '198.51.100.9, 203.0.113.5' };
  t.strictSame(await clientsSeen(one, { headers }), seenAs('203.0.113.5'), 'each request names its client');
});

t.test('X-Forwarded-For names the client of a request, from trusted proxies only', async (t) => {
  const one = await behind(t, true, {});
  const headers = { 'x-forwarded-for': '198.51.100.9, 203.0.113.5' };
  t.strictSame(await clientsSeen(one, { headers }), seenAs('203.0.113.5'));
  t.strictSame(await clientsSeen(one, { headers, from: STRANGER }), seenAs(STRANGER));
  t.strictSame(await clientsSeen(one, { headers: { forwarded: 'for=203.0.113.5' } }), seenAs(TRUSTED));
});

t.test('Forwarded instead, where it is the header of the proxies', async (t) => {
  const one = await behind(t, false, { 'gateway.forwarded_header': 'forwarded' });
  const headers = { forwarded: 'for=198.51.100.9, for="[2001:db8:2::1]:443";proto=https' };
  t.strictSame(await clientsSeen(one, { headers }), seenAs('2001:db8:2::1'));
  t.strictSame(await clientsSeen(one, { headers, from: STRANGER }), seenAs(STRANGER));
  t.strictSame(await clientsSeen(one, { headers: { 'x-forwarded-for': '203.0.113.5' } }), seenAs(TRUSTED));
});

t.test('the requests of several clients on one connection of a proxy are told apart', async (t) => {
  const one = await behind(t, false, {});
  const socket = await dial(one.gateway.rest.port, TRUSTED);
  const request = (client: string, last = false): string =>
    `GET /collections HTTP/1.1\r\nhost: a\r\napi-key: ${KEYS.admin}\r\nx-forwarded-for: ${client}\r\n${last ? 'connection: close\r\n' : ''}\r\n`;
  await talk(
    socket,
    request('203.0.113.5') + request('203.0.113.6') + request('203.0.113.5') + request('203.0.113.7', true),
  );
  t.strictSame(
    one.seen.map(({ remote }) => remote),
    ['203.0.113.5', '203.0.113.6', '203.0.113.5', '203.0.113.7'],
  );
});

t.test('wrong credentials count for the client, over all connections of the proxies', async (t) => {
  for (const relay of [true, false]) {
    const one = await behind(t, false, { 'gateway.rest.relay': relay });
    const guess = (client: string) =>
      overHttp1(one, { headers: { 'x-forwarded-for': client } }, 'wrong', '/collections');
    const tries = await Promise.all(Array.from({ length: 100 }, () => guess('203.0.113.5')));
    t.strictSame([...new Set(tries)], ['401']);
    t.equal(await guess('203.0.113.6'), '401');
    const slowed = (client: string) =>
      one.seen.filter((seen) => seen.remote === client && seen.slowed === 'guesses').length;
    t.ok(slowed('203.0.113.5') > 0, `the guesser waits, relay ${relay}`);
    t.equal(slowed('203.0.113.6'), 0, 'another client does not');
  }
});

t.test('a PROXY header is refused where it is not read, and missed where it is required', async (t) => {
  for (const tls of [true, false]) {
    const one = await behind(t, tls, {
      'gateway.proxy_protocol': 'require',
      'gateway.limits.tls_handshake_timeout_ms': 500,
    });
    const { gateway, seen } = one;
    for (const port of [gateway.rest.port, gateway.grpc.port]) {
      const text = 'GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n';
      const ended = async (from: string, bytes: Buffer): Promise<Buffer> => {
        const { closed, received } = await talk(await dial(port, from), bytes);
        t.ok(closed, 'the connection ends');
        return received;
      };
      const refused = await ended(STRANGER, Buffer.concat([V1, Buffer.from(text)]));
      t.notMatch(refused.toString('latin1'), / 200 /, 'a header of a stranger is no header');
      await ended(STRANGER, V2);
      const silent: readonly (readonly [string, Buffer])[] = [
        ['none of a trusted proxy', Buffer.from(text)],
        ['a malformed one', Buffer.from('PROXY TCP4 1.2.3 x\r\n')],
        ['a part of one', V2.subarray(0, 20)],
      ];
      for (const [name, bytes] of silent) t.equal((await ended(TRUSTED, bytes)).length, 0, `no answer to ${name}`);
    }
    t.equal(seen.length, 0, 'no request began');
  }
});

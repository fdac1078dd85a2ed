import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { loadConfig } from '../../../src/config/load.ts';
import { makeAuthority } from '../../support/authority.ts';
import { rawClient, unary } from '../../support/clients/unary.ts';
import { startDns } from '../../support/dns-server.ts';
import { KEYS } from '../../support/gateway.ts';
import { LANES, type NodesScene, StandInNode, startNodes } from '../../support/nodes.ts';
import { until } from '../../support/until.ts';

/* Nodes behind TLS that DNS finds, and upstreams that ask for a certificate: every case over each lane of REST, and gRPC. */

const NAME = 'qdrant.test';
const OTHER = 'other.test';
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-node-tls-'));
const [own, strange] = await Promise.all([makeAuthority(folder, 'own'), makeAuthority(folder, 'strange')]);
const [node, client, stranger] = await Promise.all([
  own.issue(NAME, 'localhost'),
  own.issue('gateway.test'),
  strange.issue('client.test'),
]);
const dns = await startDns();
t.teardown(dns.close);

let wantsCertificate = false;
/** The names that were asked for. */
const names = new Set<string>();
const sockets = new Set<TLSSocket>();

/** TLS before a port of a stand-in. Returns its own port. */
async function front(host: string, port: number, target: string, protocol: string): Promise<number> {
  const pem = { cert: readFileSync(node.cert), key: readFileSync(node.key), ca: readFileSync(own.ca) };
  const options = { ...pem, ALPNProtocols: [protocol], requestCert: true, rejectUnauthorized: false };
  const server = createServer(options, (socket) => {
    socket.on('error', () => undefined);
    if (wantsCertificate && !socket.authorized) {
      socket.destroy();
      return;
    }
    names.add(String(socket.servername));
    sockets.add(socket);
    const onward = connect(Number(new URL(target).port), '127.0.0.1').on('error', () => undefined);
    socket.pipe(onward).pipe(socket);
    socket.on('close', () => onward.destroy() && sockets.delete(socket));
    onward.on('close', () => socket.destroy());
  });
  server.on('tlsClientError', () => undefined);
  server.listen(port, host);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

const nodes = [await StandInNode.start(), await StandInNode.start()] as const;
t.teardown(() => Promise.all(nodes.map((one) => one.stop())));
const restPort = await front('127.0.0.1', 0, nodes[0].restUrl, 'http/1.1');
const grpcPort = await front('127.0.0.1', 0, nodes[0].grpcUrl, 'h2');
await front('127.0.0.2', restPort, nodes[1].restUrl, 'http/1.1');
await front('127.0.0.2', grpcPort, nodes[1].grpcUrl, 'h2');

const DISCOVERED = {
  'gateway.upstream.nodes': null,
  'gateway.upstream.discovery.dns': NAME,
  'gateway.upstream.discovery.server': dns.address,
  'gateway.upstream.discovery.rest_port': restPort,
  'gateway.upstream.discovery.grpc_port': grpcPort,
  'gateway.upstream.discovery.refresh_ms': 100,
  'gateway.upstream.discovery.tls': true,
  'gateway.upstream.tls_ca': own.ca,
};
const MTLS = { 'gateway.upstream.tls_cert': client.cert, 'gateway.upstream.tls_key': client.key };

interface Case {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly dns?: string;
  readonly wantsCertificate?: boolean;
  readonly serves: boolean;
}

const CASES: readonly Case[] = [
  { name: 'a certificate for the name in DNS', settings: {}, serves: true },
  { name: 'without TLS here', settings: { 'gateway.upstream.discovery.tls': false }, serves: false },
  { name: 'a certificate for another name', settings: { 'gateway.upstream.discovery.dns': OTHER }, serves: false },
  {
    name: 'another name in DNS than in the certificate, which is stated',
    settings: { 'gateway.upstream.discovery.dns': OTHER, 'gateway.upstream.discovery.server_name': NAME },
    serves: true,
  },
  {
    name: 'a stated name that the certificate lacks',
    settings: { 'gateway.upstream.discovery.server_name': OTHER },
    serves: false,
  },
  { name: 'a certificate of an unknown CA', settings: { 'gateway.upstream.tls_ca': strange.ca }, serves: false },
  { name: 'no CA', settings: { 'gateway.upstream.tls_ca': null }, serves: false },
  { name: 'nodes that ask for a certificate', settings: {}, wantsCertificate: true, serves: false },
  { name: 'nodes that are shown a certificate', settings: MTLS, wantsCertificate: true, serves: true },
  {
    name: 'nodes that are shown one of another CA',
    settings: { 'gateway.upstream.tls_cert': stranger.cert, 'gateway.upstream.tls_key': stranger.key },
    wantsCertificate: true,
    serves: false,
  },
  {
    name: 'services, whose name is that of the domain',
    settings: { 'gateway.upstream.discovery.dns': `_http._tcp.${NAME}`, 'gateway.upstream.discovery.srv': true },
    serves: true,
  },
];

async function grpcCode(port: number): Promise<number> {
  const raw = rawClient({ ca: Buffer.alloc(0), grpc: { port, url: `http://localhost:${port}` } });
  const { code } = await unary(raw, '/qdrant.Collections/List', Buffer.alloc(0), { 'api-key': KEYS.admin });
  raw.close();
  return code;
}

const plain = LANES.filter(({ http2 }) => !http2);
for (const lane of plain) {
  t.test(lane.name, async (t) => {
    dns.answer({
      a: ['127.0.0.1', '127.0.0.2'],
      srv: ['127.0.0.1', '127.0.0.2'].map((host) => ({ host, port: restPort })),
    });
    const scene = await startNodes({ lane, count: 0, settings: DISCOVERED });
    t.teardown(scene.close);
    for (const one of CASES) await t.test(one.name, (t) => serves(t, scene, one));
  });
}

async function serves(t: Test, { gateway, ask, stateWith, grpcPort: port }: NodesScene, one: Case): Promise<void> {
  wantsCertificate = one.wantsCertificate === true;
  const [status, code] = one.serves ? [200, 0] : [502, 14];
  gateway.apply(stateWith(one.settings));
  // What holds for new connections does not end the open ones.
  for (const socket of sockets) socket.destroy();
  await until(async () => (await ask('GET', '/collections')).status === status, `REST is ${status}`);
  await until(async () => (await grpcCode(port)) === code, `gRPC is ${code}`);
  for (const { fake } of nodes) fake.recorder.clear();
  names.clear();
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask('GET', '/collections/docs/exists')));
  t.ok(
    answers.every((answer) => answer.status === status),
    `each request is ${status}`,
  );
  t.equal(await grpcCode(port), code);
  t.equal(
    nodes.some(({ seen }) => seen.length > 0),
    one.serves,
    'nothing goes to a node that is not the right one',
  );
  t.strictSame([...names], one.serves ? [NAME] : [], 'it is asked for by the name that is verified');
  if (one.serves)
    await until(() => (gateway.snapshot().nodes ?? []).every(({ release }) => release), 'probes know its release');
}

t.test('one address that asks for a certificate', async (t) => {
  wantsCertificate = true;
  const [, , lane] = LANES;
  if (!lane) throw new Error('no lane');
  const address = {
    'gateway.upstream.nodes': null,
    'gateway.upstream.rest_url': `https://localhost:${restPort}`,
    'gateway.upstream.grpc_url': `https://localhost:${grpcPort}`,
    'gateway.upstream.tls_ca': own.ca,
  };
  for (const [settings, status, code] of [
    [{}, 502, 14],
    [MTLS, 200, 0],
  ] as const) {
    const scene = await startNodes({ lane, count: 0, settings: { ...address, ...settings } });
    t.equal((await scene.ask('GET', '/collections')).status, status);
    t.equal(await grpcCode(scene.grpcPort), code);
    await scene.close();
  }
});

t.test('half of it is no configuration', (t) => {
  for (const [settings, problem] of [
    [{ 'gateway.upstream.tls_cert': client.cert }, /tls_cert: needs `gateway.upstream.tls_key`/],
    [{ 'gateway.upstream.tls_key': client.key }, /tls_key: needs `gateway.upstream.tls_cert`/],
    [{ 'gateway.upstream.discovery.server_name': NAME }, /server_name: needs `gateway.upstream.discovery.tls: true`/],
    [{ 'gateway.upstream.discovery.server_name': '10.0.0.1', 'gateway.upstream.discovery.tls': true }, /server_name/],
    [{ 'gateway.upstream.discovery.server_name': 'a b', 'gateway.upstream.discovery.tls': true }, /server_name/],
  ] as const) {
    const defaults = { 'service.api_key': 'k', 'gateway.upstream.discovery.dns': NAME, ...settings };
    t.throws(() => loadConfig({ env: {}, defaults }), { message: problem });
  }
  t.end();
});

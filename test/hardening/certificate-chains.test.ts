import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import * as x509 from '@peculiar/x509';
import t from 'tap';
import type { State } from '../../src/config/state.ts';
import type { Fleet } from '../../src/gateway/fleet.ts';
import { createPool } from '../../src/gateway/workers/pool.ts';
import { createSingle } from '../../src/gateway/workers/single.ts';
import { certificateState, type Lane, openLanes } from '../support/certificate-clients.ts';
import { runCerts } from '../support/certs.ts';
import { type ClientCa, newCa, type Pair } from '../support/client-certificates.ts';
import { curl, curlMissing } from '../support/clients/curl.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';

/*
 * A client shows its certificates before it is known, and OpenSSL checks each signature in them. So there is a bound on the
 * bytes of a handshake, wherever certificates are asked for, and chains as real CAs issue them are far below it.
 */

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-certificate-chains-'));
const server = await runCerts(folder);
const root = await newCa('root');
const caFile = join(folder, 'clients.pem');
writeFileSync(caFile, root.cert);
const upstream = await startFakeQdrant();
t.teardown(() => upstream.close());

const padding = (bytes: number): x509.Extension[] => [new x509.Extension('1.2.3.4', false, Buffer.alloc(bytes, 7))];

/** A certificate below as many intermediate CAs, all of which the client sends. */
async function chained(above: ClientCa, intermediates: number): Promise<Pair> {
  let ca = above;
  const others: string[] = [];
  for (let level = 0; level < intermediates; level += 1) {
    ca = await ca.below(`level ${level}`);
    others.unshift(ca.cert);
  }
  const leaf = await ca.issue();
  return { ...leaf, cert: [leaf.cert, ...others].join('\n') };
}

const stranger = await newCa('stranger');
const CLIENTS: readonly (readonly [name: string, client: Partial<Pair>, good: boolean, fits: boolean])[] = [
  ['no certificate', {}, false, true],
  ['one certificate', await root.issue(), true, true],
  ['a chain of four', await chained(root, 3), true, true],
  ['a certificate of 12 KB', await root.issue({ extensions: padding(12_000) }), true, true],
  ['a chain of a stranger', await chained(stranger, 3), false, true],
  ['a certificate of 17 KB', await root.issue({ extensions: padding(17_000) }), true, false],
  ['60 KB of a stranger', await stranger.issue({ extensions: padding(60_000) }), false, false],
];

const MODES = {
  identity: { 'gateway.client_certificates.mode': 'identity' },
  'asked natively': { 'service.verify_https_client_certificate': true, 'gateway.grpc_client_certificates': true },
} as const;
const POLICY = 'client_certificates: { id: mesh, mappings: [{ id: all, access: r }] }';
const LANES: readonly Lane[] = ['HTTP/1.1 relay', 'HTTP/2 plain', 'gRPC'];

let addresses = 1;
/** An address, which is a network, that no client had before. */
function newAddress(): string {
  addresses += 1;
  return `127.0.0.${addresses}`;
}

/** A client meets a byte after the handshake, or the end of the connection. */
async function meet(
  lane: Lane,
  port: number,
  client: Partial<Pair>,
  maxVersion: 'TLSv1.2' | 'TLSv1.3',
  localAddress = newAddress(),
) {
  const isHttp1 = lane === 'HTTP/1.1 relay';
  const socket = connect({
    ...{ port, host: '127.0.0.1', servername: 'localhost', ca: readFileSync(server.ca), maxVersion },
    ...{ localAddress, ALPNProtocols: [isHttp1 ? 'http/1.1' : 'h2'] },
    ...(client.cert !== undefined && { cert: client.cert, key: client.key }),
  });
  const { promise, resolve } = Promise.withResolvers<'answered' | 'ended'>();
  socket
    .on('error', () => resolve('ended'))
    .once('data', () => resolve('answered'))
    .once('close', () => resolve('ended'));
  if (isHttp1) socket.write(`GET /collections HTTP/1.1\r\nhost: localhost\r\napi-key: ${KEYS.admin}\r\n\r\n`);
  else socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');
  const met = await promise;
  socket.destroy();
  return met;
}

for (const [name, mode] of Object.entries(MODES)) {
  t.test(`${name}: real chains pass, larger ones end the handshake, on each port and in each version`, async (t) => {
    const files = { 'tls.cert': server.cert, 'tls.key': server.key, 'tls.ca_cert': caFile };
    const lanes = await openLanes(createSingle, (more) =>
      certificateState(upstream, { ...files, ...mode, ...more }, name === 'identity' ? POLICY : '{}'),
    );
    t.teardown(lanes.stop);
    for (const lane of LANES) {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        for (const [what, client, good, fits] of CLIENTS) {
          const isLetIn = fits && (good || name === 'identity');
          const met = await meet(lane, lanes.portOf(lane), client, version);
          t.equal(met, isLetIn ? 'answered' : 'ended', `${lane}, ${version}, ${what}`);
        }
      }
    }
  });
}

const FLEETS: Readonly<Record<string, (state: State) => Promise<Fleet>>> = {
  'one process': createSingle,
  'two workers': async (state) => {
    const failed = (error: unknown) => t.fail(String(error));
    return createPool({ state, count: 2, withheld: [], events: { replaced: () => t.fail('a worker died'), failed } });
  },
};
/** Two workers meet some of as many connections each, nearly always. */
const VISITS = 4;

for (const [fleetName, open] of Object.entries(FLEETS)) {
  for (const [name, mode] of Object.entries(MODES)) {
    t.test(
      `${fleetName}, ${name}: the bound holds for a network that has just shown a verified certificate`,
      async (t) => {
        const files = { 'tls.cert': server.cert, 'tls.key': server.key, 'tls.ca_cert': caFile };
        const fleet = await open(
          certificateState(
            upstream,
            { ...files, ...mode, 'gateway.admin.port': 0 },
            name === 'identity' ? POLICY : '{}',
          ),
        );
        t.teardown(() => fleet.stop(0));
        const { rest, grpc } = await fleet.start();
        const good = await root.issue();
        const slow = await stranger.issue({ extensions: padding(60_000) });
        for (const lane of LANES) {
          const port = lane === 'gRPC' ? (grpc?.port ?? 0) : rest.port;
          const address = newAddress();
          for (let at = 0; at < VISITS; at += 1) {
            t.equal(await meet(lane, port, good, 'TLSv1.3', address), 'answered', `${lane}, a good one`);
            t.equal(await meet(lane, port, slow, 'TLSv1.3', address), 'ended', `${lane}, 60 KB of a stranger`);
          }
        }
        const counts = (await fleet.snapshots()).flatMap(({ observed }) => observed?.listeners ?? []);
        const ended = (['rest', 'grpc'] as const).map((port) =>
          counts.reduce((sum, listeners) => sum + (listeners[port].faults.handshake_size ?? 0), 0),
        );
        t.same(ended, [2 * VISITS, VISITS], 'and each is counted');
      },
    );
  }
}

t.test('a larger bound is an option', async (t) => {
  const files = { 'tls.cert': server.cert, 'tls.key': server.key, 'tls.ca_cert': caFile };
  const bound = { 'gateway.limits.tls_handshake_bytes': 102_400 };
  const lanes = await openLanes(createSingle, (more) =>
    certificateState(upstream, { ...files, ...MODES.identity, ...bound, ...more }, POLICY),
  );
  t.teardown(lanes.stop);
  for (const lane of LANES) {
    for (const [what, client] of CLIENTS) {
      t.equal(await meet(lane, lanes.portOf(lane), client, 'TLSv1.3'), 'answered', `${lane}, ${what}`);
    }
  }
});

t.test('curl with a chain of RSA keys of 4096 bits', { skip: curlMissing() }, async (t) => {
  const { cert, key, ca } = await rsaChain();
  const [certFile, keyFile, rsaCa] = ['rsa.pem', 'rsa-key.pem', 'rsa-ca.pem'].map((name) => join(folder, name));
  if (!certFile || !keyFile || !rsaCa) throw new TypeError('three names');
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key);
  writeFileSync(rsaCa, ca);
  const files = { 'tls.cert': server.cert, 'tls.key': server.key, 'tls.ca_cert': rsaCa };
  const lanes = await openLanes(createSingle, (more) =>
    certificateState(upstream, { ...files, ...MODES.identity, ...more }, POLICY),
  );
  t.teardown(lanes.stop);
  const url = `https://localhost:${lanes.portOf('HTTP/2 plain')}/collections`;
  for (const version of ['--http1.1', '--http2']) {
    const args = [version, '--resolve', `localhost:${new URL(url).port}:127.0.0.1`, url];
    t.equal((await curl(server.ca, ['--cert', certFile, '--key', keyFile, ...args])).status, 200, version);
    t.equal((await curl(server.ca, args)).status, 401, `${version} without it`);
  }
});

/** A leaf and three CAs, one of which is the root, each with a key of 4096 bits; two keys do for all. */
async function rsaChain(): Promise<{ readonly cert: string; readonly key: string; readonly ca: string }> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 4096,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const [own, theirs] = await Promise.all(
    [0, 1].map(() => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])),
  );
  if (!own || !theirs) throw new TypeError('two keys');
  const times = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 3_600_000) };
  const sign = (subject: string, issuer: string, publicKey: CryptoKey, isCa: boolean) =>
    x509.X509CertificateGenerator.create({
      ...{
        subject: `CN=${subject}`,
        issuer: `CN=${issuer}`,
        publicKey,
        signingKey: theirs.privateKey,
        signingAlgorithm: algorithm,
      },
      ...times,
      extensions: [new x509.BasicConstraintsExtension(isCa, undefined, true)],
    });
  const chain = await Promise.all([
    sign('client', 'two', own.publicKey, false),
    sign('two', 'one', theirs.publicKey, true),
    sign('one', 'rsa root', theirs.publicKey, true),
    sign('rsa root', 'rsa root', theirs.publicKey, true),
  ]);
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', own.privateKey)).toString('base64');
  return {
    cert: chain.map((one) => one.toString('pem')).join('\n'),
    key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
    ca: chain.at(-1)?.toString('pem') ?? '',
  };
}

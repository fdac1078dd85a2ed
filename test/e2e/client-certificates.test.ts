import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import t from 'tap';
import { createSingle } from '../../src/gateway/workers/single.ts';
import { certificateState, LANE_NAMES, openLanes, openLine } from '../support/certificate-clients.ts';
import { runCerts } from '../support/certs.ts';
import { newCa, type Pair, selfSigned } from '../support/client-certificates.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { replaceFile } from '../support/replace-file.ts';

/* Client certificates on each lane: what each mode makes of them, and what a reload takes from open connections. */

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-client-certificates-'));
const server = await runCerts(folder);
const [root, other] = await Promise.all([newCa('root'), newCa('other')]);
const caFile = join(folder, 'clients.pem');
const crlFile = join(folder, 'lists.pem');
const upstream = await startFakeQdrant();
t.teardown(() => upstream.close());

const spiffe = (path: string) => [6, `spiffe://example.org/${path}`] as const;
const revoked = await root.issue({ san: [spiffe('ns/a/sa/gone')] });
const CLIENTS: Readonly<Record<string, Partial<Pair>>> = {
  none: {},
  good: await root.issue({ san: [spiffe('ns/a/sa/b')] }),
  'other CA': await other.issue({ san: [spiffe('ns/a/sa/b')] }),
  expired: await root.issue({ san: [spiffe('ns/a/sa/b')], from: -2, until: -1 }),
  'not yet valid': await root.issue({ san: [spiffe('ns/a/sa/b')], from: 1, until: 2 }),
  revoked,
  'for servers': await root.issue({ san: [spiffe('ns/a/sa/b')], usages: ['1.3.6.1.5.5.7.3.1'] }),
  'self-signed': await selfSigned(),
  'two SPIFFE ids': await root.issue({ san: [spiffe('ns/a/sa/b'), spiffe('ns/z/sa/b')] }),
  unmapped: await root.issue({ san: [spiffe('ns/z/sa/b')] }),
};
const REFUSED: Readonly<Record<string, string>> = {
  'other CA': 'certificate_unverified',
  expired: 'certificate_expired',
  'not yet valid': 'certificate_expired',
  revoked: 'certificate_revoked',
  'for servers': 'certificate_unverified',
  'self-signed': 'certificate_unverified',
  'two SPIFFE ids': 'certificate_unfit',
  unmapped: 'no_mapping',
};

const POLICY = `
client_certificates:
  id: mesh
  mappings:
    - { id: a, claim: spiffe.segments.2, value: a, access: [{ collections: [team-a-*], access: r }] }
`;

writeFileSync(caFile, root.cert);
writeFileSync(crlFile, await root.list({ revoked: [revoked.serial] }));

function stateOf(settings: Readonly<Record<string, unknown>>) {
  const files = { 'tls.cert': server.cert, 'tls.key': server.key, 'tls.ca_cert': caFile };
  const lists = { 'gateway.client_certificates.crl': crlFile };
  return certificateState(upstream, { ...files, ...lists, ...settings }, POLICY);
}

const tlsOf = ({ cert, key }: Partial<Pair>): ConnectionOptions => ({
  ...{ ca: readFileSync(server.ca), ...(cert && key && { cert, key }) },
});

/** What each mode expects: without a key, with a good one, with a wrong one. */
const EXPECTED = {
  identity: (client: string) => [
    client === 'none' ? 'missing_credential' : (REFUSED[client] ?? 'ok'),
    'ok',
    'bad_credential',
  ],
  beside_key: (client: string) => {
    const refused = client === 'none' ? 'certificate_missing' : REFUSED[client];
    return refused ? [refused, refused, refused] : ['missing_credential', 'ok', 'bad_credential'];
  },
} as const;

for (const mode of ['identity', 'beside_key'] as const) {
  t.test(`${mode}: every certificate with every key, on every lane`, async (t) => {
    const settings = { 'gateway.client_certificates.mode': mode };
    const lanes = await openLanes(createSingle, (more) => stateOf({ ...settings, ...more }));
    t.teardown(lanes.stop);
    for (const lane of LANE_NAMES) {
      for (const [name, client] of Object.entries(CLIENTS)) {
        const line = await openLine(lane, lanes.portOf(lane), tlsOf(client));
        const met = [await line.ask(), await line.ask(KEYS.admin), await line.ask('wrong')];
        t.same(met, EXPECTED[mode](name), `${lane}, ${name}: no key, a good one, a wrong one`);
        line.close();
      }
    }
  });
}

t.test(
  'a handshake that asks for certificates natively refuses those without a good one before any request',
  async (t) => {
    const settings = {
      'gateway.client_certificates.mode': 'identity',
      'service.verify_https_client_certificate': true,
    };
    const lanes = await openLanes(createSingle, (more) => stateOf({ ...settings, ...more }));
    t.teardown(lanes.stop);
    const port = lanes.portOf('HTTP/2 plain');
    const line = await openLine('HTTP/2 plain', port, tlsOf(CLIENTS.good ?? {}));
    t.equal(await line.ask(), 'ok', 'and the certificate is an identity');
    line.close();
    const grpc = await openLine('gRPC', lanes.portOf('gRPC'), tlsOf({}));
    t.equal(await grpc.ask(KEYS.admin), 'ok', 'REST alone is meant, as natively');
    grpc.close();
  },
);

t.test('a reload of CA and lists counts from the next request of an open connection on, and back', async (t) => {
  const mode = { 'gateway.client_certificates.mode': 'identity' };
  const lanes = await openLanes(createSingle, (more) => stateOf({ ...mode, ...more }));
  t.teardown(lanes.stop);
  const good = CLIENTS.good ?? {};
  const lines = await Promise.all(
    LANE_NAMES.map(async (lane) => ({ lane, line: await openLine(lane, lanes.portOf(lane), tlsOf(good)) })),
  );
  const meets = async (ca: string, lists: string, expected: string, what: string, fresh = expected) => {
    replaceFile(caFile, ca);
    replaceFile(crlFile, lists);
    await lanes.apply({});
    for (const { lane, line } of lines) {
      t.equal(await line.ask(), expected, `${lane}: ${what}`);
      t.equal(await line.ask(KEYS.admin), 'ok', `${lane}: ${what}, by key`);
      const again = await openLine(lane, lanes.portOf(lane), tlsOf(good));
      t.equal(await again.ask(), fresh, `${lane}: ${what}, on a connection of its own`);
      again.close();
    }
  };
  const none = await root.list();
  const both = `${root.cert}\n${other.cert}`;
  await meets(root.cert, none, 'ok', 'as at the start');
  await meets(root.cert, await root.list({ revoked: [good.serial ?? ''] }), 'certificate_revoked', 'it is revoked');
  await meets(root.cert, none, 'ok', 'it is no more');
  await meets(other.cert, await other.list(), 'certificate_unverified', 'its CA has gone');
  await meets(both, `${none}\n${await other.list()}`, 'ok', 'its CA is back');
  await meets(both, await other.list(), 'certificate_status_unknown', 'no list of its CA');
  await meets(await root.again(), none, 'ok', 'its CA is renewed');
  await meets(root.cert, await root.list({ from: -2, until: -1 }), 'certificate_status_unknown', 'its list has ended');
  await meets(root.cert, none, 'ok', 'at the end');
  for (const { line } of lines) line.close();
});

t.test('files that do not fit together change nothing', async (t) => {
  const mode = { 'gateway.client_certificates.mode': 'identity' };
  const lanes = await openLanes(createSingle, (more) => stateOf({ ...mode, ...more }));
  t.teardown(lanes.stop);
  const line = await openLine('HTTP/1.1 relay', lanes.portOf('HTTP/1.1 relay'), tlsOf(CLIENTS.good ?? {}));
  const kept = readFileSync(crlFile, 'utf8');
  replaceFile(crlFile, await root.list({ signer: other, revoked: [CLIENTS.good?.serial ?? ''] }));
  await t.rejects(lanes.apply({}), { message: /no CA of the CA file has signed/ });
  t.equal(await line.ask(), 'ok');
  replaceFile(crlFile, 'no list');
  await t.rejects(async () => lanes.apply({}), { message: /no PEM revocation list/ });
  t.equal(await line.ask(), 'ok');
  replaceFile(crlFile, kept);
  line.close();
});

t.test('behind the PROXY protocol the certificate is that of the client, and the audit names it', async (t) => {
  const dir = join(folder, 'audit');
  const settings = {
    ...{ 'gateway.client_certificates.mode': 'identity', 'gateway.rest.relay': true },
    ...{ 'gateway.trusted_proxies': ['127.0.0.1'], 'gateway.proxy_protocol': 'require' },
    ...{ 'audit.enabled': true, 'audit.dir': dir },
  };
  const fleet = await createSingle(stateOf(settings));
  const { rest, grpc } = await fleet.start();
  for (const lane of ['HTTP/1.1 relay', 'HTTP/2 plain', 'gRPC'] as const) {
    const port = (lane === 'gRPC' ? grpc : rest)?.port ?? 0;
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('PROXY TCP4 192.0.2.7 192.0.2.1 5000 6333\r\n');
    const line = await openLine(lane, port, { ...tlsOf(CLIENTS.good ?? {}), socket });
    t.equal(await line.ask(), 'ok', lane);
    line.close();
  }
  await fleet.stop(1000);
  const lines = readdirSync(dir).flatMap((name) => readFileSync(join(dir, name), 'utf8').trim().split('\n'));
  t.equal(lines.length, 3);
  for (const line of lines) {
    t.match(JSON.parse(line), {
      ...{ auth_type: 'Certificate', key: 'mesh', subject: 'spiffe://example.org/ns/a/sa/b', remote: '192.0.2.7' },
      ...{ mappings: ['a'], certificate: { subject: 'spiffe://example.org/ns/a/sa/b', fingerprint: /^[0-9a-f]{64}$/ } },
    });
  }
});

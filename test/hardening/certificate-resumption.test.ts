import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { State } from '../../src/config/state.ts';
import type { Fleet } from '../../src/gateway/fleet.ts';
import { createPool } from '../../src/gateway/workers/pool.ts';
import { createSingle } from '../../src/gateway/workers/single.ts';
import { certificateState, type Lane, type Line, openLine } from '../support/certificate-clients.ts';
import { runCerts } from '../support/certs.ts';
import { newCa, type Pair } from '../support/client-certificates.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { replaceFile } from '../support/replace-file.ts';

/*
 * A resumed TLS session shows no certificate again. The one in its ticket counts as long as CAs and revocation lists are those of
 * its handshake, in each process of the gateway, and no session makes an identity of nothing.
 */

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-certificate-resumption-'));
const server = await runCerts(folder);
const root = await newCa('root');
const [caFile, crlFile] = [join(folder, 'clients.pem'), join(folder, 'lists.pem')];
const upstream = await startFakeQdrant();
t.teardown(() => upstream.close());

const good = await root.issue();
const other = await (await newCa('other')).issue();
const middle = await root.below('middle');
const below = await middle.issue();
const chained = { ...below, cert: `${below.cert}\n${middle.cert}` };

function stateOf(more: Readonly<Record<string, unknown>> = {}): State {
  const files = { 'tls.cert': server.cert, 'tls.key': server.key, 'tls.ca_cert': caFile };
  const mode = { 'gateway.client_certificates.mode': 'identity' };
  const policy = 'client_certificates: { id: mesh, mappings: [{ id: all, access: r }] }';
  return certificateState(upstream, { ...files, ...mode, ...more }, policy);
}

const FLEETS: Readonly<Record<string, (test: Test, state: State) => Promise<Fleet>>> = {
  'one process': (_test, state) => createSingle(state),
  'two workers': async (test, state) => {
    const events = { replaced: () => test.fail('a worker died'), failed: (error: unknown) => test.fail(String(error)) };
    return createPool({ state, count: 2, withheld: [], events });
  },
};
/** Visits of which two processes meet some each, nearly always. */
const VISITS = 4;

async function start(test: Test, name: string, state: State) {
  const fleet = await FLEETS[name]?.(test, state);
  if (!fleet) throw new TypeError('no such fleet');
  const { rest, grpc } = await fleet.start();
  test.teardown(() => fleet.stop(0));
  const portOf = (lane: Lane): number => (lane === 'gRPC' ? (grpc?.port ?? 0) : rest.port);
  /** One request without a key on a connection of its own. */
  const visit = async (lane: Lane, maxVersion: 'TLSv1.2' | 'TLSv1.3', client: Partial<Pair>, session?: Buffer) => {
    const { cert, key } = client;
    const line: Line = await openLine(lane, portOf(lane), {
      ...{ ca: readFileSync(server.ca), maxVersion, ...(cert && key && { cert, key }), ...(session && { session }) },
    });
    const met = await line.ask();
    line.close();
    return { met, reused: line.reused, session: line.session() };
  };
  return { fleet, visit, portOf };
}

const LANES = ['HTTP/1.1 relay', 'HTTP/2 plain', 'gRPC'] as const;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

for (const name of Object.keys(FLEETS)) {
  t.test(`${name}: a resumed session carries the identity of its certificate, and no other`, async (t) => {
    writeFileSync(caFile, root.cert);
    const { visit } = await start(t, name, stateOf());
    for (const lane of LANES) {
      for (const version of VERSIONS) {
        for (const [what, client, met] of [
          ['no certificate', {}, 'missing_credential'],
          ['a good one', good, 'ok'],
          ['one of a CA below that the client sends', chained, 'ok'],
          ['one of another CA', other, 'certificate_unverified'],
        ] as const) {
          const first = await visit(lane, version, client);
          t.match(first, { met, reused: false }, `${lane} ${version}, ${what}`);
          for (let at = 0; at < VISITS; at += 1) {
            const again = await visit(lane, version, {}, first.session);
            t.match(again, { met, reused: true }, `${lane} ${version}, ${what}: resumed without showing it`);
          }
        }
      }
    }
  });

  t.test(
    `${name}: a change of lists or CAs ends the sessions before it, and the resumed connections that lose by it`,
    async (t) => {
      writeFileSync(caFile, root.cert);
      writeFileSync(crlFile, await root.list());
      const settings = { 'gateway.client_certificates.crl': crlFile };
      const { visit, fleet, portOf } = await start(t, name, stateOf(settings));
      for (const lane of LANES) {
        const first = await visit(lane, 'TLSv1.3', good);
        const ca = readFileSync(server.ca);
        const open = await openLine(lane, portOf(lane), { ca, ...(first.session && { session: first.session }) });
        t.equal(open.reused, true);
        t.equal(await open.ask(), 'ok', `${lane}: resumed and open`);
        replaceFile(crlFile, await root.list({ revoked: [good.serial] }));
        await fleet.apply(stateOf(settings));
        t.equal(await open.ask(), 'certificate_revoked', `${lane}: the open one`);
        for (let at = 0; at < VISITS; at += 1) {
          const bare = await visit(lane, 'TLSv1.3', {}, first.session);
          t.match(bare, { met: 'missing_credential', reused: false }, `${lane}: its session, without a certificate`);
        }
        replaceFile(crlFile, await root.list());
        await fleet.apply(stateOf(settings));
        t.equal(await open.ask(), 'ok', `${lane}: it is no longer revoked`);
        open.close();
      }
    },
  );
}

t.test(
  'a resumed connection has the chain that clients have sent before, also after a change of the CAs',
  async (t) => {
    writeFileSync(caFile, root.cert);
    const { visit, fleet, portOf } = await start(t, 'one process', stateOf());
    const first = await visit('HTTP/1.1 relay', 'TLSv1.3', chained);
    const ca = readFileSync(server.ca);
    const session = first.session && { session: first.session };
    const open = await openLine('HTTP/1.1 relay', portOf('HTTP/1.1 relay'), { ca, ...session });
    t.equal(await open.ask(), 'ok');
    replaceFile(caFile, `${root.cert}\n${(await newCa('beside')).cert}`);
    await fleet.apply(stateOf());
    t.equal(await open.ask(), 'ok');
    replaceFile(caFile, (await newCa('another')).cert);
    await fleet.apply(stateOf());
    t.equal(await open.ask(), 'certificate_unverified');
    t.match(await visit('HTTP/1.1 relay', 'TLSv1.3', chained), { met: 'certificate_unverified', reused: false });
    open.close();
  },
);

t.test('a session of another start is a full handshake', async (t) => {
  writeFileSync(caFile, root.cert);
  const before = await start(t, 'one process', stateOf());
  const { session } = await before.visit('HTTP/1.1 relay', 'TLSv1.3', good);
  const after = await start(t, 'one process', stateOf());
  const bare = await after.visit('HTTP/1.1 relay', 'TLSv1.3', {}, session);
  t.match(bare, { met: 'missing_credential', reused: false });
});

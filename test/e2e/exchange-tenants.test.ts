import { join } from 'node:path';
import t from 'tap';
import { ADMIN_TOKEN, askAdmin, eventsIn } from '../support/admin-gateway.ts';
import { newCa } from '../support/client-certificates.ts';
import { type CountingLines, openCounting } from '../support/counting-lines.ts';
import { startProvider } from '../support/issuers/provider.ts';
import { claimsIn, formOf, MINTING_SECRET, readAnswer } from '../support/minting.ts';
import { startOperated } from '../support/operated.ts';
import { until } from '../support/until.ts';

/*
 * Tokens of a real provider, and tokens minted for them, beside client certificates: the tenants of both hold, and revocations of both.
 * On every lane, on connections that stay open.
 */

const folder = t.testdir();
const provider = await startProvider(folder);
const root = await newCa('root');
const policy = `
signing_keys: [{ id: minting, secret: ${MINTING_SECRET}, exchange: true }]
token_exchange: { rest_port: true, per_minute: 10000 }
issuers:
  - id: corp
    issuer: ${provider.issuer}
    audiences: [qdrant]
    ca_file: ${provider.ca}
    subject: client_id
    mappings:
      - { id: docs, access: [{ collections: [docs, own], access: rw }] }
client_certificates:
  id: mesh
  mappings:
    - { id: all, claim: spiffe.trust_domain, value: example.org, access: m }
tenants:
  - { id: teams, keys: [corp], collections: [docs, own], field: team, from: team }
  - { id: zones, keys: [mesh], collections: [docs], field: zone, from: spiffe.segments.2 }
`;
const audit = join(folder, 'audit');
const gateway = await startOperated({
  files: { 'policy.yaml': policy, 'clients.pem': root.cert },
  settings: {
    ...{ 'gateway.client_certificates.mode': 'beside_key', 'tls.ca_cert': 'clients.pem' },
    ...{ 'gateway.admin.port': 0, 'gateway.admin.token': ADMIN_TOKEN, 'audit.enabled': true, 'audit.dir': audit },
  },
});
t.teardown(() => Promise.all([provider.stop(), gateway.close()]));

const PLACES = [
  ['search', 'red'],
  ['search', 'red'],
  ['search', 'blue'],
  ['shop', 'red'],
  ['shop', 'blue'],
] as const;
const points = PLACES.map(([team, zone], at) => ({ id: at + 1, vector: [1, 0], payload: { team, zone } }));
for (const name of ['docs', 'own']) {
  for (const [path, body] of [
    [`/collections/${name}`, { vectors: { size: 2, distance: 'Dot' } }],
    [`/collections/${name}/points?wait=true`, { points }],
  ] as const) {
    const headers = { 'content-type': 'application/json' };
    const sent = { method: 'PUT', headers, body: JSON.stringify(body) };
    if (!(await fetch(gateway.upstream.restUrl + path, sent)).ok) throw new Error(`${path} is refused`);
  }
}

const lineFor = async (zone: string): Promise<CountingLines> =>
  openCounting(gateway, await root.issue({ san: [[6, `spiffe://example.org/ns/${zone}/sa/one`]] }));
const [red, blue] = await Promise.all([lineFor('red'), lineFor('blue')]);
t.teardown(() => {
  red.close();
  blue.close();
});

async function minted(line: CountingLines, credential: string): Promise<string> {
  const [answer] = await line.post('/-/token', formOf({ subject_token: credential }));
  const { token, description } = readAnswer({ status: answer?.[0] ?? 0, headers: [], body: answer?.[1] ?? '' });
  if (token === '') throw new Error(description);
  return token;
}
const revoke = async (kind: string, value: unknown): Promise<void> => {
  const headers = { 'content-type': 'application/json' };
  const sent = { method: 'POST', token: ADMIN_TOKEN, headers, body: JSON.stringify({ kind, value }) };
  const { status, text } = await askAdmin(gateway.admin, '/-/revoke', sent);
  if (status !== 200) throw new Error(text);
};
const INVALID = 'Invalid API key or JWT';

t.test('the tenants of token and certificate hold together, and for a minted token as for its source', async (t) => {
  const token = await provider.token();
  for (const [what, one] of [
    ['the token', token],
    ['minted beside red', await minted(red, token)],
    ['minted beside blue', await minted(blue, token)],
  ] as const) {
    t.equal(await red.count('docs', one), 'count 2', `${what}, beside red`);
    t.equal(await blue.count('docs', one), 'count 1', `${what}, beside blue`);
    t.match(await red.count('own', one), /^(?!count)[^|]*$/, `${what}: no entry of the certificate covers it`);
  }
});

t.test('the audit names the certificate of an exchange', async (t) => {
  const exchanged = () => eventsIn(audit).filter(({ event }) => event === 'token_minted');
  await until(() => exchanged().length >= 2, 'the exchanges are written');
  const [first] = exchanged();
  t.match(first, { key: 'corp', subject: 'robot', result: 'ok' });
  t.match(first?.certificate, { subject: 'spiffe://example.org/ns/red/sa/one', fingerprint: /^[0-9a-f]{64}$/ });
});

t.test('a revocation of the source, of a minted token or of a certificate ends what it names', async (t) => {
  const [first, second] = [await provider.token(), await provider.token()];
  const tokens = [await minted(red, first), await minted(red, first), await minted(red, second)] as const;
  await revoke('token', claimsIn(tokens[0]).jti);
  t.equal(await red.count('docs', tokens[0]), INVALID, 'by its own `jti`');
  t.equal(await red.count('docs', tokens[1]), 'count 2');
  await revoke('token', claimsIn(first).jti);
  t.equal(await red.count('docs', tokens[1]), INVALID, 'by the `jti` of its source');
  t.equal(await red.count('docs', first), INVALID);
  t.equal(await red.count('docs', tokens[2]), 'count 2');
  await revoke('subject', 'spiffe://example.org/ns/red/sa/one');
  t.equal(await red.count('docs', tokens[2]), 'The client certificate is revoked');
  t.equal(await blue.count('docs', tokens[2]), 'count 1', 'beside another certificate');
  await revoke('subject', 'robot');
  t.equal(await blue.count('docs', tokens[2]), INVALID, 'by the subject of its source');
  await t.rejects(minted(blue, await provider.token()), { message: /the subject token is refused/ });
});

t.test('all of that was on the connections of the start', async (t) => {
  t.strictSame([red.opened(), blue.opened()], [1, 1]);
});

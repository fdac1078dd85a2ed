import t from 'tap';
import { ADMIN_TOKEN, askAdmin } from '../support/admin-gateway.ts';
import { newCa } from '../support/client-certificates.ts';
import { type CountingLines, openCounting } from '../support/counting-lines.ts';
import { signToken } from '../support/issuers/keys.ts';
import { startProvider } from '../support/issuers/provider.ts';
import { claimsIn } from '../support/minting.ts';
import { startOperated } from '../support/operated.ts';
import { nowSeconds } from '../support/tokens.ts';

/* Tenants and revocations for tokens of a real provider and for client certificates, on every lane, on connections that stay open. */

const provider = await startProvider(t.testdir());
const root = await newCa('root');
const policy = `
issuers:
  - id: corp
    issuer: ${provider.issuer}
    audiences: [qdrant]
    ca_file: ${provider.ca}
    subject: client_id
    mappings:
      - { id: docs, access: [{ collections: [docs, plain], access: rw }] }
client_certificates:
  id: mesh
  mappings:
    - { id: docs, claim: san.uri, access: [{ collections: [docs, plain], access: rw }] }
tenants:
  - { id: teams, keys: [corp], collections: [docs], field: team, from: team }
  - { id: free, keys: [corp, mesh], collections: [plain], free: true }
  - { id: workloads, keys: [mesh], collections: [docs], field: team, from: spiffe.segments.2 }
`;
const gateway = await startOperated({
  files: { 'policy.yaml': policy, 'clients.pem': root.cert },
  settings: {
    ...{ 'gateway.client_certificates.mode': 'identity', 'tls.ca_cert': 'clients.pem' },
    ...{ 'gateway.admin.port': 0, 'gateway.admin.token': ADMIN_TOKEN },
  },
});
t.teardown(() => Promise.all([provider.stop(), gateway.close()]));

const POINTS = ['search', 'search', 'shop', 'shop', 'shop', undefined].map((team, at) => ({
  id: at + 1,
  vector: [1, 0],
  payload: team === undefined ? {} : { team },
}));
const send = async (path: string, body: object): Promise<void> => {
  const headers = { 'content-type': 'application/json' };
  const { ok } = await fetch(gateway.upstream.restUrl + path, { method: 'PUT', headers, body: JSON.stringify(body) });
  if (!ok) throw new Error(`${path} is refused`);
};
for (const name of ['docs', 'plain']) {
  await send(`/collections/${name}`, { vectors: { size: 2, distance: 'Dot' } });
  await send(`/collections/${name}/points?wait=true`, { points: POINTS });
}

const lines = await openCounting(gateway);
const holder = async (...san: string[]): Promise<CountingLines & { readonly fingerprint: string }> => {
  const pair = await root.issue({ san: san.map((uri) => [6, uri] as const) });
  const fingerprint = new (await import('node:crypto')).X509Certificate(pair.cert).fingerprint256;
  return { ...(await openCounting(gateway, pair)), fingerprint: fingerprint.replaceAll(':', '').toLowerCase() };
};
const shop = await holder('spiffe://example.org/ns/shop/sa/one');
const shopToo = await holder('spiffe://example.org/ns/shop/sa/two');
const searching = await holder('spiffe://example.org/ns/search/sa/one');
const teamless = await holder('https://example.org/');
const all = [lines, shop, shopToo, searching, teamless];
t.teardown(() => {
  for (const one of all) one.close();
});

let made = 0;
/** A token of the provider's key with other claims than the provider gives. */
const tokenOf = (claims: object): string => {
  made += 1;
  const standing = { iss: provider.issuer, aud: 'qdrant', client_id: 'made', jti: `made-${made}` };
  return signToken(provider.key(), { ...standing, iat: nowSeconds(), exp: nowSeconds() + 300, ...claims });
};
const revoke = async (kind: string, value: unknown): Promise<void> => {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ kind, value });
  const { status, text } = await askAdmin(gateway.admin, '/-/revoke', {
    ...{ method: 'POST', token: ADMIN_TOKEN },
    headers,
    body,
  });
  if (status !== 200) throw new Error(text);
};
const INVALID = 'Invalid API key or JWT';

t.test('a token of the provider reaches the points of its team alone', async (t) => {
  const token = await provider.token();
  t.equal(await lines.count('docs', token), 'count 2');
  t.equal(await lines.count('plain', token), 'count 6', 'a free collection');
  t.equal(await lines.count('docs', tokenOf({ team: 'shop' })), 'count 3');
  t.equal(await lines.count('docs', tokenOf({ team: ['shop', 'search'] })), 'count 5');
  t.equal(await lines.count('docs', tokenOf({ team: 'none' })), 'count 0');
  for (const claims of [{}, { team: {} }, { team: [] }, { team: null }, { team: '' }])
    t.match(await lines.count('docs', tokenOf(claims)), /^(?!count)[^|]*$/, JSON.stringify(claims));
});

t.test('the holder of a certificate reaches the points of its team alone', async (t) => {
  t.equal(await shop.count('docs'), 'count 3');
  t.equal(await searching.count('docs'), 'count 2');
  t.equal(await searching.count('plain'), 'count 6');
  t.match(await teamless.count('docs'), /^(?!count)[^|]*$/, 'it has no such claim');
  t.equal(await teamless.count('plain'), 'count 6');
  t.equal(await shop.count('docs', await provider.token()), 'count 2', 'a token wins, with its tenant');
});

t.test('a revoked token ends on open connections, and no other does', async (t) => {
  const [first, second] = [await provider.token(), await provider.token()];
  const other = tokenOf({ team: 'shop' });
  t.equal(await lines.count('docs', first), 'count 2');
  await revoke('token', claimsIn(first).jti);
  t.equal(await lines.count('docs', first), INVALID, 'by `jti`');
  t.equal(await shop.count('docs', first), INVALID, 'a good certificate does not help it');
  t.equal(await lines.count('docs', second), 'count 2');
  await revoke('subject', 'robot');
  t.equal(await lines.count('docs', second), INVALID, 'by subject');
  t.equal(await lines.count('docs', await provider.token()), INVALID, 'and so is the next one');
  t.equal(await lines.count('docs', other), 'count 3', 'another subject');
  await revoke('key', 'corp');
  t.equal(await lines.count('docs', other), INVALID, 'by issuer');
});

t.test('a revoked certificate ends on open connections, and no other does', async (t) => {
  await revoke('token', shop.fingerprint);
  t.equal(await shop.count('docs'), 'The client certificate is revoked', 'by fingerprint');
  t.equal(await shopToo.count('docs'), 'count 3');
  await revoke('subject', 'spiffe://example.org/ns/shop/sa/two');
  t.equal(await shopToo.count('docs'), 'The client certificate is revoked', 'by subject');
  t.equal(await searching.count('docs'), 'count 2');
  await revoke('key', 'mesh');
  t.equal(await searching.count('docs'), 'The client certificate is revoked', 'by id');
});

t.test('all of that was on the connections of the start', async (t) => {
  for (const one of all) t.equal(one.opened(), 1);
});

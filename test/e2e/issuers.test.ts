import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { signToken } from '../support/issuers/keys.ts';
import { startProvider } from '../support/issuers/provider.ts';
import { startOperated } from '../support/operated.ts';
import { openLines, SERVED } from '../support/supervised.ts';

/* Tokens of a real provider over TLS with a private CA, through a gateway under its supervisor: REST and gRPC, all lanes. */

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-issuers-'));
const provider = await startProvider(folder);
const neighbour = await startProvider(folder, 'neighbour');
t.teardown(() => Promise.all([provider.stop(), neighbour.stop()]));

const issuerOf = (id: string, { issuer, ca }: typeof provider) => `
  - id: ${id}
    issuer: ${issuer}
    audiences: [qdrant]
    ca_file: ${ca}
    subject: client_id
    cool_down: 1
    mappings:
      - { id: readers, claim: groups, value: readers, access: r }
`;
const policy = `issuers:${issuerOf('corp', provider)}${issuerOf('near', neighbour)}`;
const gateway = await startOperated({
  files: { 'policy.yaml': policy },
  settings: { 'gateway.workers': 2, 'gateway.admin.port': 0 },
});
t.teardown(() => gateway.close());
const lines = openLines(gateway);
t.teardown(() => lines.close());

const page = async (path: string) => await (await fetch(`http://127.0.0.1:${gateway.admin}${path}`)).text();
const FORBIDDEN = [403, 403, 7] as const;
const REFUSED = [401, 401, 16] as const;
const now = () => Math.floor(Date.now() / 1000);

t.test('a token of client credentials is served on every lane, found by discovery', async (t) => {
  const token = await provider.token();
  t.strictSame(await lines.ask(token), SERVED);
  t.strictSame(await lines.ask(await provider.token('other')), FORBIDDEN, 'another audience');
  t.strictSame(await lines.ask(await neighbour.token()), SERVED, 'of the other provider');
});

t.test('forged tokens are refused on every lane', async (t) => {
  const claims = {
    iss: provider.issuer,
    aud: 'qdrant',
    client_id: 'x',
    groups: ['readers'],
    iat: now(),
    exp: now() + 60,
  };
  t.strictSame(await lines.ask(signToken(provider.key(), claims)), SERVED, 'the claims themselves are good');
  const asOther = { ...neighbour.key(), kid: provider.key().kid };
  t.strictSame(await lines.ask(signToken(asOther, claims)), FORBIDDEN, 'another issuer, with the same `kid`');
  t.strictSame(await lines.ask(signToken(provider.key(), claims, { alg: 'none' })), REFUSED);
  t.strictSame(await lines.ask(signToken(provider.key(), { ...claims, exp: now() - 31 })), FORBIDDEN, 'expired');
  t.strictSame(await lines.ask(signToken(provider.key(), { ...claims, nbf: now() + 90 })), FORBIDDEN, 'not valid yet');
  t.strictSame(await lines.ask(signToken(provider.key(), { ...claims, groups: ['x'] })), FORBIDDEN, 'no mapping');
});

t.test('no request is lost while the provider rotates its key', async (t) => {
  for (let round = 0; round < 3; round += 1) {
    const before = await provider.token();
    t.strictSame(await lines.ask(before), SERVED);
    provider.rotate();
    const tokens = await Promise.all(Array.from({ length: 20 }, () => provider.token()));
    // The cool-down of a second has passed by then, or it passes: a client that is refused asks again.
    let answers = await Promise.all(tokens.map((token) => lines.ask(token)));
    // The connections are in two processes, of which each has a cool-down.
    const isServed = (answer: readonly number[]) => answer.every((status, lane) => status === SERVED[lane]);
    for (let again = 0; again < 400 && !answers.every(isServed); again += 1) {
      answers = await Promise.all(tokens.map((token) => lines.ask(token)));
    }
    for (const answer of answers) t.strictSame(answer, SERVED);
    t.strictSame(await lines.ask(before), FORBIDDEN, 'a key that the set dropped is good for nothing');
  }
});

t.test('a flood of made-up keys causes no flood of fetches', async (t) => {
  const before = provider.fetches();
  const begun = now();
  const claims = { iss: provider.issuer, aud: 'qdrant', client_id: 'x', groups: ['readers'], exp: now() + 600 };
  for (let round = 0; round < 40; round += 1) {
    const forged = signToken({ ...neighbour.key(), kid: `made-up-${round}` }, claims);
    t.strictSame(await lines.ask(forged), FORBIDDEN);
  }
  const seconds = now() - begun + 1;
  t.ok(provider.fetches() - before <= seconds + 1, `${provider.fetches() - before} fetches for 160 requests`);
});

t.test('an outage of one provider stops neither its known keys, nor the other, nor keys of the file', async (t) => {
  const token = await provider.token();
  t.strictSame(await lines.ask(token), SERVED);
  const fresh = await provider.token();
  await provider.stop();
  t.strictSame(await lines.ask(token), SERVED, 'a remembered token');
  t.strictSame(await lines.ask(fresh), SERVED, 'a new one of a known key');
  t.strictSame(await lines.ask(await neighbour.token()), SERVED, 'the other provider');
  t.strictSame(await lines.ask('admin-key-0123456789'), SERVED, 'a key');
  t.match(await page('/-/ready'), /"issuer_keys":"known"/);
  await provider.start();
});

t.test('readiness, status and metrics tell the state of the fetched keys', async (t) => {
  t.match(await page('/-/ready'), /"issuer_keys":"known"/);
  t.match(await page('/metrics'), /issuer_keys_usable\{issuer="corp"\} 1\n[\s\S]*issuer_keys\{issuer="near"\} 1\n/);
});

t.test(
  'a reload without the issuer refuses its tokens, remembered ones too, and with it serves them again',
  async (t) => {
    const [token, near] = await Promise.all([provider.token(), neighbour.token()]);
    t.strictSame(await lines.ask(token), SERVED);
    gateway.write('policy.yaml', `issuers:${issuerOf('near', neighbour)}`);
    t.match(await gateway.supervisor.reload('admin'), { ok: true });
    t.strictSame(await lines.ask(token), REFUSED);
    t.strictSame(await lines.ask(near), SERVED);
    gateway.write('policy.yaml', policy);
    t.match(await gateway.supervisor.reload('admin'), { ok: true });
    t.strictSame(await lines.ask(token), SERVED, 'the request waits for the key set');
  },
);

t.test('a state whose examples are not met is not put in force', async (t) => {
  const examples = '    examples:\n      - { claims: { groups: [readers] }, access: m }\n';
  gateway.write('policy.yaml', policy + examples);
  const reload = await gateway.supervisor.reload('admin');
  t.match(reload, {
    ok: false,
    problems: [/policy\.yaml:\d+:9: the example expects `m`, and the mappings give `r` by `readers`/],
  });
  gateway.write('policy.yaml', policy);
  await gateway.supervisor.reload('admin');
});

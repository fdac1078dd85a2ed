import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { goodClaims, issuerWith, providerKey, signToken } from '../support/issuers/keys.ts';
import { startOperated } from '../support/operated.ts';
import { openLines } from '../support/supervised.ts';
import { until } from '../support/until.ts';

/* The audit log, rules and limits for tokens of an identity provider, over REST and gRPC. */

const key = providerKey('ES256', 'one');
const folder = t.testdir({ 'keys.json': JSON.stringify({ keys: [key.jwk] }) });
const { issuer } = issuerWith([key]);
const policy = `
issuers:
  - id: corp
    issuer: ${issuer}
    audiences: [qdrant]
    jwks_file: ${folder}/keys.json
    mappings:
      - { id: readers, claim: groups, value: readers, access: r }
      - { id: writers, claim: groups, value: writers, access: [{ collections: [docs], access: rw }] }
rules:
  - { id: no-lists, keys: [corp], subjects: [bob], deny_operations: [list_collections] }
limits:
  - { id: once, keys: [corp], subjects: [carol], requests: { per: day, most: 1 } }
`;
const gateway = await startOperated({
  files: { 'policy.yaml': policy },
  settings: { 'audit.enabled': true, 'audit.dir': join(folder, 'log') },
});
const lines = openLines(gateway);
t.teardown(async () => {
  lines.close();
  await gateway.close();
});

const now = Math.floor(Date.now() / 1000);
const tokenOf = (sub: string, ...groups: readonly string[]) => signToken(key, goodClaims(now, { sub, groups }));
const events = (): readonly Record<string, unknown>[] =>
  readdirSync(join(folder, 'log')).flatMap((file) =>
    readFileSync(join(folder, 'log', file), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>),
  );
const of = (subject: string) => events().filter((event) => event.subject === subject);

t.test('the audit log has issuer, subject and mappings on every lane', async (t) => {
  t.strictSame(await lines.ask(tokenOf('alice', 'readers', 'writers')), [200, 200, 0]);
  await until(() => of('alice').length === 5, 'five requests are audited');
  for (const event of of('alice')) {
    t.match(event, { auth_type: 'Jwt', key: 'corp', subject: 'alice', mappings: ['readers', 'writers'], result: 'ok' });
  }
});

t.test('a token without a mapping is audited with its issuer', async (t) => {
  t.strictSame(await lines.ask(tokenOf('dave', 'others')), [403, 403, 7]);
  const refused = () => events().filter(({ code }) => code === 'no_mapping');
  await until(() => refused().length === 5, 'five refusals are audited');
  for (const event of refused()) t.match(event, { key: 'corp', result: 'denied' });
});

t.test('rules and limits are for issuer and subject', async (t) => {
  t.strictSame(await lines.ask(tokenOf('bob', 'readers')), [403, 403, 7], 'a rule for this subject');
  const [first, second, third] = await lines.ask(tokenOf('carol', 'readers'));
  t.ok(
    [first, second, third].some((status) => status === 429 || status === 8 || status === 0),
    'one of five is served',
  );
  t.strictSame(await lines.ask(tokenOf('carol', 'readers')), [429, 429, 8], 'then none');
});

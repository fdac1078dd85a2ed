import { writeFileSync } from 'node:fs';
import t from 'tap';
import type { SourceChange } from '../../../src/explain/diff/sources.ts';
import type { AccessMatrix } from '../../../src/explain/matrix.ts';
import type { WhoCan } from '../../../src/explain/who-can.ts';
import { configured, run } from './fixture.ts';

/* Callers of identity providers and of client certificates in `who-can`, `matrix` and `policy diff`. */

const ISSUER = `
issuers:
  - id: corp
    issuer: https://login.example.com
    audiences: [qdrant]
    jwks_url: https://login.example.com/keys
    mappings:
      - { id: readers, claim: roles, value: reader, access: r }
      - { id: teams, claim: team, access: [{ collections: ['\${team}-*'], access: rw }, { collection: shared, access: r }] }
      - { id: pairs, access: [{ collections: ['\${groups[]}_docs', '\${team}_\${part}'], access: r }] }
      - { id: shops, claim: shop.id, access: [{ collections: [products], access: rw }], tenant_from: shop.id }
`;
const CERTIFICATES = `
client_certificates:
  id: workload
  mappings:
    - { id: ingest, claim: subject.O, value: ingest, access: [{ collections: ['docs-*'], access: rw }] }
    - { id: own, claim: subject.OU, access: [{ collection: '\${subject.OU}', access: r }] }
`;
const RULES = `
rules:
  - { id: kept, keys: [corp], subjects: [bob], access: r }
  - { id: search, keys: [corp], access: [{ collections: [search-*, products, shared], access: rw }] }
tenants:
  - { id: customers, keys: [corp], collections: [products], field: customer, from: tenant }
  - { id: rest, keys: [corp], collections: ['*'], free: true }
`;

/** A configuration whose listeners take client certificates in this mode. */
function withCertificates(policy: string, mode: string, more: Readonly<Record<string, string>> = {}) {
  const place = configured(policy, more);
  const config = `
service:
  api_key: an-admin-key-of-thirty-two-bytes!
  enable_tls: true
tls:
  cert: cert.pem
  key: key.pem
  ca_cert: ca.pem
gateway:
  policy_file: ${place('policy.yaml')}
  client_certificates: { mode: ${mode} }
`;
  writeFileSync(place('gateway.yaml'), config);
  return place;
}

const issuers = configured(`${ISSUER}${RULES}`);
const certificates = withCertificates(CERTIFICATES, 'identity');
const beside = withCertificates(CERTIFICATES, 'beside_key');

interface Case {
  readonly place: (name: string) => string;
  readonly args: readonly string[];
  readonly caller: string;
  readonly says: Readonly<Record<string, unknown>>;
}

const TEAMS = 'token of the issuer corp, mapping teams';
const ANY = 'subject any other, with tenant';

const CASES: readonly Case[] = [
  {
    ...{ place: issuers, args: ['count', 'shared'], caller: `token of the issuer corp, mapping readers: ${ANY}` },
    says: { verdict: 'allowed', kind: 'issued', key: 'corp', decided_by: { id: 'issuer corp, mapping readers' } },
  },
  {
    ...{ place: issuers, args: ['upsert_points', 'shared'] },
    caller: `token of the issuer corp, mapping readers: ${ANY}`,
    says: { verdict: 'denied', code: 'global_manage_required', decided_by: { id: 'issuer corp, mapping readers' } },
  },
  {
    ...{ place: issuers, args: ['upsert_points', 'search-a'], caller: `${TEAMS}: team names it, ${ANY}` },
    says: { verdict: 'allowed', decided_by: { kind: 'access', id: 'issuer corp, mapping teams' } },
  },
  {
    ...{ place: issuers, args: ['upsert_points', 'search-a'], caller: `${TEAMS}: team names another, ${ANY}` },
    says: { verdict: 'denied', code: 'collection_not_listed' },
  },
  {
    ...{ place: issuers, args: ['upsert_points', 'ads-a'], caller: `${TEAMS}: team names it, ${ANY}` },
    says: { verdict: 'denied', code: 'collection_not_listed' },
  },
  {
    ...{ place: issuers, args: ['upsert_points', 'search-a'] },
    caller: `${TEAMS}: team names it, subject bob, with tenant`,
    says: { verdict: 'denied', code: 'global_manage_required' },
  },
  {
    ...{ place: issuers, args: ['count', 'shared'], caller: `${TEAMS}: team names another, ${ANY}` },
    says: { verdict: 'allowed' },
  },
  {
    ...{ place: issuers, args: ['upsert_points', 'products'] },
    caller: 'token of the issuer corp, mapping shops: subject any other',
    says: {
      ...{ verdict: 'allowed', conditions: ['tenant: customer = "the shop.id"'] },
      decided_by: { kind: 'access', id: 'issuer corp, mapping shops', path: 'access[0]' },
    },
  },
  {
    ...{ place: issuers, args: ['upsert_points', 'products'] },
    caller: 'token of the issuer corp, mapping shops: subject bob',
    says: { verdict: 'denied', decided_by: { kind: 'rule', id: 'kept' } },
  },
  {
    ...{ place: issuers, args: ['count', 'products'] },
    caller: 'token of the issuer corp, mapping readers: subject any other, without tenant',
    says: { verdict: 'denied', code: 'tenant_value' },
  },
  {
    ...{ place: certificates, args: ['upsert_points', 'docs-a'], caller: 'certificate, mapping ingest' },
    says: {
      ...{ verdict: 'allowed', kind: 'certificate', key: 'client_certificates' },
      decided_by: { kind: 'access', id: 'client certificate, mapping ingest', path: 'access[0]' },
    },
  },
  {
    ...{ place: certificates, args: ['upsert_points', 'other'], caller: 'certificate, mapping ingest' },
    says: { verdict: 'denied', code: 'collection_not_listed' },
  },
  {
    ...{ place: certificates, args: ['count', 'other'], caller: 'certificate, mapping own: subject.OU names it' },
    says: { verdict: 'allowed' },
  },
  {
    ...{ place: certificates, args: ['count', 'other'], caller: 'certificate, mapping own: subject.OU names another' },
    says: { verdict: 'denied' },
  },
  {
    ...{ place: certificates, args: ['count', 'other'], caller: 'no credential' },
    says: { verdict: 'denied' },
  },
  {
    ...{ place: beside, args: ['upsert_points', 'docs-a'] },
    caller: 'key or token beside a certificate, mapping ingest, at most',
    says: { verdict: 'allowed' },
  },
  {
    ...{ place: beside, args: ['upsert_points', 'other'] },
    caller: 'key or token beside a certificate, mapping ingest, at most',
    says: { verdict: 'denied' },
  },
];

async function whoCan(place: Case['place'], args: readonly string[]): Promise<readonly WhoCan[]> {
  const { out } = await run('who-can', ...args, '--config', place('gateway.yaml'), '--json');
  const { callers, notes } = JSON.parse(out) as { callers: readonly WhoCan[]; notes?: unknown };
  t.equal(notes, undefined, 'no caller is left out');
  return callers;
}

t.test('verdicts on the holders of each mapping', async (t) => {
  for (const { place, args, caller, says } of CASES) {
    const found = (await whoCan(place, args)).find((one) => one.caller === caller);
    t.match(found, says, `${args.join(' ')}: ${caller}`);
  }
});

t.test('while certificates are no identities, their mappings are no callers', async (t) => {
  const callers = await whoCan(configured(CERTIFICATES), ['count', 'docs-a']);
  t.notOk(callers.some(({ kind }) => kind === 'certificate'));
});

t.test('names that claims make are classes of collections of their own', async (t) => {
  const { out } = await run('matrix', '--config', issuers('gateway.yaml'), '--json');
  const { collections, rows } = JSON.parse(out) as AccessMatrix;
  const expected = ['products', 'shared', '${team}_${part}', '${groups[]}_docs', '*', 'search-*', '${team}-*'];
  t.strictSame([...collections].sort(), expected.sort());
  const cells = rows.find(
    ({ operations }) => operations.includes('points.upsert') || operations.includes('upsert_points'),
  );
  const allowed = (caller: string) => cells?.cells.find((one) => one.caller === caller)?.allowed;
  t.strictSame(allowed(`${TEAMS}: team names it, ${ANY}`), ['search-*'], 'the rule leaves them');
  t.strictSame(allowed(`${TEAMS}: team names another, ${ANY}`), 'none');
  const free = configured(ISSUER);
  const text = await run('matrix', '--config', free('gateway.yaml'), '--caller', 'mapping teams: team names it');
  t.match(text.out, /^token of the issuer corp, mapping teams: team names it\n(?: .*\n)* {2}\$\{team\}-\*\n/);
});

interface Diff {
  readonly changes: number;
  readonly settings?: readonly SourceChange[];
  readonly groups: readonly {
    readonly kind: string;
    readonly callers: readonly string[];
    readonly operations: readonly string[];
  }[];
}

interface Changed {
  readonly name: string;
  readonly edit: (text: string) => string;
  /** Parts whose settings change. */
  readonly parts: readonly string[];
  /** `kind: caller: operation` of a verdict that changes; absent = none does. */
  readonly verdict?: readonly [kind: string, caller: string, operation: string];
  /** An operation whose verdict stays for this caller. */
  readonly kept?: string;
}

const replace = (from: string, to: string) => (text: string) => {
  if (!text.includes(from)) throw new TypeError(`the policy has no ${from}`);
  return text.replace(from, to);
};
const READERS = 'token of the issuer corp, mapping readers';

const CHANGED: readonly Changed[] = [
  { name: 'nothing', edit: (text) => text, parts: [] },
  { name: 'an audience', edit: replace('audiences: [qdrant]', 'audiences: [other]'), parts: ['changed: issuer corp'] },
  {
    name: 'the algorithms',
    edit: replace('audiences: [qdrant]', 'audiences: [qdrant]\n    algorithms: [ES256]'),
    parts: ['changed: issuer corp'],
  },
  {
    name: 'the value of a claim',
    edit: replace('value: reader', 'value: viewer'),
    parts: ['changed: issuer corp, mapping readers'],
  },
  {
    name: 'more access',
    edit: replace('value: reader, access: r', 'value: reader, access: m'),
    parts: ['changed: issuer corp, mapping readers'],
    verdict: ['gains', READERS, 'delete_collection'],
  },
  {
    name: 'a named operation alone',
    edit: replace('value: reader, access: r', 'value: reader, access: [{ operations: [get_quotas] }]'),
    parts: ['changed: issuer corp, mapping readers'],
    verdict: ['loses', READERS, 'cluster_status'],
    kept: 'get_quotas',
  },
  {
    name: 'a mapping less',
    edit: replace('      - { id: readers, claim: roles, value: reader, access: r }\n', ''),
    parts: ['removed: issuer corp, mapping readers'],
    verdict: ['loses', READERS, 'count'],
  },
  {
    name: 'another claim in a name',
    edit: replace("'${team}-*'", "'${group}-*'"),
    parts: ['changed: issuer corp, mapping teams'],
  },
  {
    name: 'less for names that a claim makes',
    edit: replace("'${team}-*'], access: rw", "'${team}-*'], access: r"),
    parts: ['changed: issuer corp, mapping teams'],
    verdict: ['loses', `${TEAMS}: team names it`, 'upsert_points'],
  },
  {
    name: 'the whole issuer',
    edit: () => 'rules: []',
    parts: [
      'removed: issuer corp',
      ...['readers', 'teams', 'pairs', 'shops'].map((id) => `removed: issuer corp, mapping ${id}`),
    ],
    verdict: ['loses', READERS, 'count'],
  },
];

t.test('a policy diff tells each change of issuers', async (t) => {
  for (const { name, edit, parts, verdict, kept } of CHANGED) {
    const place = configured(ISSUER, { 'next.yaml': edit(ISSUER) });
    const files = [place('policy.yaml'), place('next.yaml'), '--config', place('gateway.yaml')];
    const { code, out } = await run('policy', 'diff', ...files, '--json');
    const { settings: sources = [], groups, changes } = JSON.parse(out) as Diff;
    t.strictSame(
      sources.map(({ kind, part }) => `${kind}: ${part}`),
      parts,
      name,
    );
    t.equal(code, parts.length > 0 ? 4 : 0, name);
    if (!verdict) continue;
    const [kind, caller, operation] = verdict;
    t.ok(changes > 0, name);
    const own = groups.filter((one) => one.callers.includes(caller));
    t.notOk(kept !== undefined && own.some((one) => one.operations.includes(kept)), `${name}: ${kept} stays`);
    const found = groups.filter((one) => one.callers.includes(caller) && one.operations.includes(operation));
    t.ok(
      found.some((one) => one.kind === kind),
      `${name}: ${kind}`,
    );
  }
});

t.test('a policy diff tells changes of client certificates, of issuers as text and Markdown', async (t) => {
  const next = { 'next.yaml': CERTIFICATES.replace("['docs-*'], access: rw", "['docs-*'], access: r") };
  const place = withCertificates(CERTIFICATES, 'identity', next);
  const files = [place('policy.yaml'), place('next.yaml'), '--config', place('gateway.yaml')];
  const { code, out } = await run('policy', 'diff', ...files);
  t.equal(code, 4);
  t.match(
    out,
    /^changed: client certificates, mapping ingest\n {2}access +\[.*"rw".*\] -> \[.*"r".*\]\nloses: allowed -> /,
  );
  t.match(out, /\n {2}callers +certificate, mapping ingest\n {2}collections +docs-\*\n/);
  const audience = configured(ISSUER, { 'next.yaml': ISSUER.replace('[qdrant]', '[qdrant, other]') });
  const both = [audience('policy.yaml'), audience('next.yaml'), '--config', audience('gateway.yaml')];
  const text = await run('policy', 'diff', ...both);
  const told =
    'changed: issuer corp\n  audiences         ["qdrant"] -> ["qdrant","other"]\nno verdict on the asked callers changes\n';
  t.strictSame([text.code, text.out], [4, told]);
  const markdown = await run('policy', 'diff', ...both, '--format', 'markdown');
  t.match(
    markdown.out,
    /\n\| \*\*changed\*\* \| issuer corp \| audiences: `\["qdrant"\] -> \["qdrant","other"\]` \|\n$/,
  );
});

/** An event as the gateway writes it, of a write to this collection that it permitted. */
function eventLine(collection: string, mappings: readonly string[]): string {
  const who = { auth_type: 'Jwt', subject: 'alice', key: 'corp', mappings };
  const what = {
    operation: 'points.upsert',
    method: 'upsert_points',
    protocol: 'rest',
    collection,
    collections: [collection],
  };
  return JSON.stringify({
    timestamp: '2026-11-29T10:00:00.000Z',
    tracing_id: collection,
    id: 'e',
    result: 'ok',
    ...who,
    ...what,
  });
}

t.test('policy replay and explain name the mappings of past callers', async (t) => {
  const place = configured(ISSUER, {
    'next.yaml': ISSUER.replace("'${team}-*'], access: rw", "'${team}-*'], access: r").replace(
      'value: reader',
      'value: viewer',
    ),
    'audit.log': `${eventLine('ads-a', ['teams'])}\n${eventLine('products', ['shops'])}\n`,
  });
  const config = ['--config', place('gateway.yaml')];
  const { code, out } = await run('policy', 'replay', place('audit.log'), '--policy', place('next.yaml'), ...config);
  t.equal(code, 4);
  t.match(
    out,
    /^loses, perhaps: allowed -> denied \(write_required\)\n {2}caller {6}key corp, subject alice, mappings teams\n/,
  );
  t.match(out, /\n1 of 2 requests change\n1 others may change: their issuer or its mappings differ\n$/);
  const explained = await run('explain', 'ads-a', '--audit', place('audit.log'), ...config);
  t.match(explained.out, /^mappings +teams$/m);
  t.match(explained.out, /^today +allowed$/m);
});

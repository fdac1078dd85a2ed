import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { type SourceChange, sourceChanges } from '../../../src/explain/diff/sources.ts';
import type { CertificateSettings } from '../../../src/policy/mapping/certificates.ts';
import type { IssuerSettings, KeySource } from '../../../src/policy/mapping/issuer.ts';
import type { MappingSettings } from '../../../src/policy/mapping/mapper.ts';
import { runs } from '../../support/generators/runs.ts';
import { certificates as randomCertificates, issuers as randomIssuers } from '../mappings.ts';

/** The two sections of a policy. */
interface Sections {
  readonly issuers?: readonly IssuerSettings[];
  readonly clientCertificates?: CertificateSettings;
}

const READERS: MappingSettings = { id: 'readers', claim: 'roles', values: ['reader'], access: 'r' };
const TEAMS: MappingSettings = { id: 'teams', access: [{ collections: ['${team}-*'], access: 'rw' }] };
const FETCHED: KeySource = {
  ...{ from: 'url', url: 'https://login.example.com/keys', ca: undefined, bearerTokenFile: undefined },
  ...{ refreshMs: 300_000, coolDownMs: 30_000, maxStaleMs: 86_400_000 },
};
const CORP: IssuerSettings = {
  ...{ id: 'corp', issuer: 'https://login.example.com', audiences: ['qdrant'], source: FETCHED },
  ...{ algorithms: ['RS256'], types: ['JWT'], maxLifetime: undefined, clockSkew: 30, subject: 'sub' },
  ...{ mappings: [READERS, TEAMS], examples: [] },
};
const HOLDERS: CertificateSettings = { id: 'workload', mappings: [READERS] };

const both = (issuer: Partial<IssuerSettings>): Sections => ({ issuers: [{ ...CORP, ...issuer }] });
const mapped = (...mappings: readonly MappingSettings[]): Sections => both({ mappings });

interface Case {
  readonly name: string;
  readonly from: Sections;
  readonly to: Sections;
  readonly told: readonly SourceChange[];
}

const ofIssuer = (setting: string, from?: string, to?: string): readonly SourceChange[] => [
  {
    ...{ kind: 'changed', part: 'issuer corp' },
    settings: [{ setting, ...(from !== undefined && { from }), ...(to !== undefined && { to }) }],
  },
];
const ofMapping = (id: string, setting: string, from?: string, to?: string): readonly SourceChange[] => [
  {
    ...{ kind: 'changed', part: `issuer corp, mapping ${id}` },
    settings: [{ setting, ...(from !== undefined && { from }), ...(to !== undefined && { to }) }],
  },
];

const CASES: readonly Case[] = [
  { name: 'nothing differs', from: both({}), to: both({}), told: [] },
  {
    name: 'another audience',
    from: both({}),
    to: both({ audiences: ['qdrant', 'other'] }),
    told: ofIssuer('audiences', '["qdrant"]', '["qdrant","other"]'),
  },
  {
    name: 'another algorithm',
    from: both({}),
    to: both({ algorithms: ['ES256'] }),
    told: ofIssuer('algorithms', '["RS256"]', '["ES256"]'),
  },
  {
    name: 'a lifetime',
    from: both({}),
    to: both({ maxLifetime: 60 }),
    told: ofIssuer('max_lifetime', undefined, '60'),
  },
  { name: 'another subject', from: both({}), to: both({ subject: 'oid' }), told: ofIssuer('subject', 'sub', 'oid') },
  {
    name: 'another time between fetches',
    from: both({}),
    to: both({ source: { ...FETCHED, refreshMs: 60_000 } }),
    told: ofIssuer('refresh', '300 s', '60 s'),
  },
  {
    name: 'another CA is told by its digest',
    from: both({ source: { ...FETCHED, ca: 'one' } }),
    to: both({ source: { ...FETCHED, ca: 'other' } }),
    told: ofIssuer('ca_file', 'sha256 7692c3ad3540', 'sha256 d9298a10d1b0'),
  },
  {
    name: 'the value of a mapping',
    from: mapped(READERS),
    to: mapped({ ...READERS, values: ['viewer'] }),
    told: ofMapping('readers', 'values', '["reader"]', '["viewer"]'),
  },
  {
    name: 'the claim in a name',
    from: mapped(TEAMS),
    to: mapped({ ...TEAMS, access: [{ collections: ['${group}-*'], access: 'rw' }] }),
    told: ofMapping(
      'teams',
      'access',
      '[{"collections":["${team}-*"],"access":"rw"}]',
      '[{"collections":["${group}-*"],"access":"rw"}]',
    ),
  },
  {
    name: 'the claim of the tenant',
    from: mapped(TEAMS),
    to: mapped({ ...TEAMS, tenant_from: 'shop' }),
    told: ofMapping('teams', 'tenant_from', undefined, 'shop'),
  },
  {
    name: 'mappings in another order',
    from: mapped(READERS, TEAMS),
    to: mapped(TEAMS, READERS),
    told: ofIssuer('order of mappings', 'readers, teams', 'teams, readers'),
  },
  {
    name: 'a mapping less',
    from: mapped(READERS, TEAMS),
    to: mapped(TEAMS),
    told: [
      {
        ...{ kind: 'removed', part: 'issuer corp, mapping readers' },
        settings: [
          { setting: 'id', from: 'readers' },
          { setting: 'claim', from: 'roles' },
          { setting: 'values', from: '["reader"]' },
          { setting: 'access', from: 'r' },
        ],
      },
    ],
  },
  {
    name: 'another name of the holders of certificates',
    from: { clientCertificates: HOLDERS },
    to: { clientCertificates: { ...HOLDERS, id: 'pod' } },
    told: [
      { kind: 'changed', part: 'client certificates', settings: [{ setting: 'id', from: 'workload', to: 'pod' }] },
    ],
  },
  {
    name: 'examples give nothing',
    from: both({}),
    to: both({ examples: [{ place: 'policy.yaml:9', claims: '{}', access: 'r', refused: undefined }] }),
    told: [],
  },
];

t.test('each changed setting of issuers and client certificates is told', async (t) => {
  for (const { name, from, to, told } of CASES) {
    t.strictSame(sourceChanges(from, to), told, name);
  }
  const replaced = sourceChanges(both({}), both({ source: { from: 'file', keys: [] } }));
  const names = replaced.flatMap(({ settings }) => settings.map(({ setting }) => setting));
  t.strictSame(names, ['source of the keys', 'URL of the keys', 'refresh', 'cool_down', 'max_stale', 'keys']);
});

/** What a policy says of its sources, compared as a whole: mappings as sets but for the order of those that stay. */
function isSame(one: Sections, other: Sections): boolean {
  return isDeepStrictEqual(comparable(one), comparable(other));
}

function comparable({ issuers = [], clientCertificates }: Sections): unknown {
  const all = [...issuers].sort((left, right) => (left.id < right.id ? -1 : 1));
  return JSON.parse(
    JSON.stringify([all, clientCertificates ?? null], (key, value: unknown) =>
      key === 'examples' ? undefined : value,
    ),
  );
}

t.test('no difference of two random sections is missed, and none is invented', (t) => {
  const sections = fc.record({
    issuers: randomIssuers,
    clientCertificates: fc.option(randomCertificates, { nil: undefined }),
  }) as fc.Arbitrary<Sections>;
  const seen = { same: 0, different: 0 };
  fc.assert(
    fc.property(sections, sections, fc.boolean(), (one, two, again) => {
      const other = again ? structuredClone(one) : two;
      const same = isSame(one, other);
      seen[same ? 'same' : 'different'] += 1;
      return (sourceChanges(one, other).length === 0) === same;
    }),
    { numRuns: runs(300) },
  );
  t.ok(seen.same > 0 && seen.different > 0);
  t.end();
});

t.test('one changed setting of random sections is told, and the part that has it', (t) => {
  fc.assert(
    fc.property(randomIssuers, fc.nat(), fc.nat(), (all, which, what) => {
      const issuer = all[which % Math.max(1, all.length)];
      if (!issuer) return true;
      const parts: readonly (readonly [string, Partial<IssuerSettings>])[] = [
        ['audiences', { audiences: [...issuer.audiences, 'another'] }],
        ['clock_skew', { clockSkew: issuer.clockSkew + 1 }],
        ['subject', { subject: `${issuer.subject}x` }],
        ['issuer', { issuer: `${issuer.issuer}/x` }],
        ['types', { types: [...issuer.types, 'x+jwt'] }],
      ];
      const [setting, own] = parts[what % parts.length] ?? ['', {}];
      const next = all.map((one) => (one === issuer ? { ...one, ...own } : one));
      const found = sourceChanges({ issuers: all }, { issuers: next });
      return isDeepStrictEqual(
        found.map(({ part, settings }) => [part, ...settings.map((one) => one.setting)]),
        [[`issuer ${issuer.id}`, setting]],
      );
    }),
    { numRuns: runs(100) },
  );
  t.pass('each is told');
  t.end();
});

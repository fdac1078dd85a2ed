import fc from 'fast-check';
import t from 'tap';
import type { RingKeys } from '../../src/identity/key-ring.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { type Access, lists } from '../../src/policy/access.ts';
import { type Decision, decide, settle } from '../../src/policy/decide.ts';
import type { Operation, Target } from '../../src/policy/operation.ts';
import { decideWithin } from '../../src/policy/rules.ts';
import { type AccessEntry, type AccessSettings, policyOf, type RuleSettings } from '../../src/policy/settings.ts';
import { type TenantSettings, tenantsOf } from '../../src/policy/tenants/settings.ts';
import { decideWithinTenancy } from '../../src/policy/tenants/within.ts';
import { KEYS } from '../support/gateway.ts';
import { runs } from '../support/generators/runs.ts';
import { openMint } from '../support/minting.ts';
import { namedKey } from '../support/named-keys.ts';
import { makeToken } from '../support/tokens.ts';

/** A minted token permits nothing that its source does not permit at the same moment, whatever changes between. */

const TEXT = 'qgw_team_secret';
const NAMES = ['docs', 'docs-1', 'docs*', 'other', '__proto__'];
const name = fc.constantFrom(...NAMES);
const pattern = fc.constantFrom(...NAMES, 'd*', '*');
const mode = fc.constantFrom('r' as const, 'rw' as const, 'prw' as const);
const operation = fc.constantFrom('points.query', 'points.count', 'upsert_points', 'search', 'read', 'ingest');
const few = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 1, maxLength: 3 });
const maybe = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined });

const asToken = fc.uniqueArray(fc.record({ collection: name, access: mode }), {
  maxLength: 4,
  selector: ({ collection }) => collection,
});
const entry: fc.Arbitrary<AccessEntry> = fc.oneof(
  fc.record({ collection: name, access: mode }),
  fc.record({ collections: few(pattern), access: mode, operations: maybe(few(operation)) }),
  fc.record({ collections: few(pattern), operations: few(operation) }),
  fc.record({
    collections: few(pattern),
    access: mode,
    manage: few(fc.constantFrom('create' as const, 'update' as const, 'delete' as const, 'aliases' as const)),
  }),
);
const access: fc.Arbitrary<AccessSettings> = fc.oneof(fc.constantFrom('r' as const, 'm' as const), asToken, few(entry));
const callers = {
  keys: maybe(few(fc.constantFrom('team', 'api_key'))),
  subjects: maybe(few(fc.constantFrom('ada', ''))),
};
const rule: fc.Arbitrary<Omit<RuleSettings, 'id'>> = fc.record({
  mode: fc.constantFrom('enforce' as const, 'shadow' as const),
  ...callers,
  access: maybe(access),
  operations: maybe(few(operation)),
  deny_operations: maybe(few(operation)),
});
const tenant: fc.Arbitrary<Omit<TenantSettings, 'id'>> = fc.oneof(
  fc.record({ ...callers, collections: few(pattern), field: fc.constant('org'), from: fc.constantFrom('org', 'sub') }),
  fc.record({ ...callers, collections: few(pattern), field: fc.constant('org'), value: fc.constantFrom('a', 'b') }),
  fc.record({ ...callers, collections: few(pattern), free: fc.constant(true as const) }),
);
const numbered = <T extends object>(all: readonly T[]) => all.map((one, at) => ({ id: `n${at}`, ...one }));

interface Around {
  readonly key: AccessSettings;
  readonly rules: readonly Omit<RuleSettings, 'id'>[];
  readonly tenants: readonly Omit<TenantSettings, 'id'>[];
}
const around: fc.Arbitrary<Around> = fc.record({
  key: access,
  rules: fc.array(rule, { maxLength: 2 }),
  tenants: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(tenant, { maxLength: 2 })),
});
const claims = fc.record({
  access: fc.oneof(fc.constantFrom('r', 'm'), asToken),
  subject: maybe(fc.constantFrom('ada', 'bob')),
  org: maybe(fc.constantFrom<unknown>('a', ['a', 'b'], 7, {})),
  sub: maybe(fc.constant('ada')),
});
const scope = maybe(
  fc.oneof(
    fc.constantFrom('r', 'm'),
    fc
      .uniqueArray(fc.tuple(name, mode), { minLength: 1, maxLength: 2, selector: ([one]) => one })
      .map((pairs) => pairs.map(([one, given]) => `${one.replace('*', '%2A')}=${given}`).join(' ')),
  ),
);

function keysOf({ key, rules, tenants }: Around): RingKeys {
  return {
    namedKeys: [namedKey('team', TEXT, { access: key })],
    rules: policyOf('enforce', numbered(rules)).rules,
    tenants: tenantsOf(numbered(tenants)),
    exchangedKeys: ['api_key'],
  };
}

const ROWS: readonly Operation[] = [...REST_OPERATIONS, ...GRPC_OPERATIONS].filter(
  ({ requires }) => requires.scope !== 'public',
);
const BODIES = [[], ['docs'], ['other', 'docs-1']];

/** All verdicts of a principal on one operation: with each target, and each body where that decides. */
function* verdictsOf(principal: Principal, row: Operation): Generator<readonly [string, Decision]> {
  const targets: Target[] = [{ kind: 'none' }, ...NAMES.map((one): Target => ({ kind: 'collection', name: one }))];
  for (const target of targets) {
    const { access: own, bounds, tenancy } = principal;
    const first = bounds ? decideWithin(own, bounds, row, target) : decide(own, row, target);
    const within = tenancy ? decideWithinTenancy({ tenancy, access: own }, first, target) : first;
    const at = `${row.name} on ${target.kind === 'collection' ? target.name : 'none'}`;
    if (within.kind !== 'conditional') yield [at, within];
    else if (within.sure) yield [at, within.sure];
    else for (const others of BODIES) yield [`${at} with ${others}`, settle(within, { others, existing: NAMES })];
  }
}

const sees = (decision: Decision, one: string): boolean => {
  const visible: Access | undefined = decision.kind === 'permit' ? decision.visible : undefined;
  return visible === undefined || lists(visible, one);
};

const isOf = (withBody: string, without: string): boolean => withBody.startsWith(`${without} with `);

/** The first thing that the child may and its source may not; `undefined` = nothing. */
function wider(child: Principal, source: Principal, rows: readonly Operation[], permits: { count: number }) {
  if (!sameTenants(child, source)) return 'other tenants';
  if (child.bounds !== source.bounds && JSON.stringify(child.bounds) !== JSON.stringify(source.bounds))
    return 'other rules';
  for (const row of rows) {
    const own = [...verdictsOf(child, row)];
    const theirs = new Map(verdictsOf(source, row));
    for (const [at, verdict] of own) {
      if (verdict.kind === 'denial') continue;
      permits.count += 1;
      // Each verdict of the source that is about the same request: one without a body counts for every body.
      const others = [...theirs].filter(([one]) => one === at || isOf(one, at) || isOf(at, one));
      if (others.length === 0) return `${at}: not compared`;
      for (const [, other] of others) {
        if (other.kind === 'denial') return at;
        if (NAMES.some((one) => sees(verdict, one) && !sees(other, one))) return `${at}: shows more`;
      }
    }
  }
  return undefined;
}

/** The same conditions; a claim that the policy asks for only now is missing in a token that was minted before, which refuses. */
function sameTenants(child: Principal, source: Principal): boolean {
  const [own = [], theirs = []] = [child.tenancy?.scopes, source.tenancy?.scopes];
  return (
    own.length === theirs.length &&
    own.every((one, at) => one.holds === 'missing' || JSON.stringify(one, exact) === JSON.stringify(theirs[at], exact))
  );
}

function exact(_: string, value: unknown): unknown {
  if (value instanceof Set) return [...value];
  return typeof value === 'bigint' ? `${value}n` : value;
}

t.test('whatever access, rules and tenants are when it is minted and afterwards', async (t) => {
  const permits = { count: 0 };
  let minted = 0;
  const property = fc.asyncProperty(
    fc.constantFrom('named key', 'token', 'admin key'),
    claims,
    scope,
    fc.tuple(around, around),
    fc.nat(ROWS.length),
    async (kind, claimed, asked, [before, after], from) => {
      const credential = kind === 'token' ? makeToken(claimed) : kind === 'admin key' ? KEYS.admin : TEXT;
      const mint = openMint(keysOf(before));
      const { token } = await mint.exchange(credential, { scope: asked });
      if (token === '') return;
      minted += 1;
      const rows = [...ROWS, ...ROWS].slice(from, from + 40);
      for (const keys of [before, after, before]) {
        mint.replace(keysOf(keys));
        const [child, source] = [await mint.who(token), await mint.who(credential)];
        if (child.kind === 'denial') continue;
        if (source.kind === 'denial') throw new Error(`the source is refused: ${source.code}`);
        const found = wider(child, source, rows, permits);
        if (found !== undefined) throw new Error(found);
      }
    },
  );
  await fc.assert(property, { numRuns: runs(600) });
  t.ok(minted > 10, `${minted} tokens`);
  t.ok(permits.count > 1000, `${permits.count} permits`);
});

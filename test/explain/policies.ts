import fc from 'fast-check';
import type { PolicySettings } from '../../src/config/policy/file.ts';
import type { LimitSettings } from '../../src/policy/limits/limits.ts';
import type { NamedKeySettings } from '../../src/policy/named-key.ts';
import type { AccessEntry, AccessSettings, GuardSettings, RuleSettings } from '../../src/policy/settings.ts';
import type { TenantSettings } from '../../src/policy/tenants/settings.ts';
import { NO_TOKEN_RULES } from '../../src/policy/token-rules.ts';

/* Random policies over few names and prefixes, so that entries meet. */

/** Names and patterns of random policies: prefixes of each other, and names below them. */
export const NAMES = ['a', 'ab', 'abc', 'b', 'ab*', 'abc*', 'b*', '*', 'other*'] as const;

const names = fc.subarray([...NAMES], { minLength: 1, maxLength: 3 });
const mode = fc.constantFrom('enforce' as const, 'enforce' as const, 'shadow' as const);
const operations = fc.subarray(
  ['read', 'search', 'ingest', 'upsert_points', 'points.query', 'qdrant.Points/Count', 'delete_points'],
  {
    minLength: 1,
    maxLength: 3,
  },
);
const subjects = fc.option(fc.constantFrom(['s'], ['s', 't'], ['']), { nil: undefined });
const keys = fc.option(fc.constantFrom(['api_key'], ['read_only_api_key', 'k000'], ['k001']), { nil: undefined });
const callers = fc.record({ keys, subjects }).map(withoutUnset);

const entry: fc.Arbitrary<AccessEntry> = fc
  .record({
    collections: names,
    access: fc.constantFrom('r' as const, 'rw' as const, 'prw' as const),
    operations: fc.option(operations, { nil: undefined, freq: 2 }),
    manage: fc.option(fc.subarray(['create', 'update', 'delete', 'aliases'] as const), { nil: undefined, freq: 2 }),
    max_collections: fc.option(fc.constantFrom(3, 4), { nil: undefined, freq: 4 }),
  })
  .map((one) => (one.max_collections === undefined ? one : { ...one, manage: ['create' as const] }))
  .map(withoutUnset);

const listed = fc.uniqueArray(
  fc.record({ collection: fc.constantFrom('a', 'ab', 'b'), access: fc.constantFrom('r' as const, 'rw' as const) }),
  {
    selector: ({ collection }) => collection,
  },
);
const access: fc.Arbitrary<AccessSettings> = fc.oneof(
  fc.constantFrom('r' as const, 'm' as const),
  fc.array(entry, { minLength: 1, maxLength: 3 }),
  listed,
);

const rule = fc
  .record({
    mode,
    callers,
    access: fc.option(access, { nil: undefined, freq: 4 }),
    operations: fc.option(operations, { nil: undefined, freq: 2 }),
    deny_operations: fc.option(operations, { nil: undefined, freq: 2 }),
    ready: fc.option(fc.constant('no-snapshots' as const), { nil: undefined, freq: 1 }),
  })
  .map(({ callers: who, ...one }) => withoutUnset({ ...who, ...one }));

const guard = fc
  .record({
    mode,
    protected: fc.option(names, { nil: undefined }),
    freeze: fc.option(fc.oneof(names, fc.constant(true)), { nil: undefined, freq: 1 }),
    bounds: fc.option(
      fc
        .record({ callers, collections: fc.option(names, { nil: undefined }), max_query_limit: fc.constantFrom(5, 6) })
        .map(({ callers: who, ...one }) => withoutUnset({ ...who, ...one })),
      { nil: undefined, freq: 1 },
    ),
  })
  .map(withoutUnset);

const limit = fc
  .record({
    mode,
    callers,
    carried: fc.option(fc.constant(true), { nil: undefined, freq: 1 }),
    collections: fc.option(names, { nil: undefined }),
    operations: fc.option(operations, { nil: undefined }),
    each: fc.constantFrom('principal' as const, 'all' as const),
    requests: fc.record({ per: fc.constant('minute' as const), most: fc.constantFrom(10, 20) }),
  })
  .map(({ callers: who, ...one }) => withoutUnset({ ...who, ...one }));

const tenant = fc
  .record({
    callers,
    credentials: fc.option(fc.constantFrom('tokens' as const, 'keys' as const), { nil: undefined, freq: 1 }),
    collections: names,
    holds: fc.constantFrom(
      { field: 'g', value: 'x' },
      { field: 'g', from: 'tenant' },
      { field: 'g', from: 'org', read_only_fields: ['price'] },
      { free: true as const },
      { field: 'h', value: 1, hide_field: true },
    ),
  })
  .map(({ callers: who, holds, ...one }) => withoutUnset({ ...who, ...one, ...holds }));

/** Requirements on tokens; half of all policies have none. */
const tokenRules = fc.oneof(
  fc.constant(NO_TOKEN_RULES),
  fc.record({
    ...{ patterns: fc.boolean(), requireExp: fc.boolean(), requireAccess: fc.boolean(), refuseManage: fc.boolean() },
    maxLifetime: fc.constantFrom(undefined, 60, 600),
    minSecretBytes: fc.constantFrom(0, 64),
  }),
);

/** Some named keys, the same under every policy but for their access. */
const namedKeys = fc.array(access, { maxLength: 2 }).map((all) =>
  all.map(
    (own, at): NamedKeySettings => ({
      ...{ id: `k00${at}`, name: `key ${at}`, owner: undefined, postfix: undefined, access: own },
      hash: { kind: 'sha256', digest: `${at}`.repeat(64) },
      ...{
        previous: undefined,
        expiresAt: undefined,
        notBefore: undefined,
        disabled: at === 1 && own === 'r',
        networks: undefined,
      },
    }),
  ),
);

/** A random policy, with named keys. */
export const policies: fc.Arbitrary<Partial<PolicySettings>> = fc.record({
  rules: fc.array(rule, { maxLength: 3 }).map((all) => withIds<RuleSettings>('r', all)),
  guards: fc.array(guard, { maxLength: 2 }).map((all) => withIds<GuardSettings>('g', all)),
  limits: fc.array(limit, { maxLength: 2 }).map((all) => withIds<LimitSettings>('l', all)),
  tenants: fc.array(tenant, { maxLength: 1 }).map((all) => withIds<TenantSettings>('t', all)),
  namedKeys,
  tokenRules,
});

function withIds<T extends object>(prefix: string, all: readonly object[]): T[] {
  return all.map((one, at) => ({ id: `${prefix}${at}`, ...one }) as unknown as T);
}

function withoutUnset<T extends object>(one: T): T {
  return Object.fromEntries(Object.entries(one).filter(([, value]) => value !== undefined)) as T;
}

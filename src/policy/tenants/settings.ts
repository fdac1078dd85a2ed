import { type Caller, type Callers, isFor } from '../callers.ts';
import { type CollectionNames, collectionNames } from '../names/collection-names.ts';
import { fieldOf, type PayloadField } from './payload-path.ts';
import { type ShardKey, shardKeyOf, type TenantShard } from './shard.ts';
import type { Tenancy, TenantScope, TenantValue } from './tenancy.ts';

/** A value in a file: text, a whole number up to 2^53 - 1 in size, or a boolean. */
export type TenantScalar = string | number | boolean;

/** An entry of `tenants` in the policy file: plain data that can be written to a file and sent to another process. */
export interface TenantSettings {
  readonly id: string;
  readonly keys?: readonly string[] | undefined;
  readonly subjects?: readonly string[] | undefined;
  readonly credentials?: 'tokens' | 'keys' | undefined;
  readonly collections: readonly string[];
  /** Unset = `free`. */
  readonly field?: string | undefined;
  readonly value?: TenantScalar | undefined;
  readonly values?: readonly TenantScalar[] | undefined;
  readonly from?: string | undefined;
  readonly hide_field?: boolean | undefined;
  readonly hidden_fields?: readonly string[] | undefined;
  readonly read_only_fields?: readonly string[] | undefined;
  readonly shared_statistics?: boolean | undefined;
  readonly shard_key?: boolean | undefined;
  readonly shard_key_fallback?: string | number | undefined;
  readonly free?: true | undefined;
}

/** An entry, ready to be applied. */
interface TenantEntry extends Callers, CollectionNames {
  readonly credentials: 'tokens' | 'keys' | undefined;
  readonly holds: EntryCondition | 'free';
}

interface EntryCondition {
  readonly id: string;
  readonly field: PayloadField;
  readonly hides: boolean;
  readonly sharedStatistics: boolean;
  readonly hiddenFields: readonly PayloadField[] | undefined;
  readonly readOnlyFields: readonly PayloadField[] | undefined;
  /** True = the value is the shard key, too. */
  readonly sharded: boolean;
  readonly fallback: ShardKey | undefined;
  /** The values, or the name of the claim that has them. */
  readonly source: readonly TenantValue[] | { readonly claim: string };
}

/** All entries of a policy. */
export interface Tenants {
  readonly entries: readonly TenantEntry[];
  /** The claims that entries take values from. */
  readonly claims: ReadonlySet<string>;
}

/** A caller, as far as entries ask. */
export interface TenantCaller extends Caller {
  readonly credential: 'tokens' | 'keys';
  /** The values of the claim of this name in a token, or those of a named key whatever the name; `undefined` = none. */
  readonly valuesFrom: (claim: string) => readonly TenantValue[] | undefined;
}

/** Builds the entries. `undefined` = there are none. Throws RangeError for a field that is no path of plain keys. */
export function tenantsOf(settings: readonly TenantSettings[] = []): Tenants | undefined {
  if (settings.length === 0) return undefined;
  const claims = new Set(settings.flatMap(({ from }) => from ?? []));
  return Object.freeze({ entries: Object.freeze(settings.map(entryOf)), claims });
}

function entryOf(settings: TenantSettings): TenantEntry {
  const { keys, subjects, credentials, collections } = settings;
  return Object.freeze({
    keys: keys && new Set(keys),
    subjects: subjects && new Set(subjects),
    credentials,
    ...collectionNames(collections),
    holds: settings.free ? 'free' : conditionOf(settings),
  });
}

function conditionOf({ id, field, value, values, from, ...more }: TenantSettings): EntryCondition {
  const path = fieldOf(field ?? '');
  if (!path) throw new RangeError(`the tenant \`${id}\` has no field`);
  const own = value === undefined ? (values ?? []) : [value];
  if (from === undefined && own.length === 0) throw new RangeError(`the tenant \`${id}\` has no value`);
  const fallback = more.shard_key_fallback;
  return Object.freeze({
    ...{ id, field: path, hides: more.hide_field === true, sharedStatistics: more.shared_statistics === true },
    ...{ hiddenFields: fieldsOf(id, more.hidden_fields), readOnlyFields: fieldsOf(id, more.read_only_fields) },
    ...{ sharded: more.shard_key === true, fallback: typeof fallback === 'number' ? BigInt(fallback) : fallback },
    source: from === undefined ? valuesOf(own) : { claim: from },
  });
}

function fieldsOf(id: string, paths: readonly string[] | undefined): readonly PayloadField[] | undefined {
  return paths?.map((path) => {
    const field = fieldOf(path);
    if (!field) throw new RangeError(`the tenant \`${id}\` has a field that is no path`);
    return field;
  });
}

/** The exact values: a number is an integer. */
export function valuesOf(scalars: readonly TenantScalar[]): readonly TenantValue[] {
  return Object.freeze(scalars.map((scalar) => (typeof scalar === 'number' ? BigInt(scalar) : scalar)));
}

/** The tenancy of a caller; `undefined` = no entry is for it. */
export function tenancyOf(tenants: Tenants | undefined, caller: TenantCaller): Tenancy | undefined {
  if (tenants === undefined) return undefined;
  const matching = tenants.entries.filter(
    (entry) => (!entry.credentials || entry.credentials === caller.credential) && isFor(entry, caller),
  );
  if (matching.length === 0) return undefined;
  return Object.freeze({ scopes: Object.freeze(matching.map((entry) => scopeOf(entry, caller))) });
}

function scopeOf({ names, prefixes, holds }: TenantEntry, { valuesFrom }: TenantCaller): TenantScope {
  if (holds === 'free') return Object.freeze({ names, prefixes, holds });
  const { id, field, hides, sharedStatistics, hiddenFields, readOnlyFields, source } = holds;
  const values = 'claim' in source ? valuesFrom(source.claim) : source;
  // INVARIANT: without a value nothing is allowed.
  if (values === undefined || values.length === 0) return Object.freeze({ names, prefixes, holds: 'missing' });
  const shard = holds.sharded ? shardWith(values, holds.fallback) : undefined;
  // INVARIANT: nor without the shard key that the entry forces.
  if (holds.sharded && shard === undefined) return Object.freeze({ names, prefixes, holds: 'missing' });
  const condition = Object.freeze({
    ...{ id, field, values, hides, sharedStatistics },
    ...(hiddenFields && { hiddenFields }),
    ...(readOnlyFields && { readOnlyFields }),
    ...(shard && { shard }),
  });
  return Object.freeze({ names, prefixes, holds: condition });
}

function shardWith(values: readonly TenantValue[], fallback: ShardKey | undefined): TenantShard | undefined {
  const key = shardKeyOf(values);
  return key === undefined ? undefined : Object.freeze({ key, fallback });
}

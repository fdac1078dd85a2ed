import { type Caller, type Callers, isFor } from '../callers.ts';
import { type CollectionNames, collectionNames } from '../names/collection-names.ts';
import { fieldOf, type PayloadField } from './payload-path.ts';
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
  readonly shared_statistics?: boolean | undefined;
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
  return Object.freeze({
    ...{ id, field: path, hides: more.hide_field === true, sharedStatistics: more.shared_statistics === true },
    source: from === undefined ? valuesOf(own) : { claim: from },
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
  const { id, field, hides, sharedStatistics, source } = holds;
  const values = 'claim' in source ? valuesFrom(source.claim) : source;
  // INVARIANT: without a value nothing is allowed.
  if (values === undefined || values.length === 0) return Object.freeze({ names, prefixes, holds: 'missing' });
  const condition = Object.freeze({ id, field, values, hides, sharedStatistics });
  return Object.freeze({ names, prefixes, holds: condition });
}

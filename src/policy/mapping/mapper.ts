import { type Access, GLOBAL_MANAGE, GLOBAL_READ } from '../access.ts';
import { claimMissing, claimUnfit, type Denial, MAPPINGS_CONFLICT, NO_MAPPING } from '../denial.ts';
import { type AccessEntry, type AccessSettings, accessOf } from '../settings.ts';
import { type TenantScalar, valuesOf } from '../tenants/settings.ts';
import type { TenantValue } from '../tenants/tenancy.ts';
import { type ClaimPath, type Claims, claimAt, claimPath, comparedValues, tenantValuesIn } from './claims.ts';
import { fillTemplate, type NameTemplate, readTemplate } from './name-template.ts';

/** A mapping of the policy file: plain data that can be written to a file and sent to another process. */
export interface MappingSettings {
  readonly id: string;
  /** Path of a claim; unset = the mapping is for every credential of its issuer. Without `values` the claim must not be `false`, 0 or empty. */
  readonly claim?: string | undefined;
  /** The claim equals one of these, or is a list that holds one; the type counts. */
  readonly values?: readonly TenantScalar[] | undefined;
  /** As of a named key; names of collections may hold claims, see `name-template.ts`. */
  readonly access: AccessSettings;
  /** The tenant, as of a named key. */
  readonly tenant?: readonly TenantScalar[] | undefined;
  /** Path of the claim with the tenant or a list of them. */
  readonly tenant_from?: string | undefined;
}

/** The access that the claims give. */
export interface Mapped {
  readonly kind: 'mapped';
  /** All that the mappings give together, before rules. */
  readonly access: Access;
  /** Ids of the mappings that matched, in the order of the file. At least one. */
  readonly mappings: readonly string[];
  /** Values for entries of `tenants` with `from`; `undefined` = no mapping names a tenant, so the claim of that name counts. */
  readonly tenant: readonly TenantValue[] | undefined;
}

/** Maps verified claims to an access, or to the refusal of their holder. Pure. */
export interface Mapper {
  readonly map: (claims: Claims) => Mapped | Denial;
}

/** A mapping, ready to be applied. */
interface Mapping {
  readonly settings: MappingSettings;
  readonly path: ClaimPath | undefined;
  /** `undefined` = any value but `false`, 0 and an empty text. */
  readonly values: ReadonlySet<TenantValue> | undefined;
  readonly tenantPath: ClaimPath | undefined;
  readonly entries: readonly TemplateEntry[] | 'r' | 'm';
}

/** An entry of an access whose names are templates. */
interface TemplateEntry {
  readonly entry: AccessEntry;
  readonly collection: NameTemplate | undefined;
  readonly collections: readonly NameTemplate[] | undefined;
}

/** Builds the mapper of these mappings. Throws RangeError for a path or a name that cannot be read; `check-config` reports it before. */
export function createMapper(settings: readonly MappingSettings[]): Mapper {
  const mappings = settings.map(mappingOf);
  return Object.freeze({ map: (claims: Claims) => mapClaims(mappings, claims) });
}

function mappingOf(settings: MappingSettings): Mapping {
  const { claim, values, access, tenant_from: tenantFrom } = settings;
  return Object.freeze({
    settings,
    path: claim === undefined ? undefined : pathOf(claim),
    values: values && new Set(valuesOf(values)),
    tenantPath: tenantFrom === undefined ? undefined : pathOf(tenantFrom),
    entries: typeof access === 'string' ? access : access.map(templateEntryOf),
  });
}

function pathOf(text: string): ClaimPath {
  const path = claimPath(text);
  if (!path) throw new RangeError(`\`${text}\` is no path of a claim`);
  return path;
}

function templateEntryOf(entry: AccessEntry): TemplateEntry {
  const { collection, collections } = entry;
  return {
    entry,
    collection: collection === undefined ? undefined : templateOf(collection),
    collections: collections?.map(templateOf),
  };
}

function templateOf(name: string): NameTemplate {
  const template = readTemplate(name);
  if (typeof template === 'string') throw new RangeError(template);
  return template;
}

function mapClaims(mappings: readonly Mapping[], claims: Claims): Mapped | Denial {
  const granted: AccessSettings[] = [];
  const ids: string[] = [];
  const tenants: (readonly TenantValue[] | undefined)[] = [];
  for (const mapping of mappings) {
    const matched = matches(mapping, claims);
    if (typeof matched !== 'boolean') return matched;
    if (!matched) continue;
    const access = accessFrom(mapping, claims);
    if (isDenial(access)) return access;
    const tenant = tenantFrom(mapping, claims);
    if (isDenial(tenant)) return tenant;
    granted.push(access);
    ids.push(mapping.settings.id);
    tenants.push(tenant);
  }
  if (granted.length === 0) return NO_MAPPING;
  // INVARIANT: the tenant is one for the whole access, so an access of one tenant never meets the points of another.
  const [tenant] = tenants;
  if (!tenants.every((other) => sameValues(tenant, other))) return MAPPINGS_CONFLICT;
  return Object.freeze({ kind: 'mapped', access: unite(granted), mappings: Object.freeze(ids), tenant });
}

function isDenial(value: AccessSettings | readonly TenantValue[] | Denial | undefined): value is Denial {
  return typeof value === 'object' && 'kind' in value;
}

/** Without the claim a mapping does not match; a claim of another type refuses. */
function matches({ settings, path, values }: Mapping, claims: Claims): boolean | Denial {
  if (!path) return true;
  const value = claimAt(claims, path);
  if (value === undefined) return false;
  const found = comparedValues(value);
  if (!found) return claimUnfit(settings.claim ?? '');
  return values ? found.some((one) => values.has(one)) : found.some(affirms);
}

/** A flag that is off, zero and an empty text say no, whatever the claim. */
function affirms(value: TenantValue): boolean {
  return value !== false && value !== '' && value !== 0n;
}

function tenantFrom({ settings, tenantPath }: Mapping, claims: Claims): readonly TenantValue[] | undefined | Denial {
  if (settings.tenant) return valuesOf(settings.tenant);
  if (!tenantPath) return undefined;
  const value = claimAt(claims, tenantPath);
  const text = settings.tenant_from ?? '';
  if (value === undefined) return claimMissing(text);
  return tenantValuesIn(value) ?? claimUnfit(text);
}

function sameValues(one: readonly TenantValue[] | undefined, other: readonly TenantValue[] | undefined): boolean {
  if (!one || !other) return one === other;
  return one.every((value) => other.includes(value)) && other.every((value) => one.includes(value));
}

function accessFrom({ entries }: Mapping, claims: Claims): AccessSettings | Denial {
  if (typeof entries === 'string') return entries;
  const made: AccessEntry[] = [];
  for (const { entry, collection, collections } of entries) {
    const one = collection && fill([collection], claims);
    if (one && isDenial(one)) return one;
    const several = collections && fill(collections, claims);
    if (several && isDenial(several)) return several;
    if (one) for (const name of one) made.push({ ...entry, collection: name });
    // INVARIANT: an entry for collections of which there are none permits nothing; without names it would be for all.
    else if (several) made.push(...(several.length > 0 ? [{ ...entry, collections: several }] : []));
    else made.push(entry);
  }
  return made;
}

function fill(templates: readonly NameTemplate[], claims: Claims): readonly string[] | Denial {
  const names: string[] = [];
  for (const template of templates) {
    const filled = fillTemplate(template, claims);
    if (!('fault' in filled)) names.push(...filled);
    else return filled.fault === 'missing' ? claimMissing(filled.claim) : claimUnfit(filled.claim);
  }
  return names;
}

/**
 * All that any of them permits. Of `r` together with entries, the reading of every collection and the operations that read what
 * belongs to none: never more than `r` itself.
 */
function unite(granted: readonly AccessSettings[]): Access {
  const [only] = granted;
  if (only !== undefined && granted.length === 1) return accessOf(only);
  if (granted.includes('m')) return GLOBAL_MANAGE;
  if (granted.every((access) => access === 'r')) return GLOBAL_READ;
  return accessOf(granted.flatMap((access) => (access === 'r' ? READS_ALL : access === 'm' ? [] : access)));
}

/** Audit and row names of all operations that read what belongs to no collection. */
const GLOBAL_READS: readonly string[] = Object.freeze([
  'service.metrics',
  'get_logger_config',
  'get_quotas',
  'cluster_status',
  'get_cluster_metadata_keys',
  'get_cluster_metadata_key',
  'list_full_snapshots',
  'get_full_snapshot',
  'get_partial_snapshot_manifest',
  'legacy.locks.get',
]);

const READS_ALL: readonly AccessEntry[] = Object.freeze([
  Object.freeze({ collections: Object.freeze(['*']), access: 'r' }),
  Object.freeze({ operations: GLOBAL_READS }),
]);

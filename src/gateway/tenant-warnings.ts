import type { Denial } from '../policy/denial.ts';
import { collectionNames, covers } from '../policy/names/collection-names.ts';
import { fieldOf, parsePath } from '../policy/tenants/payload-path.ts';
import type { TenantSettings } from '../policy/tenants/settings.ts';
import type { CollectionSettings, PayloadIndex, UpstreamLookup } from '../upstream/lookup.ts';
import { compareReleases } from '../upstream/nodes/node-set.ts';
import { featuresOf } from '../upstream/release-watch.ts';

/* Warnings about what upstream lacks for the tenants of a policy. */

/** Most collections that are looked at. */
const MOST_COLLECTIONS = 100;

/** The indexes that serve a value of this type; the first is the usual one. */
const INDEXES: Readonly<Record<string, readonly string[]>> = {
  string: ['keyword'],
  number: ['integer'],
  boolean: ['bool'],
};
/** The index that finds every spelling of a UUID. Upstream: Qdrant v1.19.0, uuid 1.x. */
const ONE_UUID = 'uuid';
/** Indexes that can be made with `is_tenant`. Upstream: Qdrant v1.19.0. */
const GROUPING: ReadonlySet<string> = new Set(INDEXES.string);

/** The release that takes a fallback of a shard key. */
const FALLBACK = '1.16.0';

type Asked = Pick<UpstreamLookup, 'version' | 'listCollections' | 'collectionSettings'>;

/** The warnings, each with its entry. One that upstream cannot be asked about says so. Rejects on a fault only. */
export async function tenantWarnings(
  tenants: readonly TenantSettings[],
  lookup: Asked,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const bound = tenants.filter(({ free }) => !free);
  if (bound.length === 0) return [];
  const release = await lookup.version(signal);
  if (typeof release !== 'string') return notAsked(release);
  const names = await lookup.listCollections(signal);
  if (isDenial(names)) return notAsked(names);
  const warnings = releaseWarnings(bound, release);
  const scoped = bound.map((entry) => ({ entry, on: collectionNames(entry.collections) }));
  const used = names.filter((name) => scoped.some(({ on }) => covers(on, name))).slice(0, MOST_COLLECTIONS);
  for (const name of used) {
    const settings = await lookup.collectionSettings(name, signal);
    if (settings === undefined) continue;
    if (isDenial(settings)) return [...warnings, ...notAsked(settings)];
    const entries = scoped.flatMap(({ entry, on }) => (covers(on, name) ? entry : []));
    const found = entries.flatMap((entry) => indexWarning(entry, settings.indexes) ?? []);
    for (const warning of [...found, ...shardWarnings(entries, settings)])
      warnings.push(`tenants: on the collection \`${name}\` ${warning}`);
  }
  return warnings;
}

function notAsked({ message }: Denial): string[] {
  return [`tenants: indexes and release were not checked: ${message}`];
}

function isDenial(answer: object): answer is Denial {
  return 'kind' in answer;
}

function releaseWarnings(bound: readonly TenantSettings[], release: string): string[] {
  const { updateFilter, idfCorpus } = featuresOf({ current: release });
  const warnings: string[] = [];
  const fallback = bound.filter((entry) => entry.shard_key_fallback !== undefined).map(({ id }) => `\`${id}\``);
  if (fallback.length > 0 && compareReleases(release, FALLBACK) < 0)
    warnings.push(
      `tenants: Qdrant ${release} is older than ${FALLBACK}: it knows no \`shard_key_fallback\` (${fallback.join(', ')})`,
    );
  if (!updateFilter)
    warnings.push(
      `tenants: Qdrant ${release} is older than 1.15.4: upserts and vectors of tenants are refused until it is upgraded`,
    );
  if (idfCorpus) return warnings;
  const shared = bound.filter((entry) => entry.shared_statistics).map(({ id }) => `\`${id}\``);
  const older = `tenants: Qdrant ${release} is older than 1.19.0`;
  if (shared.length < bound.length)
    warnings.push(`${older}: queries of sparse vectors with IDF are refused to tenants`);
  if (shared.length > 0)
    warnings.push(
      `${older}: with \`shared_statistics\` (${shared.join(', ')}) scores tell about the points of other tenants`,
    );
  return warnings;
}

/** Entries hold together, so one that forces a shard key is enough. */
function shardWarnings(entries: readonly TenantSettings[], { hasShardKeys }: CollectionSettings): string[] {
  const keyed = entries.filter((entry) => entry.shard_key);
  if (hasShardKeys && keyed.length === 0)
    return ['points are spread by shard keys, and no entry sets `shard_key`: searches of tenants are refused'];
  if (hasShardKeys) return [];
  return keyed.map(
    ({ id }) => `there are no shard keys: with \`shard_key\` (\`${id}\`) every request is refused by Qdrant`,
  );
}

function indexWarning(
  { id, field = '', value, values }: TenantSettings,
  indexes: ReadonlyMap<string, PayloadIndex>,
): string | undefined {
  const path = fieldOf(field);
  const own = [...indexes].find(([name]) => samePath(name, path))?.[1];
  const constants = value === undefined ? values : [value];
  const wanted = [...new Set((constants ?? ['', 0, true]).flatMap((one) => INDEXES[typeof one] ?? []))];
  const why = `(\`${id}\`): its requests read all points`;
  if (!own) return `the field \`${field}\` has no ${wanted[0]} index ${why}`;
  if (own.type === ONE_UUID && wanted.includes('keyword'))
    return `the index on \`${field}\` is of type ${own.type}, not keyword (\`${id}\`): values that are spellings of one UUID are one tenant`;
  if (!wanted.includes(own.type))
    return `the index on \`${field}\` is of type ${own.type}, not ${wanted.join(' or ')} ${why}`;
  if (GROUPING.has(own.type) && !own.isTenant)
    return `the index on \`${field}\` is made without \`is_tenant\` (\`${id}\`): points of one tenant are not stored together`;
  return undefined;
}

function samePath(name: string, field: readonly string[] | undefined): boolean {
  const steps = parsePath(name);
  if (!steps || !field || steps.length !== field.length) return false;
  return steps.every((step, at) => typeof step === 'object' && 'key' in step && step.key === field[at]);
}

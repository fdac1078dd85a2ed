/* The shard key of a tenant, for collections whose points are spread by keys of the operator. */

/** A shard key of upstream: a text, or an unsigned integer of 64 bits. */
export type ShardKey = string | bigint;

/** The shard key of a tenant. Upstream: `ShardKeyWithFallback` (Qdrant v1.16.0). */
export interface TenantShard {
  readonly key: ShardKey;
  /** Used by upstream as long as `key` does not exist, or has no active replica. */
  readonly fallback: ShardKey | undefined;
}

/** The shard key of the tenant with these values; `undefined` = they cannot be one: there are several, or of another type. */
export function shardKeyOf(values: readonly (string | bigint | boolean)[]): ShardKey | undefined {
  const [only, ...more] = new Set(values);
  if (more.length > 0 || typeof only === 'boolean') return undefined;
  return typeof only === 'bigint' && only < 0n ? undefined : only;
}

/** A condition, as far as it has a shard key. */
interface Sharded {
  readonly shard?: TenantShard | undefined;
}

/** The shard key that holds together with these conditions; `undefined` = none is forced. */
export function shardOf(conditions: readonly Sharded[]): TenantShard | undefined {
  return conditions.find(({ shard }) => shard !== undefined)?.shard;
}

/** True = no two of them contradict each other. */
export function agree(shards: readonly (TenantShard | undefined)[]): boolean {
  const given = shards.filter((shard) => shard !== undefined);
  return given.every(({ key, fallback }) => key === given[0]?.key && fallback === given[0]?.fallback);
}

/**
 * A shard key selector of a client: the keys of a list or a single one, and the fallback.
 * Upstream: `ShardKeySelector` (Qdrant v1.19.0).
 */
export interface GivenShard {
  readonly keys: readonly ShardKey[];
  readonly fallback: ShardKey | undefined;
}

/** True = the client's own selector means no other shard than the tenant's. An empty list of keys does not. */
export function isOwnShard({ key, fallback }: TenantShard, given: GivenShard): boolean {
  const own = given.keys.length > 0 && given.keys.every((one) => one === key);
  return own && (given.fallback === undefined || given.fallback === fallback);
}

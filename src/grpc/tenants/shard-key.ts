import { TENANT_SHARD_KEY } from '../../policy/denial.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import { isOwnShard, type ShardKey, type TenantShard } from '../../policy/tenants/shard.ts';
import { decode, encode, make } from './messages/codec.ts';

/* The shard key of a tenant. Upstream: `ShardKeySelector` (Qdrant v1.20.0). */

/** A request, or a part of one, that has a shard key selector. It is encoded. */
export interface Placed {
  shardKeySelector?: Uint8Array | undefined;
}

interface KeyMessage {
  readonly key: { readonly case: string | undefined; readonly value?: ShardKey };
}

interface Selector {
  readonly shardKeys: readonly KeyMessage[];
  readonly fallback?: KeyMessage;
}

/** Sets the shard key of a request. Throws a refusal if the client has given another one. */
export function place(request: Placed, shard: TenantShard | undefined): void {
  if (!shard) return;
  if (request.shardKeySelector && !isOwn(shard, request.shardKeySelector)) throw new TenantRefusal(TENANT_SHARD_KEY);
  request.shardKeySelector = selectorOf(shard);
}

/** The selector of a shard key. */
export function selectorOf({ key, fallback }: TenantShard): Buffer {
  const fields = { shardKeys: [keyMessage(key)], ...(fallback !== undefined && { fallback: keyMessage(fallback) }) };
  return encode('ShardKeySelector', make('ShardKeySelector', fields));
}

function keyMessage(key: ShardKey): object {
  return make('ShardKey', { key: { case: typeof key === 'string' ? 'keyword' : 'number', value: key } });
}

/** A key without a variant is none of the tenant's. */
function isOwn(shard: TenantShard, given: Uint8Array): boolean {
  const { shardKeys, fallback } = decode<Selector>('ShardKeySelector', given);
  const keys = shardKeys.map(({ key }) => key.value);
  if (!keys.every((key) => key !== undefined)) return false;
  if (fallback && fallback.key.value === undefined) return false;
  return isOwnShard(shard, { keys, fallback: fallback?.key.value });
}

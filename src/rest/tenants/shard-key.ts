import { integerOf } from '../../json/integer.ts';
import { type JsonNode, type JsonObject, objectNode, textNode } from '../../json/tree.ts';
import { TENANT_SHARD_KEY } from '../../policy/denial.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import { type GivenShard, isOwnShard, type ShardKey, type TenantShard } from '../../policy/tenants/shard.ts';
import { type TenantReading, valueText } from './reading.ts';
import type { Action } from './shapes.ts';

/* The shard key of a tenant. Upstream: `ShardKeySelector` (Qdrant v1.19.0, `lib/api/src/rest/schema.rs`). */

/** A request that is sent with the shard key of the tenant. */
export function placed(action: Action): Action {
  return (reading) => {
    const node = action(reading);
    if (node.kind === 'object') placeIn(reading, node, reading.shard);
    return node;
  };
}

/** Sets the shard key of an object. Throws a refusal if the client has given another one. */
export function placeIn(reading: TenantReading, node: JsonObject, shard: TenantShard | undefined): void {
  if (!shard) return;
  const own = node.get('shard_key');
  if (!reading.isNull(own) && !isOwnShard(shard, givenOf(reading, own))) throw new TenantRefusal(TENANT_SHARD_KEY);
  node.set('shard_key', textNode(shardText(shard)));
}

/** The place from which upstream takes the vectors of points: without it, from all shards of the collection. */
export function ownPlace({ context }: TenantReading, shard: TenantShard): JsonObject {
  return objectNode({
    collection: textNode(JSON.stringify(context.collection)),
    shard_key: textNode(shardText(shard)),
  });
}

/** The JSON text of a shard key. */
export function shardText({ key, fallback }: TenantShard): string {
  if (fallback === undefined) return valueText(key);
  return `{"target":${valueText(key)},"fallback":${valueText(fallback)}}`;
}

/** A value that is no selector has no keys, so it is none of the tenant's. */
function givenOf({ source }: TenantReading, node: JsonNode | undefined): GivenShard {
  if (node?.kind !== 'source') return NONE;
  const value: unknown = JSON.parse(source.toString('utf8', node.start, node.end), withIntegers);
  if (Array.isArray(value)) return value.every(isKey) ? { keys: value, fallback: undefined } : NONE;
  if (isKey(value)) return { keys: [value], fallback: undefined };
  const { target, fallback } = (value ?? {}) as { readonly target?: unknown; readonly fallback?: unknown };
  return isKey(target) && isKey(fallback) ? { keys: [target], fallback } : NONE;
}

const NONE: GivenShard = { keys: [], fallback: undefined };

function isKey(value: unknown): value is ShardKey {
  return typeof value === 'string' || typeof value === 'bigint';
}

/** Integers of 64 bits keep every digit; any other number is no key. */
function withIntegers(_key: string, value: unknown, { source }: { readonly source?: string } = {}): unknown {
  return typeof value === 'number' && source !== undefined ? (integerOf(source) ?? value) : value;
}

import { filter, lazy, namedVector, only, optional, recommendExample, withoutIds } from './filter-types.ts';
import { orderBy, queryInterface } from './query-types.ts';
import {
  any,
  bool,
  count,
  isObject,
  list,
  type Member,
  map,
  number,
  oneOrMany,
  option,
  path,
  pointId,
  string,
  struct,
  type Type,
  untagged,
  word,
} from './serde.ts';

/* The bodies of requests, as in `filter-types.ts`. */

const shardKey = untagged('ShardKey', { Keyword: string, Number: count });
const shardKeySelector = untagged('ShardKeySelector', {
  ShardKey: shardKey,
  ShardKeys: list(shardKey),
  ShardKeyWithFallback: struct({ target: [shardKey], fallback: [shardKey] }),
});
const selectedPayload = untagged('WithPayloadInterface', {
  Bool: bool,
  Fields: list(string),
  Include: struct({ include: [list(string)] }, { isExact: true }),
  Exclude: struct({ exclude: [list(string)] }, { isExact: true }),
});
const selectedVector = untagged('WithVector', { Bool: bool, Selector: list(string) });
const withLookup = untagged('WithLookupInterface', {
  Collection: string,
  WithLookup: struct(
    { collection: [string], with_payload: optional(selectedPayload), with_vectors: optional(selectedVector) },
    { aliases: { with_vector: 'with_vectors' } },
  ),
});
const searchParams = struct({
  hnsw_ef: optional(count),
  exact: [bool, 'optional'],
  quantization: optional(
    struct({ ignore: [bool, 'optional'], rescore: optional(bool), oversampling: optional(number) }),
  ),
  indexed_only: [bool, 'optional'],
  acorn: optional(struct({ enable: [bool, 'optional'], max_selectivity: optional(number) })),
  idf: optional(untagged('IdfParams', { Scope: word('global'), Corpus: only('corpus', filter) })),
});

const LEVEL: Readonly<Record<string, Member>> = {
  prefetch: [lazy(() => oneOrMany(prefetch)), 'optional'],
  query: optional(queryInterface),
  using: optional(string),
  filter: optional(filter),
  params: optional(searchParams),
  score_threshold: optional(number),
  limit: optional(count),
  lookup_from: optional(
    struct({ collection: [string], vector: optional(string), shard_key: optional(shardKeySelector) }),
  ),
};
const prefetch = struct(LEVEL);
const SHOWN: Readonly<Record<string, Member>> = {
  with_payload: optional(selectedPayload),
  with_vector: optional(selectedVector),
  offset: optional(count),
};
const WITH_VECTORS = { with_vectors: 'with_vector' };

const selected: Readonly<Record<string, Member>> = {
  points: optional(withoutIds(list(pointId))),
  filter: optional(filter),
  shard_key: optional(shardKeySelector),
};
const pointsSelector = untagged('PointsSelector', {
  PointIdsSelector: struct({ points: [withoutIds(list(pointId))], shard_key: optional(shardKeySelector) }),
  FilterSelector: struct({ filter: [filter], shard_key: optional(shardKeySelector) }),
});
const UPSERT: Readonly<Record<string, Member>> = {
  shard_key: optional(shardKeySelector),
  update_filter: optional(filter),
  update_mode: optional(word('upsert', 'insert_only', 'update_only')),
};
const payload = map(any);
const point = struct(
  { id: [withoutIds(pointId)], vector: [any], payload: optional(payload) },
  { aliases: { vectors: 'vector' } },
);
const ids = list(withoutIds(pointId));
const pointsBatch = struct({
  batch: [struct({ ids: [ids], vectors: [any], payloads: optional(list(option(payload))) })],
  ...UPSERT,
});
const pointsList = struct({ points: [list(point)], ...UPSERT });

/** Upstream looks for `batch`, then for `points`. */
const upsert: Type = (value) => {
  if (!isObject(value)) return undefined;
  return 'batch' in value ? pointsBatch(value) : 'points' in value ? pointsList(value) : undefined;
};
const setPayload = struct({ payload: [payload], ...selected, key: [option(withoutFields(path)), 'optional'] });

/** Fields that are written. */
function withoutFields(type: Type): Type {
  return (value) => type(value)?.filter(({ kind }) => kind !== 'field');
}

/** The bodies of requests by the names of their rows. */
export const REQUESTS: Readonly<Record<string, Type>> = {
  'points.query': struct(
    { ...LEVEL, ...SHOWN, shard_key: optional(shardKeySelector) },
    { isFlat: true, aliases: WITH_VECTORS },
  ),
  'points.query_groups': struct(
    {
      ...LEVEL,
      ...{ with_payload: optional(selectedPayload), with_vector: optional(selectedVector) },
      ...{ group_by: [path], group_size: optional(count), with_lookup: optional(withLookup) },
      shard_key: optional(shardKeySelector),
    },
    { isFlat: true },
  ),
  'points.search': struct(
    {
      ...{ vector: [namedVector], filter: optional(filter), params: optional(searchParams), limit: [count] },
      ...{ ...SHOWN, score_threshold: optional(number), shard_key: optional(shardKeySelector) },
    },
    { isFlat: true, aliases: { ...WITH_VECTORS, top: 'limit' } },
  ),
  'points.recommend': struct(
    {
      ...{ positive: [list(recommendExample), 'optional'], negative: [list(recommendExample), 'optional'] },
      ...{ strategy: optional(string), filter: optional(filter), params: optional(searchParams), limit: [count] },
      ...{ ...SHOWN, score_threshold: optional(number), using: optional(string) },
      ...{ lookup_from: LEVEL.lookup_from ?? [any], shard_key: optional(shardKeySelector) },
    },
    { isFlat: true, aliases: { ...WITH_VECTORS, top: 'limit' } },
  ),
  'points.scroll': struct(
    {
      ...{ offset: optional(withoutIds(pointId)), limit: optional(count), filter: optional(filter) },
      ...{ with_payload: optional(selectedPayload), with_vector: [selectedVector, 'optional'] },
      ...{ order_by: optional(orderBy), shard_key: optional(shardKeySelector) },
    },
    { isFlat: true, aliases: WITH_VECTORS },
  ),
  'points.delete': pointsSelector,
  'points.set_payload': setPayload,
  'points.upsert': upsert,
  'points.batch': struct({
    operations: [
      list(
        untagged('UpdateOperation', {
          Upsert: only('upsert', upsert),
          Delete: only('delete', pointsSelector),
          SetPayload: only('set_payload', setPayload),
          OverwritePayload: only('overwrite_payload', setPayload),
          DeletePayload: only('delete_payload', struct({ keys: [list(withoutFields(path))], ...selected })),
          ClearPayload: only('clear_payload', pointsSelector),
        }),
      ),
    ],
  }),
};

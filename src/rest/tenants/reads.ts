import { type JsonNode, type JsonObject, textNode } from '../../json/tree.ts';
import { judgeScoring } from '../../policy/tenants/kept-fields.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import { shardOf } from '../../policy/tenants/shard.ts';
import { conditionsOn, lookupRefused } from '../../policy/tenants/within.ts';
import { bindMissing, boundFilter } from './filters.ts';
import { orderBy, shownKey } from './hidden.ts';
import { queryInput } from './query-inputs.ts';
import type { TenantReading } from './reading.ts';
import { type Action, type Fields, type Finish, keep, list, object, oneOrMany, orNull, plain, text } from './shapes.ts';
import { ownPlace, placed, placeIn } from './shard-key.ts';
import { bindStatistics, params, refuseStatistics } from './statistics.ts';
import { oneOf } from './variants.ts';
import { VECTOR_FIELDS, vectorInput, vectorOr } from './vectors.ts';

/* Requests that read points. Upstream: Qdrant v1.19.0, `lib/api/src/rest/schema.rs`, `lib/collection/src/operations/types.rs`. */

const prefetch: Action = (reading) => PREFETCHES(reading);
const WITH_VECTOR: Fields = { with_vector: keep, with_vectors: { as: 'with_vector' } };
const LIMIT: Fields = { limit: plain, top: { as: 'limit' } };
const FILTERED: Fields = { filter: boundFilter };

const LOOKUP = object({ collection: text, vector: text, shard_key: keep }, (reading, node) => {
  const level = reading.levels.at(-1);
  const collection = reading.stringOf(node.get('collection'));
  if (collection === undefined) throw reading.fault('missing field `collection`');
  if (level) level.lookup = collection;
  // Judged even if no point is taken from it.
  reading.check([], collection);
  const conditions = conditionsOn(reading.context.tenancy, collection);
  if (!('kind' in conditions)) placeIn(reading, node, shardOf(conditions));
});

const WITH_LOOKUP = object(
  { collection: text, with_payload: keep, with_vectors: keep, with_vector: { as: 'with_vectors' } },
  (reading, node) => judgeLookup(reading, node.get('collection')),
);

/** The name of a collection, or an object with one: of a collection without conditions only. */
function withLookup(reading: TenantReading): JsonNode {
  if (reading.reader.peek() !== 'string') return WITH_LOOKUP(reading);
  const name = text(reading);
  judgeLookup(reading, name);
  return name;
}

function judgeLookup(reading: TenantReading, node: JsonNode | undefined): void {
  const name = reading.stringOf(node);
  if (name === undefined) throw reading.fault('missing field `collection`');
  const refused = lookupRefused(reading.context.tenancy, name);
  if (refused) throw new TenantRefusal(refused);
}

const QUERY: Fields = {
  ...{ prefetch, query: queryInput, using: text, ...FILTERED, params, score_threshold: plain, limit: plain },
  lookup_from: orNull(LOOKUP),
};
const GROUPS: Fields = { group_by: shownKey, group_size: plain, limit: plain, with_lookup: orNull(withLookup) };
const SHARD: Fields = { shard_key: keep };
const SHOWN: Fields = { with_payload: keep, ...WITH_VECTOR };

const named: Action = oneOf(
  [{ required: ['name', 'vector'], fields: { name: text, vector: (reading) => vectorOr(reading, SPARSE) } }],
  'a vector',
);
const SPARSE = object(VECTOR_FIELDS.SparseVector);
/** A vector, or one with its name. Upstream: `NamedVectorStruct`. */
const namedVector: Action = (reading) => {
  if (reading.reader.peek() === 'object') return named(reading);
  return vectorOr(reading, named);
};

const SEARCH: Fields = {
  ...{ vector: namedVector, ...FILTERED, params, ...LIMIT, offset: plain, ...SHOWN, score_threshold: plain },
};
const BY_EXAMPLES: Fields = { using: text, lookup_from: orNull(LOOKUP) };
const RECOMMEND: Fields = {
  ...{ positive: list(vectorInput), negative: list(vectorInput), strategy: text },
  ...{ ...FILTERED, params, ...LIMIT, offset: plain, ...SHOWN, score_threshold: plain, ...BY_EXAMPLES },
};

/** Tables by the names of upstream's schemas. */
export const READ_FIELDS = {
  Prefetch: QUERY,
  QueryRequest: { ...QUERY, ...SHARD, offset: plain, ...SHOWN },
  QueryGroupsRequest: { ...QUERY, ...SHARD, ...without(SHOWN, 'with_vectors'), ...GROUPS },
  SearchRequest: { ...SEARCH, ...SHARD },
  SearchGroupsRequest: { ...without(SEARCH, 'offset', 'top'), ...SHARD, ...GROUPS },
  RecommendRequest: { ...RECOMMEND, ...SHARD },
  RecommendGroupsRequest: { ...without(RECOMMEND, 'offset', 'top'), ...SHARD, ...GROUPS },
  DiscoverRequest: {
    ...{ target: orNull(vectorInput), context: orNull(list(object({ positive: vectorInput, negative: vectorInput }))) },
    ...{ ...FILTERED, params, ...LIMIT, offset: plain, ...without(SHOWN, 'with_vectors'), ...BY_EXAMPLES, ...SHARD },
  },
  SearchMatrixRequest: { ...FILTERED, sample: plain, limit: plain, using: text, ...SHARD },
  ScrollRequest: { offset: keep, limit: plain, ...FILTERED, ...SHOWN, order_by: orderBy, ...SHARD },
  CountRequest: { ...FILTERED, exact: plain, ...SHARD },
  FacetRequest: { key: shownKey, limit: plain, ...FILTERED, exact: plain, ...SHARD },
} as const satisfies Readonly<Record<string, Fields>>;

function without(fields: Fields, ...names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

/** A request that takes points as examples: a level of its own. */
function level(fields: Fields, finish: Finish = finishQuery): Action {
  const shape = object(fields, finish);
  return (reading) => {
    reading.openQuery();
    const node = shape(reading);
    const own = reading.levels.pop();
    const { shard } = reading;
    const byId = own !== undefined && own.ids.length > 0 && own.lookup === undefined;
    if (shard && byId && node.kind === 'object') node.set('lookup_from', ownPlace(reading, shard));
    return node;
  };
}

function finishQuery(reading: TenantReading, node: JsonObject): void {
  bindMissing(reading, node, 'filter');
  const using = node.get('using');
  const isText = reading.levels.at(-1)?.isText === true;
  // Upstream: a query of texts names the field that it scores by (Qdrant v1.20.0).
  if (isText) judgeScoring(reading.hidden, reading.stringOf(using));
  bindStatistics(reading, node, isText ? { text: true } : vectorOf(reading, using));
}

function finishSearch(reading: TenantReading, node: JsonObject): void {
  bindMissing(reading, node, 'filter');
  const vector = node.get('vector');
  bindStatistics(reading, node, vectorOf(reading, vector?.kind === 'object' ? vector.get('name') : undefined));
}

/** The name of a vector; empty = the one without a name, which is never sparse. */
function vectorOf(reading: TenantReading, name: JsonNode | undefined): string {
  return reading.stringOf(name) ?? '';
}

/** Estimates come from the statistics of all tenants. */
const finishCounted: Finish = (reading, node) => {
  bindMissing(reading, node, 'filter');
  if (!reading.isFree) node.set('exact', textNode('true'));
};

const finishMatrix: Finish = (reading, node) => {
  bindMissing(reading, node, 'filter');
  refuseStatistics(reading, vectorOf(reading, node.get('using')));
};

const PREFETCH = level(READ_FIELDS.Prefetch);
const PREFETCHES = oneOrMany((reading) => {
  if (reading.prefetches === 0) throw reading.fault('prefetches are nested too deep');
  reading.prefetches -= 1;
  const node = PREFETCH(reading);
  reading.prefetches += 1;
  return node;
});

function batch(request: Action): Action {
  return object({ searches: list(request) });
}

const query = placed(level(READ_FIELDS.QueryRequest));
const search = placed(level(READ_FIELDS.SearchRequest, finishSearch));
const recommend = placed(level(READ_FIELDS.RecommendRequest));
const discover = placed(level(READ_FIELDS.DiscoverRequest));
const matrix = placed(object(READ_FIELDS.SearchMatrixRequest, finishMatrix));

/** The bodies of reads by the names of their rows. */
export const READS: Readonly<Record<string, Action>> = {
  'points.query': query,
  'points.query_batch': batch(query),
  'points.query_groups': placed(level(READ_FIELDS.QueryGroupsRequest)),
  'points.search': search,
  'points.search_batch': batch(search),
  'points.search_groups': placed(level(READ_FIELDS.SearchGroupsRequest, finishSearch)),
  'points.search_matrix_pairs': matrix,
  'points.search_matrix_offsets': matrix,
  'points.recommend': recommend,
  'points.recommend_batch': batch(recommend),
  'points.recommend_groups': placed(level(READ_FIELDS.RecommendGroupsRequest)),
  'points.discover': discover,
  'points.discover_batch': batch(discover),
  'points.scroll': placed(object(READ_FIELDS.ScrollRequest, (reading, node) => bindMissing(reading, node, 'filter'))),
  'points.count': placed(object(READ_FIELDS.CountRequest, finishCounted)),
  'points.facet': placed(object(READ_FIELDS.FacetRequest, finishCounted)),
};

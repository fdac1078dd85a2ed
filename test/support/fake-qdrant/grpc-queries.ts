import {
  type ContextInput,
  Direction,
  type DiscoverPoints,
  Fusion,
  type LookupLocation,
  type OrderBy,
  type PrefetchQuery,
  type Query,
  type RecommendPointGroups,
  type RecommendPoints,
  RecommendStrategy,
  type SearchParams,
  type SearchPointGroups,
  type SearchPoints,
  type WithLookup,
  type WithPayloadSelector,
  type WithVectorsSelector,
} from '@qdrant/js-client-grpc';
import { filterJson } from './grpc-filter.ts';
import {
  exampleJson,
  type FilterMessage,
  idJson,
  inputJson,
  integerJson,
  valueJson,
  vectorJson,
  withPayloadJson,
  withVectorsJson,
} from './grpc-values.ts';
import type { Json, JsonObject } from './json.ts';

type ReadFields = {
  filter?: FilterMessage | undefined;
  limit?: number | bigint | undefined;
  offset?: bigint | undefined;
  withPayload?: WithPayloadSelector | undefined;
  withVectors?: WithVectorsSelector | undefined;
  scoreThreshold?: number | undefined;
  using?: string | undefined;
  lookupFrom?: LookupLocation | undefined;
  withLookup?: WithLookup | undefined;
  groupBy?: string;
  groupSize?: number | bigint | undefined;
  prefetch?: PrefetchQuery[];
  query?: Query | undefined;
  params?: SearchParams | undefined;
};

function count(value: number | bigint | undefined): Json | undefined {
  return typeof value === 'bigint' ? integerJson(value) : value;
}

/** The fields that read requests have in common, in REST form. */
export function readBody(request: ReadFields): JsonObject {
  return {
    filter: filterJson(request.filter),
    limit: count(request.limit),
    offset: count(request.offset),
    with_payload: withPayloadJson(request.withPayload),
    with_vector: withVectorsJson(request.withVectors),
    score_threshold: request.scoreThreshold,
    using: request.using,
    lookup_from: lookupFromJson(request.lookupFrom),
    with_lookup: withLookupJson(request.withLookup),
    group_by: request.groupBy,
    group_size: count(request.groupSize),
    prefetch: request.prefetch?.map(readBody),
    query: queryJson(request.query),
    params: paramsJson(request.params),
  };
}

// Of the parameters, only what changes the answers of the stand-in.
function paramsJson(params: SearchParams | undefined): Json | undefined {
  return params?.idf === undefined ? undefined : { idf: { corpus: filterJson(params.idf.corpus) } };
}

function strategyJson(strategy: RecommendStrategy | undefined): Json | undefined {
  const name = strategy === undefined ? undefined : RecommendStrategy[strategy];
  return name?.replaceAll(/(?<!^)[A-Z]/g, '_$&').toLowerCase();
}

function lookupFromJson(lookup: LookupLocation | undefined): Json | undefined {
  return lookup === undefined ? undefined : { collection: lookup.collectionName, vector: lookup.vectorName };
}

function withLookupJson(lookup: WithLookup | undefined): Json | undefined {
  return lookup === undefined
    ? undefined
    : {
        collection: lookup.collection,
        with_payload: withPayloadJson(lookup.withPayload),
        with_vectors: withVectorsJson(lookup.withVectors),
      };
}

/** A search (or search groups) request in REST form. */
export function searchBody(request: SearchPoints | SearchPointGroups): JsonObject {
  const { vector, sparseIndices, vectorName } = request;
  const values: Json = sparseIndices === undefined ? vector : { indices: sparseIndices.data, values: vector };
  return { ...readBody(request), vector: { name: vectorName ?? '', vector: values } };
}

/** A recommend (or recommend groups) request in REST form. */
export function recommendBody(request: RecommendPoints | RecommendPointGroups): JsonObject {
  return {
    ...readBody(request),
    positive: [...request.positive.map(idJson), ...request.positiveVectors.map(vectorJson)],
    negative: [...request.negative.map(idJson), ...request.negativeVectors.map(vectorJson)],
    strategy: strategyJson(request.strategy),
  };
}

/** A discover request in REST form. */
export function discoverBody(request: DiscoverPoints): JsonObject {
  const target = request.target?.target.case === 'single' ? exampleJson(request.target.target.value) : undefined;
  const context = request.context.map((pair) => ({
    positive: exampleJson(pair.positive),
    negative: exampleJson(pair.negative),
  }));
  return { ...readBody(request), target, context };
}

/** An order-by message in REST form. */
export function orderByJson(order: OrderBy | undefined): Json | undefined {
  if (order === undefined) {
    return undefined;
  }
  const from = order.startFrom?.value;
  const start = from?.case === 'timestamp' ? Number(from.value.seconds) * 1000 : from?.value;
  const direction = order.direction === Direction.Desc ? 'desc' : 'asc';
  return { key: order.key, direction, start_from: typeof start === 'bigint' ? integerJson(start) : start };
}

function contextJson(context: ContextInput | undefined): Json[] {
  return (context?.pairs ?? []).map((pair) => ({
    positive: inputJson(pair.positive),
    negative: inputJson(pair.negative),
  }));
}

function queryJson(query: Query | undefined): Json | undefined {
  const variant = query?.variant;
  switch (variant?.case) {
    case 'nearest':
      return { nearest: inputJson(variant.value) };
    case 'nearestWithMmr':
      return { nearest: inputJson(variant.value.nearest) };
    case 'recommend':
      return {
        recommend: {
          positive: variant.value.positive.map(inputJson),
          negative: variant.value.negative.map(inputJson),
          strategy: strategyJson(variant.value.strategy),
        },
      };
    case 'discover': {
      const { target, context } = variant.value;
      return { discover: { target: inputJson(target), context: contextJson(context) } };
    }
    case 'context':
      return { context: contextJson(variant.value) };
    case 'orderBy':
      return { order_by: orderByJson(variant.value) ?? null };
    case 'fusion':
      return { fusion: Fusion[variant.value]?.toLowerCase() ?? 'rrf' };
    case 'rrf':
      return { rrf: { k: variant.value.k, weights: variant.value.weights } };
    case 'sample':
      return { sample: 'random' };
    case 'formula': {
      const defaults = Object.entries(variant.value.defaults).map(([key, value]) => [key, valueJson(value)]);
      return { formula: {}, defaults: Object.fromEntries(defaults) };
    }
    case 'relevanceFeedback':
      return {
        relevance_feedback: {
          target: inputJson(variant.value.target),
          feedback: variant.value.feedback.map(({ example, score }) => ({ example: inputJson(example), score })),
        },
      };
    default:
      return undefined;
  }
}

import type { MessageInitShape } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import { idMessage } from '../fake-qdrant/grpc-values.ts';
import {
  isObject,
  type Json,
  type JsonObject,
  listOf,
  numberOf,
  numbersOf,
  objectOf,
  textOf,
} from '../fake-qdrant/json.ts';
import { filterInit } from './grpc-filter-init.ts';

type QueryInit = Exclude<MessageInitShape<typeof q.QuerySchema>, { $typeName: string }>;
type InputInit = Exclude<MessageInitShape<typeof q.VectorInputSchema>, { $typeName: string }>;
type PrefetchInit = Exclude<MessageInitShape<typeof q.PrefetchQuerySchema>, { $typeName: string }>;

function isId(value: Json): boolean {
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string';
}

function inputInit(input: Json | undefined): InputInit {
  const value = input ?? null;
  if (isId(value)) return { variant: { case: 'id', value: idMessage(value) } };
  if (isObject(value)) {
    const sparse = { indices: numbersOf(value.indices), values: numbersOf(value.values) };
    return { variant: { case: 'sparse', value: sparse } };
  }
  return { variant: { case: 'dense', value: { data: numbersOf(value) } } };
}

function pairsInit(context: Json | undefined) {
  const pairs = listOf(context).map(objectOf);
  return pairs.map(({ positive, negative }) => ({ positive: inputInit(positive), negative: inputInit(negative) }));
}

const STRATEGIES: Readonly<Record<string, q.RecommendStrategy>> = {
  average_vector: q.RecommendStrategy.AverageVector,
  best_score: q.RecommendStrategy.BestScore,
  sum_scores: q.RecommendStrategy.SumScores,
};

/** The strategy of a recommendation by its REST name. */
export function strategyOf(name: Json | undefined): q.RecommendStrategy {
  return STRATEGIES[textOf(name) ?? ''] ?? q.RecommendStrategy.AverageVector;
}

function queryInit(query: Json | undefined): QueryInit | undefined {
  if (query === undefined || query === null) return undefined;
  const asked = isObject(query) ? query : { nearest: query };
  if (asked.nearest !== undefined) return { variant: { case: 'nearest', value: inputInit(asked.nearest) } };
  if (isObject(asked.recommend)) {
    const { positive, negative, strategy } = asked.recommend;
    const value = {
      positive: listOf(positive).map(inputInit),
      negative: listOf(negative).map(inputInit),
      strategy: strategyOf(strategy),
    };
    return { variant: { case: 'recommend', value } };
  }
  if (isObject(asked.discover)) {
    const { target, context } = asked.discover;
    const value = { target: inputInit(target), context: { pairs: pairsInit(context) } };
    return { variant: { case: 'discover', value } };
  }
  if (asked.context !== undefined) return { variant: { case: 'context', value: { pairs: pairsInit(asked.context) } } };
  if (asked.order_by !== undefined) return { variant: { case: 'orderBy', value: orderInit(asked.order_by) } };
  if (isObject(asked.rrf)) return { variant: { case: 'rrf', value: { k: numberOf(asked.rrf.k, 2) } } };
  return { variant: { case: 'fusion', value: asked.fusion === 'dbsf' ? q.Fusion.DBSF : q.Fusion.RRF } };
}

/** An order by a payload key. */
export function orderInit(order: Json) {
  const { key, direction, start_from: from } = objectOf(order);
  return {
    key: textOf(key) ?? '',
    direction: direction === 'desc' ? q.Direction.Desc : q.Direction.Asc,
    ...(from === undefined ? {} : { startFrom: { value: { case: 'float' as const, value: numberOf(from, 0) } } }),
  };
}

function long(value: Json | undefined): bigint {
  return BigInt(numberOf(value, 0));
}

/** The fields that a query, its prefetches, its groups and a matrix have in common. */
export function levelInit(body: JsonObject) {
  const filter = filterInit(body.filter);
  const query = queryInit(body.query);
  const idf = isObject(body.params) && isObject(body.params.idf) ? body.params.idf : undefined;
  const corpus = filterInit(idf?.corpus);
  const prefetch: PrefetchInit[] = listOf(body.prefetch).map((inner) => levelInit(objectOf(inner)));
  return {
    prefetch,
    ...(query === undefined ? {} : { query }),
    ...(filter === undefined ? {} : { filter }),
    ...(typeof body.using === 'string' ? { using: body.using } : {}),
    ...(body.limit === undefined ? {} : { limit: long(body.limit) }),
    ...(idf === undefined ? {} : { params: { idf: corpus === undefined ? {} : { corpus } } }),
  };
}

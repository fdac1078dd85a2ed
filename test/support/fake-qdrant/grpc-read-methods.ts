import * as q from '@qdrant/js-client-grpc';
import { filterJson } from './grpc-filter.ts';
import { type GrpcMethod, unary } from './grpc-method.ts';
import { discoverBody, orderByJson, readBody, recommendBody, searchBody } from './grpc-queries.ts';
import { groupsMessage, retrievedMessage, scoredMessage } from './grpc-results.ts';
import { idJson, idMessage, integerJson } from './grpc-values.ts';
import { type Json, type JsonObject, listOf, numberOf, objectOf } from './json.ts';
import { count, facet, retrieve, scroll } from './retrieval.ts';
import { matrixOffsets, matrixPairs, type SearchForm, search, searchBatch, searchGroups } from './search.ts';
import type { Store } from './store.ts';

const time = 0.00001;
const service = '/qdrant.Points';

function scored(store: Store, name: string, form: SearchForm, body: JsonObject) {
  return { result: search(store, name, form, body).map(scoredMessage), time };
}

// Upstream: the collection names inside a batch are ignored, the outer one counts.
function batch(store: Store, name: string, form: SearchForm, bodies: JsonObject[]) {
  const results = searchBatch(store, name, form, { searches: bodies });
  return { result: results.map((hits) => ({ result: hits.map(scoredMessage) })), time };
}

function groups(store: Store, name: string, form: SearchForm, body: JsonObject) {
  return { result: groupsMessage(searchGroups(store, name, form, body)), time };
}

type FacetKind =
  | { case: 'stringValue'; value: string }
  | { case: 'integerValue'; value: bigint }
  | { case: 'boolValue'; value: boolean };

function facetValue(value: Json | undefined): FacetKind {
  if (typeof value === 'boolean') {
    return { case: 'boolValue', value };
  }
  return typeof value === 'number' || typeof value === 'bigint'
    ? { case: 'integerValue', value: BigInt(value) }
    : { case: 'stringValue', value: String(value) };
}

function matrixBody(request: q.SearchMatrixPoints): JsonObject {
  const number = (value: bigint | undefined): Json | undefined =>
    value === undefined ? undefined : integerJson(value);
  const { sample, limit, using, filter } = request;
  return { sample: number(sample), limit: number(limit), using, filter: filterJson(filter) };
}

function integers(list: Json | undefined): bigint[] {
  return listOf(list).map((value) => BigInt(numberOf(value, 0)));
}

const retrievalMethods: GrpcMethod[] = [
  unary(`${service}/Get`, q.GetPointsSchema, q.GetResponseSchema, (request, { store }) => {
    const body = { ...readBody(request), ids: request.ids.map(idJson) };
    return { result: listOf(retrieve(store, request.collectionName, body)).map(retrievedMessage), time };
  }),
  unary(`${service}/Scroll`, q.ScrollPointsSchema, q.ScrollResponseSchema, (request, { store }) => {
    const { offset, orderBy, ...rest } = request;
    const start = offset === undefined ? undefined : idJson(offset);
    const body = { ...readBody(rest), offset: start, order_by: orderByJson(orderBy) };
    const { points, next_page_offset: next } = scroll(store, request.collectionName, body);
    const page = next === null ? {} : { nextPageOffset: idMessage(next) };
    return { result: listOf(points).map(retrievedMessage), ...page, time };
  }),
  unary(`${service}/Count`, q.CountPointsSchema, q.CountResponseSchema, (request, { store }) => {
    const counted = count(store, request.collectionName, { filter: filterJson(request.filter) });
    return { result: { count: BigInt(numberOf(counted.count, 0)) }, time };
  }),
  unary(`${service}/Facet`, q.FacetCountsSchema, q.FacetResponseSchema, (request, { store }) => {
    const body = { ...readBody({ filter: request.filter, limit: request.limit }), key: request.key };
    const hits = listOf(facet(store, request.collectionName, body).hits).map(objectOf);
    return {
      hits: hits.map((hit) => ({
        value: { variant: facetValue(hit.value) },
        count: BigInt(numberOf(hit.count, 0)),
      })),
      time,
    };
  }),
];

const matrixMethods: GrpcMethod[] = [
  unary(
    `${service}/SearchMatrixPairs`,
    q.SearchMatrixPointsSchema,
    q.SearchMatrixPairsResponseSchema,
    (request, { store }) => {
      const pairs = listOf(matrixPairs(store, request.collectionName, matrixBody(request)).pairs).map(objectOf);
      const rows = pairs.map(({ a, b, score }) => ({ a: idMessage(a), b: idMessage(b), score: numberOf(score, 0) }));
      return { result: { pairs: rows }, time };
    },
  ),
  unary(
    `${service}/SearchMatrixOffsets`,
    q.SearchMatrixPointsSchema,
    q.SearchMatrixOffsetsResponseSchema,
    (request, { store }) => {
      const matrix = matrixOffsets(store, request.collectionName, matrixBody(request));
      return {
        result: {
          offsetsRow: integers(matrix.offsets_row),
          offsetsCol: integers(matrix.offsets_col),
          scores: listOf(matrix.scores).map((score) => numberOf(score, 0)),
          ids: listOf(matrix.ids).map(idMessage),
        },
        time,
      };
    },
  ),
];

/** The methods of qdrant.Points that read. */
export const pointReadMethods: GrpcMethod[] = [
  ...retrievalMethods,
  unary(`${service}/Search`, q.SearchPointsSchema, q.SearchResponseSchema, (request, { store }) =>
    scored(store, request.collectionName, 'search', searchBody(request)),
  ),
  unary(`${service}/SearchBatch`, q.SearchBatchPointsSchema, q.SearchBatchResponseSchema, (request, { store }) =>
    batch(store, request.collectionName, 'search', request.searchPoints.map(searchBody)),
  ),
  unary(`${service}/SearchGroups`, q.SearchPointGroupsSchema, q.SearchGroupsResponseSchema, (request, { store }) =>
    groups(store, request.collectionName, 'search', searchBody(request)),
  ),
  ...matrixMethods,
  unary(`${service}/Recommend`, q.RecommendPointsSchema, q.RecommendResponseSchema, (request, { store }) =>
    scored(store, request.collectionName, 'recommend', recommendBody(request)),
  ),
  unary(
    `${service}/RecommendBatch`,
    q.RecommendBatchPointsSchema,
    q.RecommendBatchResponseSchema,
    (request, { store }) =>
      batch(store, request.collectionName, 'recommend', request.recommendPoints.map(recommendBody)),
  ),
  unary(
    `${service}/RecommendGroups`,
    q.RecommendPointGroupsSchema,
    q.RecommendGroupsResponseSchema,
    (request, { store }) => groups(store, request.collectionName, 'recommend', recommendBody(request)),
  ),
  unary(`${service}/Discover`, q.DiscoverPointsSchema, q.DiscoverResponseSchema, (request, { store }) =>
    scored(store, request.collectionName, 'discover', discoverBody(request)),
  ),
  unary(`${service}/DiscoverBatch`, q.DiscoverBatchPointsSchema, q.DiscoverBatchResponseSchema, (request, { store }) =>
    batch(store, request.collectionName, 'discover', request.discoverPoints.map(discoverBody)),
  ),
  unary(`${service}/Query`, q.QueryPointsSchema, q.QueryResponseSchema, (request, { store }) =>
    scored(store, request.collectionName, 'query', readBody(request)),
  ),
  unary(`${service}/QueryBatch`, q.QueryBatchPointsSchema, q.QueryBatchResponseSchema, (request, { store }) =>
    batch(store, request.collectionName, 'query', request.queryPoints.map(readBody)),
  ),
  unary(`${service}/QueryGroups`, q.QueryPointGroupsSchema, q.QueryGroupsResponseSchema, (request, { store }) =>
    groups(store, request.collectionName, 'query', readBody(request)),
  ),
];

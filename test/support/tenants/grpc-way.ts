import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import { idMessage, payloadMessage } from '../fake-qdrant/grpc-values.ts';
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
import { levelInit, orderInit, strategyOf } from './grpc-query-init.ts';
import type { Reply, Target } from './ways.ts';
import { callGrpc } from './wire.ts';

type Fields = Record<string, unknown>;
type Call = { readonly method: string; readonly schema: DescMessage; readonly fields: Fields };

/** Asks an operation over gRPC; a refusal is a reply, too. */
export async function askGrpc({ grpcUrl, headers, collection }: Target, op: string, body: JsonObject): Promise<Reply> {
  const { name, bytes, schema } = messageOf(op, body, collection);
  const { code, message, body: answer } = await callGrpc(grpcUrl, `/qdrant.Points/${name}`, headers, bytes);
  return code === 0 ? { code, answer: toJson(schema, fromBinary(schema, answer)) as Json } : { code, answer: message };
}

/** The fields of a call with the name of its collection, in the entries of a batch of reads as well. */
function named(fields: Fields, collectionName: string): Fields {
  const { queryPoints } = fields;
  const entries = Array.isArray(queryPoints) && queryPoints.map((one: Fields) => ({ collectionName, ...one }));
  return { collectionName, ...fields, ...(entries && { queryPoints: entries }) };
}

interface Message {
  readonly name: string;
  readonly bytes: Buffer;
  readonly schema: DescMessage;
}

/** What was made last of a body: both ways ask the same in turn. */
const made = new WeakMap<JsonObject, Message & { readonly op: string; readonly collectionName: string }>();

/** A call as its message: the name of the method, the bytes, and the form of the answer. */
export function messageOf(op: string, body: JsonObject, collectionName: string): Message {
  const known = made.get(body);
  if (known?.op === op && known.collectionName === collectionName) return known;
  const message = newMessage(op, body, collectionName);
  made.set(body, { ...message, op, collectionName });
  return message;
}

function newMessage(op: string, body: JsonObject, collectionName: string): Message {
  const { method, schema, fields } = callOf(op, body);
  const name = `${method.slice(0, 1).toUpperCase()}${method.slice(1)}`;
  const request = REQUESTS[name];
  if (!request) throw new TypeError(`no message for ${name}`);
  const bytes = Buffer.from(toBinary(request, create(request, named(fields, collectionName) as never)));
  return { name, bytes, schema };
}

const REQUESTS: Readonly<Record<string, DescMessage>> = {
  Upsert: q.UpsertPointsSchema,
  UpdateVectors: q.UpdatePointVectorsSchema,
  Delete: q.DeletePointsSchema,
  DeleteVectors: q.DeletePointVectorsSchema,
  SetPayload: q.SetPayloadPointsSchema,
  OverwritePayload: q.SetPayloadPointsSchema,
  DeletePayload: q.DeletePayloadPointsSchema,
  ClearPayload: q.ClearPayloadPointsSchema,
  UpdateBatch: q.UpdateBatchPointsSchema,
  Get: q.GetPointsSchema,
  Scroll: q.ScrollPointsSchema,
  Count: q.CountPointsSchema,
  Facet: q.FacetCountsSchema,
  Query: q.QueryPointsSchema,
  QueryBatch: q.QueryBatchPointsSchema,
  QueryGroups: q.QueryPointGroupsSchema,
  Search: q.SearchPointsSchema,
  Recommend: q.RecommendPointsSchema,
  Discover: q.DiscoverPointsSchema,
  SearchMatrixPairs: q.SearchMatrixPointsSchema,
  SearchMatrixOffsets: q.SearchMatrixPointsSchema,
};

function callOf(op: string, body: JsonObject): Call {
  const read = READS[op];
  if (read !== undefined) return read(body);
  if (op === 'batch') {
    const operations = listOf(body.operations).flatMap((one) => Object.entries(objectOf(one)));
    const fields = operations.map(([name, inner]) => ({ operation: batched(name, objectOf(inner)) }));
    return { method: 'updateBatch', schema: q.UpdateBatchResponseSchema, fields: { wait: true, operations: fields } };
  }
  const method = op.replaceAll(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
  return { method, schema: q.PointsOperationResponseSchema, fields: { wait: true, ...writeFields(op, body) } };
}

// The members of the batch's oneof have the methods' names, but for two.
function batched(op: string, body: JsonObject): Fields {
  const name = op.replaceAll(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
  const value = writeFields(op, body);
  return { case: op === 'delete' ? 'deletePoints' : name, value };
}

const MODES: Readonly<Record<string, q.UpdateMode>> = { insert_only: 1, update_only: 2 };

function writeFields(op: string, body: JsonObject): Fields {
  const filter = filterInit(body.update_filter);
  const conditional = filter === undefined ? {} : { updateFilter: filter };
  switch (op) {
    case 'upsert': {
      const mode = textOf(body.update_mode);
      const points = pointsOf(body).map((one) => ({ ...vectorsInit(one), payload: payloadMessage(one.payload) }));
      return { points, ...conditional, ...(mode === undefined ? {} : { updateMode: MODES[mode] ?? 0 }) };
    }
    case 'update_vectors':
      return { points: listOf(body.points).map((one) => vectorsInit(objectOf(one))), ...conditional };
    case 'delete':
    case 'clear_payload':
      return { points: selectorInit(body) };
    case 'delete_vectors':
      return { pointsSelector: selectorInit(body), vectors: { names: listOf(body.vector) } };
    case 'delete_payload':
      return { pointsSelector: selectorInit(body), keys: listOf(body.keys) };
    default:
      return {
        pointsSelector: selectorInit(body),
        payload: payloadMessage(body.payload),
        ...(typeof body.key === 'string' ? { key: body.key } : {}),
      };
  }
}

// gRPC has no columns: a batch of REST becomes its points.
function pointsOf(body: JsonObject): JsonObject[] {
  if (!isObject(body.batch)) return listOf(body.points).map(objectOf);
  const { ids, vectors, payloads } = body.batch;
  const columns = Object.entries(objectOf(vectors));
  return listOf(ids).map((id, at) => ({
    id,
    vector: Object.fromEntries(columns.map(([name, column]) => [name, listOf(column)[at]])),
    payload: listOf(payloads)[at],
  }));
}

function selectorInit(body: JsonObject): Fields {
  return body.points === undefined
    ? { pointsSelectorOneOf: { case: 'filter', value: filterInit(body.filter) ?? {} } }
    : { pointsSelectorOneOf: { case: 'points', value: { ids: listOf(body.points).map(idMessage) } } };
}

function vectorsInit({ id, vector }: JsonObject): Fields {
  const named = Object.entries(objectOf(vector)).map(([name, value]) => [name, vectorInit(value ?? null)]);
  return {
    id: idMessage(id),
    vectors: { vectorsOptions: { case: 'vectors', value: { vectors: Object.fromEntries(named) } } },
  };
}

function vectorInit(value: Json): MessageInitShape<typeof q.VectorSchema> {
  if (isObject(value)) {
    const sparse = { indices: numbersOf(value.indices), values: numbersOf(value.values) };
    return { vector: { case: 'sparse', value: sparse } };
  }
  return { vector: { case: 'dense', value: { data: numbersOf(value) } } };
}

function shown({ with_payload: payload, with_vector: vector }: JsonObject): Fields {
  return {
    ...(payload === undefined ? {} : { withPayload: { selectorOptions: payloadChoice(payload) } }),
    ...(vector === undefined ? {} : { withVectors: { selectorOptions: vectorChoice(vector) } }),
  };
}

function payloadChoice(choice: Json): Fields {
  if (!isObject(choice)) return { case: 'enable', value: choice === true };
  const name = choice.include === undefined ? 'exclude' : 'include';
  return { case: name, value: { fields: listOf(choice[name]) } };
}

function vectorChoice(choice: Json): Fields {
  return Array.isArray(choice)
    ? { case: 'include', value: { names: choice } }
    : { case: 'enable', value: choice === true };
}

function offset({ offset: skipped }: JsonObject): Fields {
  return skipped === undefined ? {} : { offset: BigInt(numberOf(skipped, 0)) };
}

function filtered(body: JsonObject): Fields {
  const filter = filterInit(body.filter);
  return filter === undefined ? {} : { filter };
}

function limited({ limit }: JsonObject): Fields {
  return { limit: BigInt(numberOf(limit, 10)) };
}

// In the older forms, ids and vectors are told apart by field.
function examplesInit(name: 'positive' | 'negative', examples: Json | undefined): Fields {
  const list = listOf(examples);
  const ids = list.filter((one) => !Array.isArray(one)).map(idMessage);
  const vectors = list.filter(Array.isArray).map((one) => ({ data: numbersOf(one) }));
  return { [name]: ids, [`${name}Vectors`]: vectors };
}

function exampleInit(example: Json | undefined): Fields {
  const value = example ?? null;
  const choice = Array.isArray(value)
    ? { case: 'vector', value: { data: numbersOf(value) } }
    : { case: 'id', value: idMessage(value) };
  return { example: choice };
}

function searchInit(body: JsonObject): Fields {
  const { name, vector } = objectOf(body.vector);
  const { params } = levelInit({ params: body.params });
  const sparse = isObject(vector) ? vector : undefined;
  return {
    ...(params === undefined ? {} : { params }),
    vectorName: textOf(name) ?? '',
    vector: numbersOf(sparse === undefined ? (vector ?? null) : sparse.values),
    ...(sparse === undefined ? {} : { sparseIndices: { data: numbersOf(sparse.indices) } }),
  };
}

function matrix(method: string, schema: DescMessage): (body: JsonObject) => Call {
  return (body) => {
    const fields = {
      ...filtered(body),
      ...limited(body),
      sample: BigInt(numberOf(body.sample, 10)),
      using: textOf(body.using) ?? '',
    };
    return { method, schema, fields };
  };
}

const READS: Readonly<Record<string, (body: JsonObject) => Call>> = {
  retrieve: (body) => ({
    method: 'get',
    schema: q.GetResponseSchema,
    fields: { ids: listOf(body.ids).map(idMessage), ...shown(body) },
  }),
  retrieve_one: ({ id }) => ({ method: 'get', schema: q.GetResponseSchema, fields: { ids: [idMessage(id)] } }),
  scroll: (body) => ({
    method: 'scroll',
    schema: q.ScrollResponseSchema,
    fields: {
      ...filtered(body),
      ...shown(body),
      limit: numberOf(body.limit, 10),
      ...(body.offset === undefined ? {} : { offset: idMessage(body.offset) }),
      ...(body.order_by === undefined ? {} : { orderBy: orderInit(body.order_by) }),
    },
  }),
  count: (body) => ({ method: 'count', schema: q.CountResponseSchema, fields: { ...filtered(body), exact: true } }),
  facet: (body) => ({
    method: 'facet',
    schema: q.FacetResponseSchema,
    fields: { ...filtered(body), ...limited(body), key: textOf(body.key) ?? '', exact: body.exact === true },
  }),
  query: (body) => ({
    method: 'query',
    schema: q.QueryResponseSchema,
    fields: { ...levelInit(body), ...offset(body), ...shown(body) },
  }),
  query_batch: (body) => ({
    method: 'queryBatch',
    schema: q.QueryBatchResponseSchema,
    fields: {
      queryPoints: listOf(body.searches).map((one) => ({ ...levelInit(objectOf(one)), ...offset(objectOf(one)) })),
    },
  }),
  query_groups: (body) => ({
    method: 'queryGroups',
    schema: q.QueryGroupsResponseSchema,
    fields: {
      ...levelInit(body),
      groupBy: textOf(body.group_by) ?? '',
      groupSize: BigInt(numberOf(body.group_size, 3)),
    },
  }),
  search: (body) => ({
    method: 'search',
    schema: q.SearchResponseSchema,
    fields: { ...filtered(body), ...limited(body), ...shown(body), ...searchInit(body) },
  }),
  recommend: (body) => ({
    method: 'recommend',
    schema: q.RecommendResponseSchema,
    fields: {
      ...filtered(body),
      ...limited(body),
      ...examplesInit('positive', body.positive),
      ...examplesInit('negative', body.negative),
      using: textOf(body.using) ?? '',
      strategy: strategyOf(body.strategy),
    },
  }),
  discover: (body) => ({
    method: 'discover',
    schema: q.DiscoverResponseSchema,
    fields: {
      ...filtered(body),
      ...limited(body),
      using: textOf(body.using) ?? '',
      target: { target: { case: 'single', value: exampleInit(body.target) } },
      context: listOf(body.context)
        .map(objectOf)
        .map(({ positive, negative }) => ({ positive: exampleInit(positive), negative: exampleInit(negative) })),
    },
  }),
  matrix_pairs: matrix('searchMatrixPairs', q.SearchMatrixPairsResponseSchema),
  matrix_offsets: matrix('searchMatrixOffsets', q.SearchMatrixOffsetsResponseSchema),
};

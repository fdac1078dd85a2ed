import * as q from '@qdrant/js-client-grpc';
import { type FieldType, FieldTypeSchema } from '@qdrant/js-client-grpc';
import { createVectorName, deleteVectorName } from './collections.ts';
import { filterJson } from './grpc-filter.ts';
import { GrpcFault } from './grpc-frames.ts';
import { type GrpcMethod, unary } from './grpc-method.ts';
import { updateMessage } from './grpc-results.ts';
import { idJson, integerJson, payloadJson, vectorsJson } from './grpc-values.ts';
import type { Json, JsonObject } from './json.ts';
import { createIndex, deleteIndex, write } from './points.ts';

const time = 0.00001;
const service = '/qdrant.Points';

function selectorJson(selector: q.PointsSelector | undefined, missing = 'points_selector is expected'): JsonObject {
  if (selector === undefined) {
    throw new GrpcFault(3, missing);
  }
  const option = selector.pointsSelectorOneOf;
  switch (option.case) {
    case 'points':
      return { points: option.value.ids.map(idJson) };
    case 'filter':
      return { filter: filterJson(option.value) ?? {} };
    default:
      throw new GrpcFault(3, 'Malformed PointsSelector type');
  }
}

// Upstream: the two operations that need nothing but a selector call it otherwise.
function onlySelectorJson(selector: q.PointsSelector | undefined): JsonObject {
  return selectorJson(selector, 'PointSelector is missing');
}

function structs(points: q.PointStruct[]): Json[] {
  return points.map(({ id, payload, vectors }) => ({
    id: idJson(id),
    payload: payloadJson(payload),
    vector: vectorsJson(vectors) ?? {},
  }));
}

function updateVectorsBody(request: q.UpdatePointVectors | q.PointsUpdateOperation_UpdateVectors): JsonObject {
  const points = request.points.map(({ id, vectors }) => {
    if (id === undefined || vectors === undefined) {
      throw new GrpcFault(3, `${id === undefined ? 'id' : 'vectors'} is expected`);
    }
    return { id: idJson(id), vector: vectorsJson(vectors) ?? {} };
  });
  return { points, update_filter: filterJson(request.updateFilter) };
}

function deleteVectorsBody(request: q.DeletePointVectors | q.PointsUpdateOperation_DeleteVectors): JsonObject {
  const selector = selectorJson(request.pointsSelector);
  if (request.vectors === undefined) {
    throw new GrpcFault(3, 'vectors is expected');
  }
  return { ...selector, vector: request.vectors.names };
}

const updateModes = ['upsert', 'insert_only', 'update_only'];

function upsertBody(request: q.UpsertPoints | q.PointsUpdateOperation_PointStructList): JsonObject {
  const mode = updateModes[request.updateMode ?? 0];
  return { points: structs(request.points), update_filter: filterJson(request.updateFilter), update_mode: mode };
}

type PayloadChange = { payload: { [key: string]: q.Value }; pointsSelector?: q.PointsSelector | undefined };

function payloadBody(request: PayloadChange & { key?: string | undefined }): JsonObject {
  return { ...selectorJson(request.pointsSelector), payload: payloadJson(request.payload), key: request.key };
}

type Operation = [string, JsonObject];

// One case per member of the batch's oneof.
function batchOperation(operation: q.PointsUpdateOperation['operation']): Operation {
  switch (operation.case) {
    case 'upsert':
      return ['upsert', upsertBody(operation.value)];
    case 'deletePoints':
      return ['delete', onlySelectorJson(operation.value.points)];
    case 'deleteDeprecated':
      return ['delete', onlySelectorJson(operation.value)];
    case 'setPayload':
      return ['set_payload', payloadBody(operation.value)];
    case 'overwritePayload':
      return ['overwrite_payload', payloadBody(operation.value)];
    case 'deletePayload':
      return ['delete_payload', { ...selectorJson(operation.value.pointsSelector), keys: operation.value.keys }];
    case 'clearPayload':
      return ['clear_payload', onlySelectorJson(operation.value.points)];
    case 'clearPayloadDeprecated':
      return ['clear_payload', onlySelectorJson(operation.value)];
    case 'updateVectors':
      return ['update_vectors', updateVectorsBody(operation.value)];
    case 'deleteVectors':
      return ['delete_vectors', deleteVectorsBody(operation.value)];
    default:
      throw new GrpcFault(3, 'Operation is missing');
  }
}

type WriteRequest = { collectionName: string; wait?: boolean | undefined };

function written(store: Parameters<typeof write>[0], request: WriteRequest, operation: string, body: JsonObject) {
  const result = write(store, request.collectionName, operation, body, request.wait === true);
  return { result: updateMessage(result), time };
}

function indexSchema(request: q.CreateFieldIndexCollection): Json {
  const params = request.fieldIndexParams?.indexParams;
  const type = params?.case?.replace('IndexParams', '') ?? fieldTypeName(request.fieldType);
  return params?.case === undefined ? type : { type };
}

function fieldTypeName(type: FieldType | undefined): string {
  const value = FieldTypeSchema.values.find(({ number }) => number === (type ?? 0));
  return value?.name.replace('FieldType', '').toLowerCase() ?? 'keyword';
}

function denseConfig(config: q.DenseVectorCreationConfig): JsonObject {
  return { size: integerJson(config.size), distance: q.Distance[config.distance] };
}

const response = q.PointsOperationResponseSchema;

/** The methods of qdrant.Points that write. */
export const pointWriteMethods: GrpcMethod[] = [
  unary(`${service}/Upsert`, q.UpsertPointsSchema, response, (request, { store }) =>
    written(store, request, 'upsert', upsertBody(request)),
  ),
  unary(`${service}/Delete`, q.DeletePointsSchema, response, (request, { store }) =>
    written(store, request, 'delete', onlySelectorJson(request.points)),
  ),
  unary(`${service}/UpdateVectors`, q.UpdatePointVectorsSchema, response, (request, { store }) =>
    written(store, request, 'update_vectors', updateVectorsBody(request)),
  ),
  unary(`${service}/DeleteVectors`, q.DeletePointVectorsSchema, response, (request, { store }) =>
    written(store, request, 'delete_vectors', deleteVectorsBody(request)),
  ),
  unary(`${service}/SetPayload`, q.SetPayloadPointsSchema, response, (request, { store }) =>
    written(store, request, 'set_payload', payloadBody(request)),
  ),
  unary(`${service}/OverwritePayload`, q.SetPayloadPointsSchema, response, (request, { store }) =>
    written(store, request, 'overwrite_payload', payloadBody(request)),
  ),
  unary(`${service}/DeletePayload`, q.DeletePayloadPointsSchema, response, (request, { store }) =>
    written(store, request, 'delete_payload', { ...selectorJson(request.pointsSelector), keys: request.keys }),
  ),
  unary(`${service}/ClearPayload`, q.ClearPayloadPointsSchema, response, (request, { store }) =>
    written(store, request, 'clear_payload', onlySelectorJson(request.points)),
  ),
  unary(`${service}/UpdateBatch`, q.UpdateBatchPointsSchema, q.UpdateBatchResponseSchema, (request, { store }) => {
    if (request.operations.length === 0) {
      const text = 'value [] invalid, must be at least 1 characters';
      throw new GrpcFault(3, `Validation error in body: [operations: ${text}]`);
    }
    const results = request.operations.map(({ operation }) => written(store, request, ...batchOperation(operation)));
    return { result: results.map(({ result }) => result), time };
  }),
  unary(`${service}/CreateFieldIndex`, q.CreateFieldIndexCollectionSchema, response, (request, { store }) => {
    const body = { field_name: request.fieldName, field_schema: indexSchema(request) };
    return { result: updateMessage(createIndex(store, request.collectionName, body)), time };
  }),
  unary(`${service}/DeleteFieldIndex`, q.DeleteFieldIndexCollectionSchema, response, (request, { store }) => ({
    result: updateMessage(deleteIndex(store, request.collectionName, request.fieldName)),
    time,
  })),
  unary(`${service}/CreateVectorName`, q.CreateVectorNameRequestSchema, response, (request, { store }) => {
    const { vectorConfig: config, collectionName, vectorName } = request;
    const body = config.case === 'denseConfig' ? { dense: denseConfig(config.value) } : { sparse: {} };
    return { result: updateMessage(createVectorName(store, collectionName, vectorName, body)), time };
  }),
  unary(`${service}/DeleteVectorName`, q.DeleteVectorNameRequestSchema, response, (request, { store }) => ({
    result: updateMessage(deleteVectorName(store, request.collectionName, request.vectorName)),
    time,
  })),
];

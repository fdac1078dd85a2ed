import type { MessageInitShape } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import {
  changeAliases,
  collectionInfo,
  createCollection,
  deleteCollection,
  listAliases,
  listCollections,
  updateCollection,
} from './collections.ts';
import { diffsJson, settingsJson, settingsMessage } from './grpc-config.ts';
import { type GrpcMethod, unary } from './grpc-method.ts';
import { integerJson, payloadJson, payloadMessage } from './grpc-values.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, objectOf, textOf } from './json.ts';

const time = 0.00001;
const collections = '/qdrant.Collections';

function paramsJson(params: q.VectorParams): JsonObject {
  return {
    size: integerJson(params.size),
    distance: q.Distance[params.distance],
    on_disk: params.onDisk,
    hnsw_config: params.hnswConfig === undefined ? undefined : settingsJson(q.HnswConfigDiffSchema, params.hnswConfig),
    multivector_config: params.multivectorConfig === undefined ? undefined : { comparator: 'max_sim' },
  };
}

function vectorsConfigJson(config: q.VectorsConfig | undefined): JsonObject {
  const option = config?.config;
  if (option?.case === 'paramsMap') {
    const named = Object.entries(option.value.map);
    return Object.fromEntries(named.map(([name, params]) => [name, paramsJson(params)]));
  }
  return option?.case === 'params' ? paramsJson(option.value) : {};
}

function sparseConfigJson(config: q.SparseVectorConfig | undefined): JsonObject | undefined {
  const named = Object.entries(config?.map ?? {}).map(([name, { modifier }]) => [
    name,
    modifier === q.Modifier.Idf ? { modifier: 'idf' } : {},
  ]);
  return named.length === 0 ? undefined : Object.fromEntries(named);
}

function sparseConfigMessage(sparse: JsonObject) {
  const named = Object.entries(sparse).map(([name, params]) => [
    name,
    isObject(params) && params.modifier === 'idf' ? { modifier: q.Modifier.Idf } : {},
  ]);
  return { map: Object.fromEntries(named) };
}

function paramsMessage(params: JsonObject): MessageInitShape<typeof q.VectorParamsSchema> {
  const distance = q.DistanceSchema.values.find(({ name }) => name === params.distance)?.number ?? 0;
  return {
    size: BigInt(numberOf(params.size, 0)),
    distance,
    ...(typeof params.on_disk === 'boolean' ? { onDisk: params.on_disk } : {}),
    ...(isObject(params.hnsw_config)
      ? { hnswConfig: settingsMessage(q.HnswConfigDiffSchema, params.hnsw_config) }
      : {}),
    ...(isObject(params.multivector_config)
      ? { multivectorConfig: { comparator: q.MultiVectorComparator.MaxSim } }
      : {}),
  };
}

function vectorsConfigMessage(vectors: Json | undefined): MessageInitShape<typeof q.VectorsConfigSchema> {
  if (!isObject(vectors)) {
    return {};
  }
  if (vectors.size !== undefined && !isObject(vectors.size)) {
    return { config: { case: 'params', value: paramsMessage(vectors) } };
  }
  const named = Object.entries(vectors).map(([name, params]) => [name, paramsMessage(objectOf(params))]);
  return { config: { case: 'paramsMap', value: { map: Object.fromEntries(named) } } };
}

function schemaMessage(schema: Json | undefined): [string, MessageInitShape<typeof q.PayloadSchemaInfoSchema>][] {
  return Object.entries(objectOf(schema)).map(([field, value]) => {
    const { data_type: type, points } = objectOf(value);
    const wanted = textOf(type)?.toLowerCase();
    const dataType = q.PayloadSchemaTypeSchema.values.find(({ name }) => name.toLowerCase() === wanted)?.number ?? 0;
    return [field, { dataType, points: BigInt(numberOf(points, 0)) }];
  });
}

function infoMessage(info: JsonObject): MessageInitShape<typeof q.CollectionInfoSchema> {
  const config = objectOf(info.config);
  const params = objectOf(config.params);
  return {
    status: q.CollectionStatus.Green,
    optimizerStatus: { ok: true },
    segmentsCount: 1n,
    pointsCount: BigInt(numberOf(info.points_count, 0)),
    indexedVectorsCount: 0n,
    payloadSchema: Object.fromEntries(schemaMessage(info.payload_schema)),
    config: {
      params: {
        shardNumber: numberOf(params.shard_number, 1),
        onDiskPayload: params.on_disk_payload !== false,
        vectorsConfig: vectorsConfigMessage(params.vectors),
        replicationFactor: numberOf(params.replication_factor, 1),
        writeConsistencyFactor: numberOf(params.write_consistency_factor, 1),
        ...(params.sharding_method === 'custom' && { shardingMethod: q.ShardingMethod.Custom }),
        ...(isObject(params.sparse_vectors) ? { sparseVectorsConfig: sparseConfigMessage(params.sparse_vectors) } : {}),
      },
      hnswConfig: settingsMessage(q.HnswConfigDiffSchema, config.hnsw_config),
      optimizerConfig: settingsMessage(q.OptimizersConfigDiffSchema, config.optimizer_config),
      walConfig: settingsMessage(q.WalConfigDiffSchema, config.wal_config),
      ...(isObject(config.strict_mode_config)
        ? { strictModeConfig: settingsMessage(q.StrictModeConfigSchema, config.strict_mode_config) }
        : {}),
      metadata: payloadMessage(config.metadata),
    },
  };
}

function actionJson(operation: q.AliasOperations): JsonObject {
  const { action } = operation;
  switch (action.case) {
    case 'createAlias':
      return { create_alias: { collection_name: action.value.collectionName, alias_name: action.value.aliasName } };
    case 'renameAlias':
      return {
        rename_alias: { old_alias_name: action.value.oldAliasName, new_alias_name: action.value.newAliasName },
      };
    case 'deleteAlias':
      return { delete_alias: { alias_name: action.value.aliasName } };
    default:
      return {};
  }
}

function aliasesMessage(result: JsonObject) {
  const aliases = listOf(result.aliases).map((item) => {
    const { alias_name: alias, collection_name: collection } = objectOf(item);
    return { aliasName: textOf(alias) ?? '', collectionName: textOf(collection) ?? '' };
  });
  return { aliases, time };
}

const done = q.CollectionOperationResponseSchema;

/** The methods of qdrant.Collections that work on the store. */
export const collectionMethods: GrpcMethod[] = [
  unary(`${collections}/Get`, q.GetCollectionInfoRequestSchema, q.GetCollectionInfoResponseSchema, (r, { store }) => ({
    result: infoMessage(collectionInfo(store, r.collectionName)),
    time,
  })),
  unary(`${collections}/List`, q.ListCollectionsRequestSchema, q.ListCollectionsResponseSchema, (_r, { store }) => ({
    collections: listOf(listCollections(store).collections).map((item) => ({
      name: textOf(objectOf(item).name) ?? '',
    })),
    time,
  })),
  unary(`${collections}/Create`, q.CreateCollectionSchema, done, (request, { store }) => {
    const body: JsonObject = {
      vectors: vectorsConfigJson(request.vectorsConfig),
      sparse_vectors: sparseConfigJson(request.sparseVectorsConfig),
      shard_number: request.shardNumber,
      replication_factor: request.replicationFactor,
      write_consistency_factor: request.writeConsistencyFactor,
      on_disk_payload: request.onDiskPayload,
      metadata: Object.keys(request.metadata).length === 0 ? undefined : payloadJson(request.metadata),
      ...diffsJson(request),
    };
    return { result: createCollection(store, request.collectionName, body) === true, time };
  }),
  unary(`${collections}/Update`, q.UpdateCollectionSchema, done, (request, { store }) => ({
    result: updateCollection(store, request.collectionName, diffsJson(request)) === true,
    time,
  })),
  unary(`${collections}/Delete`, q.DeleteCollectionSchema, done, (request, { store }) => ({
    result: deleteCollection(store, request.collectionName) === true,
    time,
  })),
  unary(`${collections}/UpdateAliases`, q.ChangeAliasesSchema, done, (request, { store }) => ({
    result: changeAliases(store, { actions: request.actions.map(actionJson) }) === true,
    time,
  })),
  unary(
    `${collections}/ListCollectionAliases`,
    q.ListCollectionAliasesRequestSchema,
    q.ListAliasesResponseSchema,
    (request, { store }) => aliasesMessage(listAliases(store, request.collectionName)),
  ),
  unary(`${collections}/ListAliases`, q.ListAliasesRequestSchema, q.ListAliasesResponseSchema, (_request, { store }) =>
    aliasesMessage(listAliases(store)),
  ),
  unary(
    `${collections}/CollectionExists`,
    q.CollectionExistsRequestSchema,
    q.CollectionExistsResponseSchema,
    (request, { store }) => ({ result: { exists: store.has(request.collectionName) }, time }),
  ),
];

import { Fault, wrongInput } from './fault.ts';
import { isEmptyAt } from './field-condition.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, objectOf, textOf } from './json.ts';
import { type Collection, denseParams, type Store } from './store.ts';

const defaultConfig: JsonObject = {
  hnsw_config: { m: 16, ef_construct: 100, full_scan_threshold: 10000, max_indexing_threads: 0, on_disk: false },
  optimizer_config: {
    deleted_threshold: 0.2,
    vacuum_min_vector_number: 1000,
    default_segment_number: 0,
    max_segment_size: null,
    memmap_threshold: null,
    indexing_threshold: 10000,
    flush_interval_sec: 5,
    max_optimization_threads: null,
    prevent_unoptimized: null,
  },
  wal_config: { wal_capacity_mb: 32, wal_segments_ahead: 0, wal_retain_closed: 1 },
  quantization_config: null,
};

/** Refuses names Qdrant does not take: 1 to 255 characters, no slash (422 as in v1.18.3). */
export function checkName(name: string): void {
  const length = [...name].length;
  if (length < 1 || length > 255 || /[/\0]/.test(name)) {
    throw new Fault('unprocessable', `Validation error in path parameters: [name: value "${name}" invalid]`);
  }
}

/** Makes a collection from the body of PUT /collections/{name}; answers true. */
export function createCollection(store: Store, name: string, body: JsonObject): Json {
  checkName(name);
  if (store.has(name)) {
    throw new Fault('already-exists', `Wrong input: Collection \`${name}\` already exists!`);
  }
  if (/[<>:"\\|?*]/.test(name)) {
    throw new Fault('unprocessable', `Validation error in path parameters: [name: value "${name}" invalid]`);
  }
  const collection: Collection = {
    name,
    params: {
      vectors: body.vectors ?? {},
      shard_number: body.shard_number ?? 1,
      replication_factor: body.replication_factor ?? 1,
      write_consistency_factor: body.write_consistency_factor ?? 1,
      on_disk_payload: body.on_disk_payload ?? true,
      sparse_vectors: body.sparse_vectors ?? undefined,
      // Shard keys are not looked at: there is one shard.
      sharding_method: body.sharding_method ?? undefined,
    },
    config: mergedConfig(defaultConfig, body),
    points: new Map(),
    indexes: new Map(),
    snapshots: new Map(),
    shardSnapshots: new Map(),
  };
  checkVectorParams(collection);
  store.collections.set(name, collection);
  return true;
}

function checkVectorParams(collection: Collection): void {
  const vectors = objectOf(collection.params.vectors);
  const names = vectors.size === undefined || isObject(vectors.size) ? Object.keys(vectors) : [''];
  for (const name of names) {
    const params = denseParams(collection, name);
    if (params === undefined || params.size < 1 || params.size > 65_536) {
      throw new Fault('unprocessable', 'Validation error in JSON body: [vectors.size: value invalid]');
    }
    if (!['Cosine', 'Dot', 'Euclid', 'Manhattan'].includes(params.distance)) {
      throw new Fault('bad-input', `Format error in JSON body: unknown variant \`${params.distance}\``);
    }
  }
}

function mergedConfig(config: JsonObject, body: JsonObject): JsonObject {
  const part = (now: Json | undefined, change: Json | undefined): Json =>
    isObject(now) && isObject(change) ? { ...now, ...change } : (change ?? now ?? null);
  return {
    ...config,
    hnsw_config: part(config.hnsw_config, body.hnsw_config),
    optimizer_config: part(config.optimizer_config, body.optimizers_config),
    wal_config: part(config.wal_config, body.wal_config),
    quantization_config: part(config.quantization_config, body.quantization_config),
    strict_mode_config: part(config.strict_mode_config, body.strict_mode_config) ?? undefined,
    metadata: body.metadata ?? config.metadata,
  };
}

/** Changes settings by the body of PATCH /collections/{name}; answers true. */
export function updateCollection(store: Store, name: string, body: JsonObject): Json {
  const collection = store.find(name);
  collection.config = mergedConfig(collection.config, body);
  if (isObject(body.params)) {
    collection.params = { ...collection.params, ...body.params };
  }
  return true;
}

/** Deletes a collection and its aliases; answers whether there was one. */
export function deleteCollection(store: Store, name: string): Json {
  for (const [alias, target] of store.aliases) {
    if (target === name) {
      store.aliases.delete(alias);
    }
  }
  return store.collections.delete(name);
}

/** The answer of GET /collections/{name}. */
export function collectionInfo(store: Store, name: string): JsonObject {
  const collection = store.find(name);
  const schema: JsonObject = {};
  for (const [field, params] of collection.indexes) {
    const type = isObject(params) ? params.type : params;
    const count = [...collection.points.values()].filter((point) => !isEmptyAt(point.payload, field)).length;
    schema[field] = { data_type: type, params: isObject(params) ? params : undefined, points: count };
  }
  return {
    status: 'green',
    optimizer_status: 'ok',
    indexed_vectors_count: 0,
    points_count: collection.points.size,
    segments_count: 1,
    config: { params: collection.params, ...collection.config },
    payload_schema: schema,
    update_queue: { length: 0 },
  };
}

/** The answer of GET /collections. */
export function listCollections(store: Store): JsonObject {
  return { collections: [...store.collections.keys()].map((name) => ({ name })) };
}

/** All aliases, or those of one collection. */
export function listAliases(store: Store, name?: string): JsonObject {
  const target = name === undefined ? undefined : store.find(name).name;
  const pairs = [...store.aliases].filter(([, collection]) => target === undefined || collection === target);
  return { aliases: pairs.map(([alias_name, collection_name]) => ({ alias_name, collection_name })) };
}

/** Carries out create_alias, rename_alias and delete_alias actions in order; answers true. */
export function changeAliases(store: Store, body: JsonObject): Json {
  for (const action of listOf(body.actions).map(objectOf)) {
    if (isObject(action.create_alias)) {
      const alias = textOf(action.create_alias.alias_name) ?? '';
      if (store.collections.has(alias)) {
        throw new Fault('already-exists', `Wrong input: Collection \`${alias}\` already exists!`);
      }
      store.aliases.set(alias, store.find(textOf(action.create_alias.collection_name) ?? '').name);
    } else if (isObject(action.rename_alias)) {
      const from = textOf(action.rename_alias.old_alias_name) ?? '';
      store.aliases.set(textOf(action.rename_alias.new_alias_name) ?? '', aliasTarget(store, from));
      store.aliases.delete(from);
    } else if (isObject(action.delete_alias)) {
      store.aliases.delete(textOf(action.delete_alias.alias_name) ?? '');
    } else {
      throw new Fault('bad-input', 'Format error in JSON body: unknown alias action');
    }
  }
  return true;
}

function aliasTarget(store: Store, alias: string): string {
  const target = store.aliases.get(alias);
  if (target === undefined) {
    throw new Fault('not-found', `Not found: Alias \`${alias}\` doesn't exists!`);
  }
  return target;
}

/** Adds a vector name; answers like a point write. */
export function createVectorName(store: Store, name: string, vector: string, body: JsonObject): Json {
  const collection = store.find(name);
  const dense = isObject(body.dense) ? body.dense : undefined;
  const key = dense === undefined ? 'sparse_vectors' : 'vectors';
  const before = collection.params[key];
  if (dense !== undefined && numberOf(dense.size, 0) < 1) {
    throw wrongInput('vector size must be at least 1');
  }
  const isSingle = isObject(before) && before.size !== undefined && !isObject(before.size);
  const named: JsonObject = isSingle ? { '': before } : { ...(isObject(before) ? before : {}) };
  collection.params = { ...collection.params, [key]: { ...named, [vector]: dense ?? body.sparse ?? {} } };
  return { operation_id: store.nextOperation(), status: 'completed' };
}

/** Removes a vector name from the settings and from all points. */
export function deleteVectorName(store: Store, name: string, vector: string): Json {
  const collection = store.find(name);
  for (const key of ['vectors', 'sparse_vectors']) {
    const before = collection.params[key];
    if (isObject(before)) {
      const { [vector]: _gone, ...rest } = before;
      collection.params = { ...collection.params, [key]: rest };
    }
  }
  for (const point of collection.points.values()) {
    point.vectors.delete(vector);
  }
  return { operation_id: store.nextOperation(), status: 'completed' };
}

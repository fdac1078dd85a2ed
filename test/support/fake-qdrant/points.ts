import { Fault, wrongInput } from './fault.ts';
import { passes } from './filter.ts';
import { isObject, type Json, type JsonObject, listOf, objectOf, textOf } from './json.ts';
import { withoutPath } from './paths.ts';
import { type Collection, type Point, pointIdOf, type Store, unknownVectorName } from './store.ts';
import { vectorsOf } from './vectors.ts';

type Write = (collection: Collection, body: JsonObject, version: number) => void;

/** The write operations by the names they have in an update batch; bodies are in REST form. */
export const writes: Record<string, Write> = {
  upsert,
  delete: (collection, body) => {
    for (const point of selected(collection, body)) {
      collection.points.delete(point.id);
    }
  },
  set_payload: (collection, body, version) => {
    const payload = objectOf(body.payload);
    const key = textOf(body.key);
    for (const point of selected(collection, body)) {
      point.payload = key === undefined ? { ...point.payload, ...payload } : mergedAt(point.payload, key, payload);
      point.version = version;
    }
  },
  overwrite_payload: (collection, body, version) => {
    for (const point of selected(collection, body)) {
      point.payload = { ...objectOf(body.payload) };
      point.version = version;
    }
  },
  delete_payload: (collection, body, version) => {
    const keys = listOf(body.keys).map((key) => textOf(key) ?? '');
    for (const point of selected(collection, body)) {
      point.payload = keys.reduce(withoutPath, point.payload);
      point.version = version;
    }
  },
  clear_payload: (collection, body, version) => {
    for (const point of selected(collection, body)) {
      point.payload = {};
      point.version = version;
    }
  },
  update_vectors: updateVectors,
  delete_vectors: deleteVectors,
};

/** Carries out one write; answers operation id and status as PUT /collections/{name}/points does. */
export function write(store: Store, name: string, operation: string, body: JsonObject, wait: boolean): JsonObject {
  const collection = store.find(name);
  const version = store.nextOperation();
  const act = Object.hasOwn(writes, operation) ? writes[operation] : undefined;
  if (act === undefined) {
    throw new Fault('bad-input', `Format error in JSON body: unknown variant \`${operation}\``);
  }
  act(collection, body, version);
  return { operation_id: version, status: wait ? 'completed' : 'acknowledged' };
}

/** Carries out the operations of an update batch in order; answers one result each. */
export function writeBatch(store: Store, name: string, body: JsonObject, wait: boolean): Json {
  return listOf(body.operations).map((item) => {
    const [entry] = Object.entries(objectOf(item));
    if (entry === undefined) {
      throw new Fault('bad-input', 'Format error in JSON body: no operation named');
    }
    return write(store, name, entry[0], objectOf(entry[1]), wait);
  });
}

/** Remembers a payload index; the schema is a type name or an object with `type`. */
export function createIndex(store: Store, name: string, body: JsonObject): JsonObject {
  const collection = store.find(name);
  const field = textOf(body.field_name);
  if (field === undefined) {
    throw new Fault('bad-input', 'Format error in JSON body: missing field `field_name`');
  }
  const schema = body.field_schema ?? body.field_type;
  if (schema === undefined || schema === null) {
    throw wrongInput('Cannot detect the field type from the data, specify it explicitly');
  }
  collection.indexes.set(field, schema);
  return { operation_id: store.nextOperation(), status: 'acknowledged' };
}

/** Forgets a payload index; an unknown one is no fault. */
export function deleteIndex(store: Store, name: string, field: string): JsonObject {
  store.find(name).indexes.delete(field);
  return { operation_id: store.nextOperation(), status: 'acknowledged' };
}

function upsert(collection: Collection, body: JsonObject, version: number): void {
  const points = pointsOf(body).map((item): Point => {
    const payload = isObject(item.payload) ? item.payload : {};
    const vectors = vectorsOf(collection, item.vector ?? item.vectors);
    return { id: pointIdOf(item.id), version, vectors, payload };
  });
  for (const point of points) {
    const exists = collection.points.get(point.id);
    if (body.update_mode === 'insert_only' ? exists !== undefined : body.update_mode === 'update_only' && !exists) {
      continue;
    }
    if (exists === undefined || passes(exists, body.update_filter)) {
      collection.points.set(point.id, point);
    }
  }
}

function pointsOf(body: JsonObject): JsonObject[] {
  if (Array.isArray(body.points)) {
    return body.points.map(objectOf);
  }
  const batch = objectOf(body.batch);
  const ids = listOf(batch.ids);
  const payloads = listOf(batch.payloads);
  return ids.map((id, at) => ({ id, vector: batchVector(batch.vectors, at), payload: payloads[at] }));
}

function batchVector(vectors: Json | undefined, at: number): Json | undefined {
  if (!isObject(vectors)) {
    return listOf(vectors)[at];
  }
  const named: JsonObject = {};
  for (const [name, column] of Object.entries(vectors)) {
    named[name] = listOf(column)[at];
  }
  return named;
}

/** The points a selector (`points` or `filter`) means; unknown ids are passed over. */
export function selected(collection: Collection, body: JsonObject): Point[] {
  if (body.points !== undefined && body.points !== null) {
    return listOf(body.points).flatMap((id) => collection.points.get(pointIdOf(id)) ?? []);
  }
  if (body.filter === undefined || body.filter === null) {
    throw new Fault('bad-input', 'Format error in JSON body: either list of point ids or filter must be provided');
  }
  return [...collection.points.values()].filter((point) => passes(point, body.filter));
}

function updateVectors(collection: Collection, body: JsonObject, version: number): void {
  for (const item of listOf(body.points).map(objectOf)) {
    const id = pointIdOf(item.id);
    const point = collection.points.get(id);
    if (point === undefined) {
      throw new Fault('not-found', `Not found: No point with id ${id} found`);
    }
    for (const [name, vector] of vectorsOf(collection, item.vector ?? item.vectors)) {
      point.vectors.set(name, vector);
    }
    point.version = version;
  }
}

function deleteVectors(collection: Collection, body: JsonObject, version: number): void {
  const names = listOf(body.vector ?? body.vectors).map((name) => textOf(name) ?? '');
  for (const name of names) {
    const { vectors, sparse_vectors: sparse } = collection.params;
    const known = [vectors, sparse].some((params) => isObject(params) && (params[name] !== undefined || name === ''));
    if (!known) {
      throw unknownVectorName(name);
    }
  }
  for (const point of selected(collection, body)) {
    for (const name of names) {
      point.vectors.delete(name);
    }
    point.version = version;
  }
}

function mergedAt(payload: JsonObject, key: string, change: JsonObject): JsonObject {
  const [head, ...rest] = key.split('.');
  if (head === undefined) {
    return payload;
  }
  const before = payload[head];
  const inner = isObject(before) ? before : {};
  const merged = rest.length === 0 ? { ...inner, ...change } : mergedAt(inner, rest.join('.'), change);
  return { ...payload, [head]: merged };
}

import { badRequest, Fault, LateFault, missingPoint } from './fault.ts';
import { passes } from './filter.ts';
import { isObject, type Json, type JsonObject, listOf, objectOf, textOf } from './json.ts';
import { merged, pathOf, withMerged, withoutPath } from './paths.ts';
import { type Collection, type Point, type PointId, pointIdOf } from './store.ts';
import { vectorsOf } from './vectors.ts';

type Write = (collection: Collection, body: JsonObject, version: number) => void;

/** Upstream changes so many points at a time, and looks for missing ones after each such part. */
const PART = 32;

/** The write operations by the names they have in an update batch; bodies are in REST form. Upstream: v1.19.0. */
export const writes: Record<string, Write> = {
  upsert,
  // The only one for which missing points are no fault.
  delete: (collection, body) => {
    for (const id of selected(collection, body)) {
      collection.points.delete(id);
    }
  },
  set_payload: (collection, body, version) => {
    const payload = objectOf(body.payload);
    const key = textOf(body.key);
    changePayloads(collection, body, version, (before) =>
      key === undefined ? merged(before, payload) : withMerged(before, key, payload),
    );
  },
  overwrite_payload: (collection, body, version) => {
    const payload = objectOf(body.payload);
    changePayloads(collection, body, version, () => ({ ...payload }));
  },
  delete_payload: (collection, body, version) => {
    const keys = listOf(body.keys).map((key) => textOf(key) ?? '');
    // An unreadable path is refused even where there is no point.
    keys.forEach(pathOf);
    changePayloads(collection, body, version, (before) => keys.reduce(withoutPath, before));
  },
  clear_payload: (collection, body, version) => changePayloads(collection, body, version, () => ({})),
  update_vectors: updateVectors,
  delete_vectors: deleteVectors,
};

type PayloadChange = (payload: JsonObject) => JsonObject;

function changePayloads(collection: Collection, body: JsonObject, version: number, change: PayloadChange): void {
  const key = textOf(body.key);
  if (key !== undefined) {
    pathOf(key);
  }
  changeEach(collection, selected(collection, body), version, (point) => {
    point.payload = change(point.payload);
  });
}

function changeEach(
  collection: Collection,
  ids: readonly PointId[],
  version: number,
  change: (point: Point) => void,
): void {
  for (let at = 0; at < ids.length; at += PART) {
    const part = ids.slice(at, at + PART);
    for (const id of part) {
      const point = collection.points.get(id);
      if (point !== undefined) {
        change(point);
        point.version = version;
      }
    }
    const missing = part.find((id) => !collection.points.has(id));
    if (missing !== undefined) {
      throw missingPoint(missing);
    }
  }
}

/** The ids that a selector means: `points` as they stand, before a `filter` that stands beside them. */
function selected(collection: Collection, body: JsonObject): PointId[] {
  if (body.points !== undefined && body.points !== null) {
    return named(body.points);
  }
  if (body.filter === undefined || body.filter === null) {
    throw new Fault('bad-input', 'Format error in JSON body: Either list of point ids or filter must be provided');
  }
  return matching(collection, body.filter);
}

function named(points: Json): PointId[] {
  const ids = listOf(points).map(pointIdOf);
  if (ids.length === 0) {
    throw badRequest('Empty update request');
  }
  return ids;
}

function matching(collection: Collection, filter: Json): PointId[] {
  const points = [...collection.points.values()].filter((point) => passes(point, filter, collection.indexes));
  return points.map(({ id }) => id);
}

function upsert(collection: Collection, body: JsonObject, version: number): void {
  const points = pointsOf(body).map((item): Point => {
    const payload = isObject(item.payload) ? item.payload : {};
    const vectors = vectorsOf(collection, item.vector ?? item.vectors);
    return { id: pointIdOf(item.id), version, vectors, payload };
  });
  if (points.length === 0) {
    throw badRequest('Empty update request');
  }
  // What was there before the operation decides; of a point given twice, the last one counts.
  const wanted = points.filter(({ id }) => isWanted(collection, body, id));
  for (const point of wanted) {
    collection.points.set(point.id, point);
  }
}

function isWanted(collection: Collection, body: JsonObject, id: PointId): boolean {
  const before = collection.points.get(id);
  if (before === undefined) {
    return body.update_mode !== 'update_only';
  }
  return body.update_mode !== 'insert_only' && passes(before, body.update_filter, collection.indexes);
}

function pointsOf(body: JsonObject): JsonObject[] {
  if (body.batch === undefined) {
    if (!Array.isArray(body.points)) {
      throw new Fault('bad-input', 'Format error in JSON body: Invalid PointInsertOperations format');
    }
    return body.points.map(objectOf);
  }
  const batch = objectOf(body.batch);
  const payloads = listOf(batch.payloads);
  return listOf(batch.ids).map((id, at) => ({ id, vector: batchVector(batch.vectors, at), payload: payloads[at] }));
}

function batchVector(vectors: Json | undefined, at: number): Json | undefined {
  if (!isObject(vectors)) {
    return listOf(vectors)[at];
  }
  const columns = Object.entries(vectors).map(([name, column]) => [name, listOf(column)[at]]);
  return Object.fromEntries(columns);
}

function updateVectors(collection: Collection, body: JsonObject, version: number): void {
  const items = listOf(body.points).map(objectOf);
  if (items.length === 0) {
    throw new Fault('unprocessable', 'Validation error in JSON body: [points: must specify points to update]');
  }
  const changes = items.map((item) => ({
    id: pointIdOf(item.id),
    vectors: vectorsOf(collection, item.vector ?? item.vectors),
  }));
  const wanted = changes.filter(({ id }) => {
    const point = collection.points.get(id);
    return point === undefined || passes(point, body.update_filter, collection.indexes);
  });
  const ids = [...new Set(wanted.map(({ id }) => id))];
  changeEach(collection, ids, version, (point) => {
    for (const { vectors } of wanted.filter(({ id }) => id === point.id)) {
      for (const [name, vector] of vectors) {
        point.vectors.set(name, vector);
      }
    }
  });
}

// Upstream: where both are given both are carried out, the filter first.
function deleteVectors(collection: Collection, body: JsonObject, version: number): void {
  const names = listOf(body.vector ?? body.vectors).map((name) => textOf(name) ?? '');
  if (names.length === 0) {
    throw new Fault('unprocessable', 'Validation error in JSON body: [vector: must specify vector names to delete]');
  }
  const { filter, points } = body;
  const selections: (() => PointId[])[] = [];
  if (filter !== undefined && filter !== null) selections.push(() => matching(collection, filter));
  if (points !== undefined && points !== null) selections.push(() => named(points));
  if (selections.length === 0) {
    throw badRequest('No filter or points provided');
  }
  for (const select of selections) {
    changeEach(collection, select(), version, (point) => {
      for (const name of names) {
        checkVectorName(collection, name);
        point.vectors.delete(name);
      }
    });
  }
}

function checkVectorName(collection: Collection, name: string): void {
  const { vectors, sparse_vectors: sparse } = collection.params;
  if (![vectors, sparse].some((params) => isObject(params) && (params[name] !== undefined || name === ''))) {
    throw new LateFault('bad-input', `Wrong input: Not existing vector name error: ${name}`);
  }
}

import { COLLECTION, INDEXES } from '../engine/points.ts';
import { createCollection } from '../fake-qdrant/collections.ts';
import { type Json, type JsonObject, listOf, objectOf, parseJson, writeJson } from '../fake-qdrant/json.ts';
import { createIndex } from '../fake-qdrant/points.ts';
import type { Store } from '../fake-qdrant/store.ts';

/** The collections behind the gateway of a model. */
export interface Behind {
  /** Makes a collection of the model anew, with an index on `field`. */
  readonly make: (collection: string, field: string) => Promise<void>;
  /** Keeps the points of a collection; the result puts them back. */
  readonly keep: (collection: string) => Promise<() => Promise<void>>;
}

const indexesWith = (field: string): readonly JsonObject[] => [
  ...INDEXES,
  { field_name: field, field_schema: 'keyword' },
];

/** Those of the stand-in. */
export function behindFake(store: Store): Behind {
  return {
    async make(collection, field) {
      store.collections.delete(collection);
      createCollection(store, collection, COLLECTION);
      for (const index of indexesWith(field)) createIndex(store, collection, index);
    },
    async keep(collection) {
      const { points } = store.find(collection);
      // Writes replace payloads and vectors as wholes.
      const before = [...points.values()].map((point) => ({ ...point, vectors: new Map(point.vectors) }));
      return async () => {
        points.clear();
        for (const point of before) points.set(point.id, point);
      };
    },
  };
}

/** Those of a running Qdrant. @param url of its REST port */
export function behindReal(url: string): Behind {
  const ask = async (method: string, path: string, body?: JsonObject): Promise<Json> => {
    const headers = { 'content-type': 'application/json' };
    const sent = body === undefined ? {} : { headers, body: writeJson(body) };
    const answer = await fetch(`${url}/collections/${path}`, { method, ...sent });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return objectOf(parseJson(text)).result ?? null;
  };
  return {
    async make(collection, field) {
      await ask('DELETE', collection);
      await ask('PUT', collection, COLLECTION);
      for (const index of indexesWith(field)) await ask('PUT', `${collection}/index?wait=true`, index);
    },
    async keep(collection) {
      const all = { limit: 1000, with_payload: true, with_vector: true };
      const points = listOf(objectOf(await ask('POST', `${collection}/points/scroll`, all)).points);
      return async () => {
        await ask('POST', `${collection}/points/delete?wait=true`, { filter: {} });
        if (points.length > 0) await ask('PUT', `${collection}/points?wait=true`, { points });
      };
    },
  };
}

import { Fault } from './fault.ts';
import { type Json, type JsonObject, objectOf } from './json.ts';
import { createIndex, deleteIndex, write, writeBatch } from './points.ts';
import { count, facet, retrieve, retrieveOne, scroll } from './retrieval.ts';
import type { RestCall, RestRoute } from './routing.ts';
import { matrixOffsets, matrixPairs, search, searchBatch, searchGroups } from './search.ts';
import { pointIdOf, type Store } from './store.ts';

type Read = (store: Store, name: string, body: JsonObject) => Json;

const at = '/collections/{}';

function read(path: string, ask: Read, body: 'json' | 'json-strict' = 'json'): RestRoute {
  const handle = ({ store, params, body }: RestCall) => ({ result: ask(store, params[0] ?? '', objectOf(body)) });
  return { method: 'POST', path: `${at}${path}`, body, handle };
}

function writing(method: string, path: string, operation: string): RestRoute {
  const handle = ({ store, params, body, query }: RestCall) => ({
    result: write(store, params[0] ?? '', operation, objectOf(body), query.get('wait') === 'true'),
  });
  return { method, path: `${at}${path}`, body: 'json', handle };
}

/** The id in a path: digits or a UUID; anything else is refused as Qdrant does (400). */
function pathPointId(text: string) {
  if (!/^\d{1,20}$/.test(text) && !/^[0-9a-f-]{32,36}$/i.test(text)) {
    throw new Fault('bad-input', `Wrong input: Can not recognize "${text}" as point id`);
  }
  return pointIdOf(/^\d+$/.test(text) && text.length < 32 ? BigInt(text) : text);
}

/** The routes that write points, payloads, vectors and payload indexes. */
export const writeRoutes: RestRoute[] = [
  writing('PUT', '/points', 'upsert'),
  writing('POST', '/points/delete', 'delete'),
  writing('PUT', '/points/vectors', 'update_vectors'),
  writing('POST', '/points/vectors/delete', 'delete_vectors'),
  writing('POST', '/points/payload', 'set_payload'),
  writing('PUT', '/points/payload', 'overwrite_payload'),
  writing('POST', '/points/payload/delete', 'delete_payload'),
  writing('POST', '/points/payload/clear', 'clear_payload'),
  {
    method: 'POST',
    path: `${at}/points/batch`,
    body: 'json',
    handle: ({ store, params, body, query }) => ({
      result: writeBatch(store, params[0] ?? '', objectOf(body), query.get('wait') === 'true'),
    }),
  },
  {
    method: 'PUT',
    path: `${at}/index`,
    body: 'json',
    handle: ({ store, params, body }) => ({ result: createIndex(store, params[0] ?? '', objectOf(body)) }),
  },
  {
    method: 'DELETE',
    path: `${at}/index/{}`,
    body: 'none',
    handle: ({ store, params }) => ({ result: deleteIndex(store, params[0] ?? '', params[1] ?? '') }),
  },
];

/** The routes that read points. */
export const readRoutes: RestRoute[] = [
  {
    method: 'GET',
    path: `${at}/points/{}`,
    body: 'none',
    handle: ({ store, params }) => ({ result: retrieveOne(store, params[0] ?? '', pathPointId(params[1] ?? '')) }),
  },
  read('/points', retrieve),
  read('/points/scroll', scroll),
  read('/points/count', count),
  read('/facet', facet),
  read('/points/search', (store, name, body) => search(store, name, 'search', body)),
  read('/points/search/batch', (store, name, body) => searchBatch(store, name, 'search', body)),
  read('/points/search/groups', (store, name, body) => searchGroups(store, name, 'search', body)),
  read('/points/search/matrix/pairs', matrixPairs),
  read('/points/search/matrix/offsets', matrixOffsets),
  read('/points/recommend', (store, name, body) => search(store, name, 'recommend', body)),
  read('/points/recommend/batch', (store, name, body) => searchBatch(store, name, 'recommend', body)),
  read('/points/recommend/groups', (store, name, body) => searchGroups(store, name, 'recommend', body)),
  read('/points/discover', (store, name, body) => search(store, name, 'discover', body)),
  read('/points/discover/batch', (store, name, body) => searchBatch(store, name, 'discover', body)),
  read('/points/query', (store, name, body) => ({ points: search(store, name, 'query', body) })),
  read('/points/query/batch', (store, name, body) =>
    searchBatch(store, name, 'query', body).map((points) => ({ points })),
  ),
  read('/points/query/groups', (store, name, body) => searchGroups(store, name, 'query', body)),
  read('/shards/{}/points', retrieve, 'json-strict'),
  read('/shards/{}/points/scroll', scroll, 'json-strict'),
  read('/shards/{}/points/count', count, 'json-strict'),
];

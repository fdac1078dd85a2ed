import {
  changeAliases,
  checkName,
  collectionInfo,
  createCollection,
  createVectorName,
  deleteCollection,
  deleteVectorName,
  listAliases,
  listCollections,
  updateCollection,
} from './collections.ts';
import { type Json, objectOf } from './json.ts';
import type { RestAnswer, RestCall, RestRoute } from './routing.ts';
import { createSnapshot, findSnapshot, snapshotJson } from './snapshots.ts';
import type { Snapshot } from './store.ts';

type Act = (call: RestCall, name: string) => Json;

const at = '/collections/{}';

function route(method: string, path: string, body: 'none' | 'json' | 'drain', act: Act): RestRoute {
  return { method, path, body, handle: (call) => ({ result: act(call, call.params[0] ?? '') }) };
}

function named(method: string, path: string, body: 'none' | 'json' | 'drain', act: Act): RestRoute {
  return route(method, `${at}${path}`, body, (call, name) => {
    checkName(name);
    return act(call, name);
  });
}

/** The routes of collections, aliases and vector names. */
export const collectionRoutes: RestRoute[] = [
  route('GET', '/collections', 'none', ({ store }) => listCollections(store)),
  route('GET', '/aliases', 'none', ({ store }) => listAliases(store)),
  route('POST', '/collections/aliases', 'json', ({ store, body }) => changeAliases(store, objectOf(body))),
  named('GET', '', 'none', ({ store }, name) => collectionInfo(store, name)),
  named('PUT', '', 'json', ({ store, body }, name) => createCollection(store, name, objectOf(body))),
  named('PATCH', '', 'json', ({ store, body }, name) => updateCollection(store, name, objectOf(body))),
  named('DELETE', '', 'none', ({ store }, name) => deleteCollection(store, name)),
  named('GET', '/exists', 'none', ({ store }, name) => ({ exists: store.has(name) })),
  named('GET', '/aliases', 'none', ({ store }, name) => listAliases(store, name)),
  named('PUT', '/vectors/{}', 'json', ({ store, params, body }, name) =>
    createVectorName(store, name, params[1] ?? '', objectOf(body)),
  ),
  named('DELETE', '/vectors/{}', 'none', ({ store, params }, name) => deleteVectorName(store, name, params[1] ?? '')),
];

type Place = { path: string; of: (call: RestCall) => { snapshots: Map<string, Snapshot>; stem: string; name: string } };

const places: Place[] = [
  {
    path: `${at}/snapshots`,
    of: ({ store, params }) => {
      const collection = store.find(params[0] ?? '');
      return { snapshots: collection.snapshots, stem: collection.name, name: params[1] ?? '' };
    },
  },
  {
    path: `${at}/shards/{}/snapshots`,
    of: ({ store, params }) => {
      const collection = store.find(params[0] ?? '');
      const stem = `${collection.name}-shard-${params[1] ?? ''}`;
      return { snapshots: collection.shardSnapshots, stem, name: params[2] ?? '' };
    },
  },
  {
    path: '/snapshots',
    of: ({ store, params }) => ({ snapshots: store.snapshots, stem: 'full-snapshot', name: params[0] ?? '' }),
  },
];

// Upstream: v1.18.3 answers 202 where wait=false, and does the work all the same.
function accepted(call: RestCall, result: Json): RestAnswer {
  return call.query.get('wait') === 'false' ? { result: null, status: 202 } : { result };
}

function download(content: Buffer, name: string): RestAnswer {
  const headers = { 'content-disposition': `attachment; filename="${name}"`, 'accept-ranges': 'bytes' };
  return { status: 200, type: 'application/octet-stream', body: content, headers };
}

/** List, create, download and delete for collection, shard and full snapshots; uploads and recoveries. */
export const snapshotRoutes: RestRoute[] = [
  ...places.flatMap(({ path, of }): RestRoute[] => [
    {
      method: 'GET',
      path,
      body: 'none',
      handle: (call) => ({ result: [...of(call).snapshots.values()].map(snapshotJson) }),
    },
    {
      method: 'POST',
      path,
      body: 'none',
      handle: (call) => {
        const { snapshots, stem } = of(call);
        return accepted(call, createSnapshot(snapshots, stem));
      },
    },
    {
      method: 'GET',
      path: `${path}/{}`,
      body: 'none',
      handle: (call) => {
        const { snapshots, name } = of(call);
        return download(findSnapshot(snapshots, name).content, name);
      },
    },
    {
      method: 'DELETE',
      path: `${path}/{}`,
      body: 'none',
      handle: (call) => {
        const { snapshots, name } = of(call);
        findSnapshot(snapshots, name);
        return accepted(call, snapshots.delete(name));
      },
    },
  ]),
  ...[`${at}/snapshots`, `${at}/shards/{}/snapshots`].flatMap((path): RestRoute[] => [
    { method: 'POST', path: `${path}/upload`, body: 'drain', handle: (call) => accepted(call, true) },
    { method: 'PUT', path: `${path}/recover`, body: 'json', handle: (call) => accepted(call, true) },
  ]),
  {
    method: 'GET',
    path: `${at}/shards/{}/snapshot`,
    body: 'none',
    handle: ({ store, params }) => {
      store.find(params[0] ?? '');
      return download(Buffer.alloc(4096, 7), 'shard.snapshot');
    },
  },
];

import type { Json } from './json.ts';
import type { BodyMode, RestCall, RestRoute } from './routing.ts';

type Answer = (call: RestCall) => Json;

const at = '/collections/{}';
const shard = `${at}/shards/{}`;

function route(method: string, path: string, body: BodyMode, answer: Answer): RestRoute {
  return { method, path, body, handle: (call) => ({ result: answer(call) }) };
}

// Below a collection, the collection must be there.
function within(method: string, path: string, body: BodyMode, answer: Answer): RestRoute {
  return route(method, path, body, (call) => {
    call.store.find(call.params[0] ?? '');
    return answer(call);
  });
}

const yes = (): Json => true;
const nothing = (): Json => ({});
const idle: Json = { queued_optimizations: 0, queued_segments: 0, queued_points: 0, idle_segments: 1 };
const acknowledged: Answer = ({ store }) => ({ operation_id: store.nextOperation(), status: 'acknowledged' });

function collectionCluster({ store, params }: RestCall): Json {
  const points = store.find(params[0] ?? '').points.size;
  const local = [{ shard_id: 0, points_count: points, state: 'Active' }];
  return { peer_id: 1001, shard_count: 1, local_shards: local, remote_shards: [], shard_transfers: [] };
}

function metadataValue({ store, params }: RestCall): Json {
  return store.metadata.get(params[0] ?? '') ?? null;
}

const cluster: Json = {
  status: 'enabled',
  peer_id: 1001,
  peers: { '1001': { uri: 'http://127.0.0.1:6335/' } },
  raft_info: { term: 1, commit: 1, pending_operations: 0, leader: 1001, role: 'Leader', is_voter: true },
  consensus_thread_status: { consensus_thread_status: 'working', last_update: '2026-01-01T00:00:00Z' },
  message_send_failures: {},
};

/** Routes that answer plausibly and do little: the node, the cluster, shards, and rows of older and staging releases. */
export const plausibleRoutes: RestRoute[] = [
  route('GET', '/stacktrace', 'none', () => ({ threads: [] })),
  route('GET', '/logger', 'none', () => ({ log_level: 'INFO', format: 'text' })),
  route('POST', '/logger', 'json-strict', yes),
  route('GET', '/issues', 'none', ({ store }) => ({ issues: [...store.collections.keys()].map(issue) })),
  route('DELETE', '/issues', 'none', yes),
  route('GET', '/debugger', 'none', () => ({ pyroscope: null })),
  route('PATCH', '/debugger', 'json-strict', yes),
  route('GET', '/profiler/slow_requests', 'none', () => ({ requests: [] })),
  route('GET', '/profiler/consensus_lag', 'none', () => ({ peers: {} })),
  route('POST', '/audit/logs', 'json', () => ({ entries: [] })),
  route('GET', '/quotas', 'none', () => ({ config: {}, exceeded: {}, usage: {} })),
  route('PUT', '/quotas', 'json', yes),
  route('GET', '/locks', 'none', () => ({ error_message: null, write: false })),
  route('POST', '/locks', 'json', () => ({ error_message: null, write: false })),
  route('GET', '/cluster', 'none', () => cluster),
  route('POST', '/cluster/recover', 'none', yes),
  {
    method: 'DELETE',
    path: '/cluster/peer/{}',
    body: 'none',
    handle: ({ params }) =>
      /^\d+$/.test(params[0] ?? '')
        ? { result: true }
        : { status: 404, type: 'text/plain; charset=utf-8', body: `can not parse "${params[0] ?? ''}" to a u64` },
  },
  route('GET', '/cluster/metadata/keys', 'none', ({ store }) => [...store.metadata.keys()]),
  route('GET', '/cluster/metadata/keys/{}', 'none', metadataValue),
  route('PUT', '/cluster/metadata/keys/{}', 'json-strict', ({ store, params, body }) => {
    store.metadata.set(params[0] ?? '', body);
    return true;
  }),
  route('DELETE', '/cluster/metadata/keys/{}', 'none', ({ store, params }) => {
    store.metadata.delete(params[0] ?? '');
    return true;
  }),
  route('POST', '/collections', 'json', yes),
  route('POST', at, 'json', yes),
  {
    method: 'POST',
    path: `${at}/truncate_unapplied_wal`,
    body: 'none',
    handle: ({ store, params, query }) => {
      store.find(params[0] ?? '');
      return query.get('wait') === 'false' ? { result: null, status: 202 } : { result: { truncated: 0 } };
    },
  },
  within('GET', `${at}/cluster`, 'none', collectionCluster),
  within('POST', `${at}/cluster`, 'json', yes),
  within('GET', `${at}/optimizations`, 'none', () => ({ summary: idle, running: [] })),
  within('GET', `${at}/memory`, 'none', () => ({ total_bytes: 0 })),
  within('GET', `${at}/shards`, 'none', () => ({ shard_keys: [] })),
  within('PUT', `${at}/shards`, 'json', yes),
  within('POST', `${at}/shards/delete`, 'json', yes),
  within('POST', `${at}/points/staging`, 'json', acknowledged),
  within('POST', `${at}/debug`, 'json', yes),
  within('POST', `${shard}/points/delete`, 'json-strict', acknowledged),
  within('POST', `${shard}/cleanup`, 'none', acknowledged),
  within('GET', `${shard}/wal`, 'none', () => []),
  within('GET', `${shard}/recovery_point`, 'none', nothing),
  {
    method: 'POST',
    path: `${shard}/snapshot/partial/create`,
    body: 'json-strict',
    handle: ({ store, params }) => {
      store.find(params[0] ?? '');
      return { status: 200, type: 'application/octet-stream', body: Buffer.alloc(4096, 7) };
    },
  },
  within('POST', `${shard}/snapshot/partial/recover`, 'drain', yes),
  within('POST', `${shard}/snapshot/partial/recover_from`, 'json-strict', yes),
  within('GET', `${shard}/snapshot/partial/manifest`, 'none', nothing),
];

function issue(name: string): Json {
  return {
    id: `UNINDEXED_FIELD/${name}/city`,
    description: `Unindexed field 'city' might be slowing queries down in collection '${name}'`,
    solution: { immediate: { message: `Create an index on field 'city' in collection '${name}'.` } },
    timestamp: '2026-01-01T00:00:00Z',
    related_collection: name,
  };
}

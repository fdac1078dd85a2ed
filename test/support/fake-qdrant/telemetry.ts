import { createHash } from 'node:crypto';
import type { JsonObject } from './json.ts';
import type { Collection, Store } from './store.ts';

const instance = '00000000-0000-4000-8000-000000000001';
const startup = '2026-01-01T00:00:00.000000000Z';
const peer = '1001';
const counted = ['payload_io', 'payload_index_io', 'vector_io'];
const features = {
  debug: false,
  service_debug_feature: false,
  recovery_mode: false,
  gpu: false,
  rocksdb: false,
  staging: false,
};
const system = { distribution: 'none', is_docker: false, container_runtime: 'none', cpu_flags: '' };
const consensus = { consensus_thread_status: 'working', last_update: '2026-01-01T00:00:00Z' };
const raft = {
  role: 'Leader',
  is_voter: true,
  term: 1,
  commit: 1,
  pending_operations: 0,
  consensus_thread_status: consensus,
};

/** The answer of GET /telemetry; names appear from details level 2 on, hashed where anonymised. */
export function telemetry(store: Store, version: string, level: number, anonymize: boolean): JsonObject {
  const name = (collection: Collection): string => (anonymize ? hashed(collection.name) : collection.name);
  const collections = [...store.collections.values()];
  const ids = collections.map(name);
  const app: JsonObject = { name: 'qdrant', version, startup };
  const cluster: JsonObject = { enabled: true, resharding_enabled: false };
  const result: JsonObject = { id: instance, app, collections: { number_of_collections: ids.length }, cluster };
  result.requests = { rest: { responses: {} }, grpc: { responses: {} } };
  if (level >= 1) {
    result.app = { ...app, features, system };
    result.cluster = { ...cluster, status: { number_of_peers: 1, peer_id: 1001, ...raft } };
    result.memory = { active_bytes: 0, allocated_bytes: 0, metadata_bytes: 0, resident_bytes: 0, retained_bytes: 0 };
    result.collections = {
      number_of_collections: ids.length,
      collections: collections.map((collection) => entry(collection, name(collection), level)),
      snapshots: level < 2 ? undefined : ids.map((id) => ({ id, running_snapshots: 0, total_snapshot_creations: 0 })),
    };
  }
  if (level >= 2) {
    const usage = Object.fromEntries(
      ['cpu', ...counted.flatMap((of) => [`${of}_read`, `${of}_write`])].map((of) => [of, 0]),
    );
    result.hardware = { collection_data: Object.fromEntries(ids.map((id) => [id, usage])) };
  }
  return result;
}

function entry(collection: Collection, id: string, level: number): JsonObject {
  if (level < 2) {
    return { vectors: collection.points.size, optimizers_status: 'ok', params: collection.params };
  }
  const config = { params: collection.params, ...collection.config };
  return {
    id,
    init_time_ms: 1,
    config,
    shards: level < 3 ? undefined : [shard(collection)],
    transfers: [],
    resharding: [],
  };
}

function shard(collection: Collection): JsonObject {
  const points = collection.points.size;
  const local = { variant_name: 'local shard', status: 'green', num_points: points, total_optimized_points: points };
  return { id: 0, key: null, local, remote: [], replicate_states: { [peer]: 'Active' } };
}

function hashed(name: string): string {
  return createHash('sha256').update(name).digest().readBigUInt64BE().toString();
}

/** The answer of GET /cluster/telemetry. */
export function clusterTelemetry(store: Store, version: string, level: number): JsonObject {
  const { pending_operations: waiting, ...common } = raft;
  const details = { version, ...common, num_pending_operations: waiting };
  const peers = { [peer]: { uri: 'http://127.0.0.1:6335/', responsive: true, details } };
  const collections: JsonObject = {};
  for (const { name, points } of store.collections.values()) {
    const replicas = [{ peer_id: 1001, state: 'Active', status: 'green', num_points: points.size }];
    collections[name] = { id: name, shards: level < 2 ? undefined : [{ id: 0, replicas }] };
  }
  return { collections, cluster: { enabled: true, number_of_peers: 1, peers } };
}

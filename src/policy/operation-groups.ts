/**
 * Ready groups of operations for grants and rules, by audit name where an operation has one (both protocols), otherwise
 * by row name. A group is a name for its members, nothing more.
 */
const SEARCH = [
  'core_search_batch',
  'group',
  'recommend',
  'recommend_batch',
  'discover',
  'discover_batch',
  'query_batch',
  'search_points_matrix',
] as const;

const READ = [
  ...SEARCH,
  'retrieve',
  'scroll',
  'count',
  'facet',
  'get_collection',
  'collection_exists',
  'list_collection_aliases',
  'get_collection_shard_keys',
] as const;

const SNAPSHOT = [
  'list_snapshots',
  'create_snapshot',
  'get_snapshot',
  'delete_collection_snapshot',
  'list_shard_snapshots',
  'create_shard_snapshot',
  'download_shard_snapshot',
  'stream_shard_snapshot',
  'delete_shard_snapshot',
] as const;

/** The groups that grants and rules may name. */
export const OPERATION_GROUPS: Readonly<Record<string, readonly string[]>> = Object.freeze({
  search: SEARCH,
  read: READ,
  // Upserts and changes, but nothing that deletes points, vectors or payload.
  ingest: ['upsert_points', 'update_vectors', 'set_payload', 'get_collection', 'collection_exists'],
  maintain: [
    'create_payload_index',
    'drop_payload_index',
    'create_named_vector',
    'get_collection',
    'collection_exists',
    'get_optimizations',
    'get_collection_memory',
    'get_collection_cluster',
  ],
  snapshot: SNAPSHOT,
  metrics: ['service.metrics'],
});

/** Everything that carries whole collections, or their files, away or brings them in: the ready rule `no-snapshots`. */
export const NO_SNAPSHOTS: readonly string[] = Object.freeze([
  ...SNAPSHOT,
  'list_full_snapshots',
  'create_full_snapshot',
  'get_full_snapshot',
  'delete_full_snapshot',
  '/collections/{collection_name}/snapshots/upload',
  'recover_from_snapshot',
  '/collections/{collection_name}/shards/{shard}/snapshots/upload',
  'recover_shard_snapshot',
  '/collections/{collection_name}/shards/{shard}/snapshot/partial/recover',
  'partial_snapshot_recovery_lock',
  'get_partial_snapshot_manifest',
  'get_shard_wal',
  'list_files',
  'file_exists',
  'file_length',
  'read_bytes',
  'read_bytes_stream',
  'read_whole',
  'read_batch',
  'read_multi',
]);

/** The names with every group replaced by its members. */
export function expandGroups(names: readonly string[]): readonly string[] {
  return names.flatMap((name) => (Object.hasOwn(OPERATION_GROUPS, name) ? (OPERATION_GROUPS[name] ?? []) : [name]));
}

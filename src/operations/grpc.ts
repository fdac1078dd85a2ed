import type { GrpcOperation } from '../policy/operation.ts';
import { GRPC_BATCH } from './held.ts';
import {
  authenticated,
  globalManage,
  globalRead,
  listed,
  manageExtras,
  open,
  read,
  readExtras,
  write,
  writeExtras,
} from './requirements.ts';

/**
 * The gRPC half of the access matrix: one row per line, in upstream's order, all releases from v1.0.0 on. Read from the
 * release in `qdrant-version.ts`. `collectionField` is the field number of the main collection name in the request
 * message; the numbers did not change between v1.0.0 and v1.19.0. Methods that change something are `long`: they may
 * wait for other work, build indexes and snapshots, move shards, and their messages can contain a `timeout`.
 */
export const GRPC_OPERATIONS: readonly GrpcOperation[] = [
  { path: '/qdrant.Collections/Get', name: 'qdrant.Collections/Get', requires: read, collectionField: 1, audit: 'get_collection', since: 'v0.4.0' },
  { path: '/qdrant.Collections/List', name: 'qdrant.Collections/List', requires: listed, audit: 'list_collections', filter: 'collections-list', since: 'v0.5.0' },
  { path: '/qdrant.Collections/Create', name: 'qdrant.Collections/Create', requires: globalManage, manages: { right: 'create', inspect: 'create-collection', field: 1 }, audit: 'create_collection', pathNames: true, long: true, since: 'v0.4.0' },
  { path: '/qdrant.Collections/Update', name: 'qdrant.Collections/Update', requires: globalManage, manages: { right: 'update', field: 1 }, audit: 'update_collection', pathNames: true, long: true, since: 'v0.4.0' },
  { path: '/qdrant.Collections/Delete', name: 'qdrant.Collections/Delete', requires: globalManage, manages: { right: 'delete', field: 1 }, audit: 'delete_collection', pathNames: true, long: true, since: 'v0.4.0' },
  { path: '/qdrant.Collections/UpdateAliases', name: 'qdrant.Collections/UpdateAliases', requires: globalManage, manages: { right: 'aliases', inspect: 'change-aliases' }, audit: 'change_aliases', pathNames: true, long: true, since: 'v0.7.0' },
  { path: '/qdrant.Collections/ListCollectionAliases', name: 'qdrant.Collections/ListCollectionAliases', requires: read, collectionField: 1, audit: 'list_collection_aliases', filter: 'aliases-list', since: 'v1.0.0' },
  { path: '/qdrant.Collections/ListAliases', name: 'qdrant.Collections/ListAliases', requires: listed, audit: 'list_aliases', filter: 'aliases-list', since: 'v1.0.0' },
  { path: '/qdrant.Collections/CollectionClusterInfo', name: 'qdrant.Collections/CollectionClusterInfo', requires: readExtras, collectionField: 1, audit: 'get_collection_cluster', since: 'v1.2.0' },
  { path: '/qdrant.Collections/CollectionExists', name: 'qdrant.Collections/CollectionExists', requires: read, collectionField: 1, audit: 'collection_exists', since: 'v1.8.0' },
  { path: '/qdrant.Collections/UpdateCollectionClusterSetup', name: 'qdrant.Collections/UpdateCollectionClusterSetup', requires: manageExtras, collectionField: 1, audit: 'update_collection_cluster', long: true, since: 'v1.2.0' },
  { path: '/qdrant.Collections/CreateShardKey', name: 'qdrant.Collections/CreateShardKey', requires: manageExtras, collectionField: 1, audit: 'update_collection_cluster', long: true, since: 'v1.7.0' },
  { path: '/qdrant.Collections/DeleteShardKey', name: 'qdrant.Collections/DeleteShardKey', requires: manageExtras, collectionField: 1, audit: 'update_collection_cluster', long: true, since: 'v1.7.0' },
  { path: '/qdrant.Collections/ListShardKeys', name: 'qdrant.Collections/ListShardKeys', requires: read, collectionField: 1, audit: 'get_collection_shard_keys', since: 'v1.16.2' },
  { path: '/qdrant.Points/Upsert', name: 'qdrant.Points/Upsert', requires: write, collectionField: 1, audit: 'upsert_points', long: true, since: 'v0.5.0' },
  { path: '/qdrant.Points/Delete', name: 'qdrant.Points/Delete', requires: write, collectionField: 1, audit: 'delete_points', long: true, since: 'v0.5.1' },
  { path: '/qdrant.Points/UpdateVectors', name: 'qdrant.Points/UpdateVectors', requires: write, collectionField: 1, audit: 'update_vectors', long: true, since: 'v1.2.0' },
  { path: '/qdrant.Points/DeleteVectors', name: 'qdrant.Points/DeleteVectors', requires: write, collectionField: 1, audit: 'delete_vectors', long: true, since: 'v1.2.0' },
  { path: '/qdrant.Points/SetPayload', name: 'qdrant.Points/SetPayload', requires: write, collectionField: 1, audit: 'set_payload', long: true, since: 'v0.5.1' },
  { path: '/qdrant.Points/OverwritePayload', name: 'qdrant.Points/OverwritePayload', requires: write, collectionField: 1, audit: 'overwrite_payload', long: true, since: 'v0.11.5' },
  { path: '/qdrant.Points/DeletePayload', name: 'qdrant.Points/DeletePayload', requires: write, collectionField: 1, audit: 'delete_payload', long: true, since: 'v0.5.1' },
  { path: '/qdrant.Points/ClearPayload', name: 'qdrant.Points/ClearPayload', requires: write, collectionField: 1, audit: 'clear_payload', long: true, since: 'v0.5.1' },
  { path: '/qdrant.Points/UpdateBatch', name: 'qdrant.Points/UpdateBatch', requires: write, holds: GRPC_BATCH, collectionField: 1, audit: null, long: true, since: 'v1.4.1' },
  { path: '/qdrant.Points/CreateFieldIndex', name: 'qdrant.Points/CreateFieldIndex', requires: writeExtras, collectionField: 1, audit: 'create_payload_index', long: true, since: 'v0.5.1' },
  { path: '/qdrant.Points/DeleteFieldIndex', name: 'qdrant.Points/DeleteFieldIndex', requires: writeExtras, collectionField: 1, audit: 'drop_payload_index', long: true, since: 'v0.5.1' },
  { path: '/qdrant.Points/CreateVectorName', name: 'qdrant.Points/CreateVectorName', requires: writeExtras, collectionField: 1, audit: 'create_named_vector', pathNames: true, long: true, since: 'v1.18.0' },
  { path: '/qdrant.Points/DeleteVectorName', name: 'qdrant.Points/DeleteVectorName', requires: writeExtras, collectionField: 1, audit: 'delete_named_vector', pathNames: true, long: true, since: 'v1.18.0' },
  { path: '/qdrant.Points/Get', name: 'qdrant.Points/Get', requires: read, collectionField: 1, audit: 'retrieve', since: 'v0.6.0' },
  { path: '/qdrant.Points/Scroll', name: 'qdrant.Points/Scroll', requires: read, collectionField: 1, audit: 'scroll', since: 'v0.6.0' },
  { path: '/qdrant.Points/Count', name: 'qdrant.Points/Count', requires: read, collectionField: 1, audit: 'count', since: 'v0.8.4' },
  { path: '/qdrant.Points/Facet', name: 'qdrant.Points/Facet', requires: read, collectionField: 1, audit: 'facet', since: 'v1.11.1' },
  { path: '/qdrant.Points/Search', name: 'qdrant.Points/Search', requires: read, collectionField: 1, audit: 'core_search_batch', since: 'v0.5.1' },
  { path: '/qdrant.Points/SearchBatch', name: 'qdrant.Points/SearchBatch', requires: read, collectionField: 1, audit: 'core_search_batch', since: 'v0.10.0' },
  { path: '/qdrant.Points/SearchGroups', name: 'qdrant.Points/SearchGroups', requires: read, collectionField: 1, audit: 'group', inspect: 'search-groups', since: 'v1.2.0' },
  { path: '/qdrant.Points/SearchMatrixPairs', name: 'qdrant.Points/SearchMatrixPairs', requires: read, collectionField: 1, audit: 'search_points_matrix', since: 'v1.11.4' },
  { path: '/qdrant.Points/SearchMatrixOffsets', name: 'qdrant.Points/SearchMatrixOffsets', requires: read, collectionField: 1, audit: 'search_points_matrix', since: 'v1.11.4' },
  { path: '/qdrant.Points/Recommend', name: 'qdrant.Points/Recommend', requires: read, collectionField: 1, audit: 'recommend', inspect: 'recommend', since: 'v0.6.0' },
  { path: '/qdrant.Points/RecommendBatch', name: 'qdrant.Points/RecommendBatch', requires: read, collectionField: 1, audit: 'recommend_batch', inspect: 'recommend-batch', since: 'v0.10.0' },
  { path: '/qdrant.Points/RecommendGroups', name: 'qdrant.Points/RecommendGroups', requires: read, collectionField: 1, audit: 'group', inspect: 'recommend-groups', since: 'v1.2.0' },
  { path: '/qdrant.Points/Discover', name: 'qdrant.Points/Discover', requires: read, collectionField: 1, audit: 'discover', inspect: 'discover', since: 'v1.7.0' },
  { path: '/qdrant.Points/DiscoverBatch', name: 'qdrant.Points/DiscoverBatch', requires: read, collectionField: 1, audit: 'discover_batch', inspect: 'discover-batch', since: 'v1.7.0' },
  { path: '/qdrant.Points/Query', name: 'qdrant.Points/Query', requires: read, collectionField: 1, audit: 'query_batch', inspect: 'query', since: 'v1.9.6' },
  { path: '/qdrant.Points/QueryBatch', name: 'qdrant.Points/QueryBatch', requires: read, collectionField: 1, audit: 'query_batch', inspect: 'query-batch', since: 'v1.9.6' },
  { path: '/qdrant.Points/QueryGroups', name: 'qdrant.Points/QueryGroups', requires: read, collectionField: 1, audit: 'group', inspect: 'query-groups', since: 'v1.11.0' },
  { path: '/qdrant.Snapshots/Create', name: 'qdrant.Snapshots/Create', requires: writeExtras, collectionField: 1, audit: 'create_snapshot', pathNames: true, long: true, since: 'v0.8.4' },
  { path: '/qdrant.Snapshots/List', name: 'qdrant.Snapshots/List', requires: readExtras, collectionField: 1, audit: 'list_snapshots', pathNames: true, since: 'v0.8.4' },
  { path: '/qdrant.Snapshots/Delete', name: 'qdrant.Snapshots/Delete', requires: writeExtras, collectionField: 1, audit: 'delete_collection_snapshot', pathNames: true, long: true, since: 'v1.0.0' },
  { path: '/qdrant.Snapshots/CreateFull', name: 'qdrant.Snapshots/CreateFull', requires: globalManage, audit: 'create_full_snapshot', long: true, since: 'v0.8.5' },
  { path: '/qdrant.Snapshots/ListFull', name: 'qdrant.Snapshots/ListFull', requires: globalRead, audit: 'list_full_snapshots', since: 'v0.8.5' },
  { path: '/qdrant.Snapshots/DeleteFull', name: 'qdrant.Snapshots/DeleteFull', requires: globalManage, audit: 'delete_full_snapshot', pathNames: true, long: true, since: 'v1.0.0' },
  { path: '/qdrant.StorageRead/ListFiles', name: 'qdrant.StorageRead/ListFiles', requires: read, collectionField: 1, audit: 'list_files', pathNames: true, since: 'v1.18.0' },
  { path: '/qdrant.StorageRead/FileExists', name: 'qdrant.StorageRead/FileExists', requires: read, collectionField: 1, audit: 'file_exists', pathNames: true, since: 'v1.18.0' },
  { path: '/qdrant.StorageRead/FileLength', name: 'qdrant.StorageRead/FileLength', requires: read, collectionField: 1, audit: 'file_length', pathNames: true, since: 'v1.18.0' },
  { path: '/qdrant.StorageRead/ReadBytes', name: 'qdrant.StorageRead/ReadBytes', requires: read, collectionField: 1, audit: 'read_bytes', pathNames: true, since: 'v1.18.0' },
  { path: '/qdrant.StorageRead/ReadBytesStream', name: 'qdrant.StorageRead/ReadBytesStream', requires: read, collectionField: 1, audit: 'read_bytes_stream', pathNames: true, since: 'v1.18.0' },
  { path: '/qdrant.StorageRead/ReadWhole', name: 'qdrant.StorageRead/ReadWhole', requires: read, collectionField: 1, audit: 'read_whole', pathNames: true, since: 'v1.18.0' },
  { path: '/qdrant.StorageRead/ReadBatch', name: 'qdrant.StorageRead/ReadBatch', requires: read, collectionField: 1, audit: 'read_batch', pathNames: true, since: 'v1.18.0' },
  { path: '/qdrant.StorageRead/ReadMulti', name: 'qdrant.StorageRead/ReadMulti', requires: read, collectionField: 1, audit: 'read_multi', pathNames: true, since: 'v1.18.0', until: 'v1.18.3' },
  { path: '/qdrant.Qdrant/HealthCheck', name: 'qdrant.Qdrant/HealthCheck', requires: open, audit: null, since: 'v0.3.6' },
  { path: '/grpc.health.v1.Health/Check', name: 'grpc.health.v1.Health/Check', requires: open, audit: null, since: 'v1.6.0' },
  { path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', name: 'grpc.reflection.v1.ServerReflection/ServerReflectionInfo', requires: authenticated, audit: null, since: 'v1.18.2' },
  { path: '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', name: 'grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', requires: authenticated, audit: null, since: 'v1.5.0' },
];

/** The row of every method outside of the table: global manage or UNIMPLEMENTED. */
export const UNLISTED_GRPC: GrpcOperation = {
  path: '', name: 'unlisted', requires: globalManage, audit: null, unlisted: true, since: '',
};

/**
 * The row of the services of the internal port (6335). Qdrant does not serve them on the public port, so no call is
 * forwarded, not even with global manage.
 */
export const INTERNAL_GRPC: GrpcOperation = {
  path: '', name: 'internal', requires: globalManage, audit: null, unlisted: true, withheld: true, since: '',
};

/** Services of the internal port, without their methods. */
export const INTERNAL_SERVICES: ReadonlySet<string> = new Set([
  'qdrant.CollectionsInternal',
  'qdrant.PointsInternal',
  'qdrant.QdrantInternal',
  'qdrant.Raft',
  'qdrant.ShardSnapshots',
]);

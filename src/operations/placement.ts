import type { Operation } from '../policy/operation.ts';

/**
 * Which node of several answers an operation.
 * - `balanced`: any; all nodes of a cluster give the same answer
 * - `sticky`: one node for each client, or the one it asks for: the answer is about that node, or what it reads or writes is
 *   on that node's disk
 */
export type Placement = 'balanced' | 'sticky';

/**
 * Operations that every node of a cluster serves alike, by the name of their row. All others are sticky, also the ones of
 * later releases. Source: Qdrant v1.19.0, which sends points to their shards and changes of collections through consensus.
 */
const BALANCED: ReadonlySet<string> = new Set([
  ...['service.root', 'service.healthz', 'service.livez', 'service.readyz', 'service.dashboard'],
  ...['collections.list', 'collections.get', 'collections.exists', 'collections.aliases', 'aliases.list'],
  ...['collections.create', 'collections.update', 'collections.delete', 'aliases.update'],
  ...['collections.cluster.update', 'shard_keys.list', 'shard_keys.create', 'shard_keys.delete'],
  ...['cluster.metadata.keys', 'cluster.metadata.get', 'cluster.metadata.put', 'cluster.metadata.delete'],
  ...['vectors.create_name', 'vectors.delete_name', 'index.create', 'index.delete'],
  ...['points.upsert', 'points.delete', 'points.update_vectors', 'points.delete_vectors', 'points.batch'],
  ...['points.set_payload', 'points.overwrite_payload', 'points.delete_payload', 'points.clear_payload'],
  ...['points.get_one', 'points.get', 'points.scroll', 'points.count', 'points.facet'],
  ...['points.search', 'points.search_batch', 'points.search_groups'],
  ...['points.search_matrix_pairs', 'points.search_matrix_offsets'],
  ...['points.recommend', 'points.recommend_batch', 'points.recommend_groups'],
  ...['points.discover', 'points.discover_batch', 'points.query', 'points.query_batch', 'points.query_groups'],
  ...['legacy.points.change', 'legacy.collections.change', 'legacy.staging.points'],
  ...names('qdrant.Collections', 'Get List Create Update Delete UpdateAliases ListCollectionAliases ListAliases'),
  ...names('qdrant.Collections', 'CollectionExists UpdateCollectionClusterSetup'),
  ...names('qdrant.Collections', 'CreateShardKey DeleteShardKey ListShardKeys'),
  ...names('qdrant.Points', 'Upsert Delete UpdateVectors DeleteVectors SetPayload OverwritePayload DeletePayload'),
  ...names('qdrant.Points', 'ClearPayload UpdateBatch CreateFieldIndex DeleteFieldIndex CreateVectorName'),
  ...names('qdrant.Points', 'DeleteVectorName Get Scroll Count Facet Search SearchBatch SearchGroups'),
  ...names('qdrant.Points', 'SearchMatrixPairs SearchMatrixOffsets Recommend RecommendBatch RecommendGroups'),
  ...names('qdrant.Points', 'Discover DiscoverBatch Query QueryBatch QueryGroups'),
  ...['qdrant.Qdrant/HealthCheck', 'grpc.health.v1.Health/Check'],
]);

function names(service: string, methods: string): string[] {
  return methods.split(' ').map((method) => `${service}/${method}`);
}

/** Where an operation goes when there are several nodes. */
export function placementOf({ name }: Pick<Operation, 'name'>): Placement {
  return BALANCED.has(name) ? 'balanced' : 'sticky';
}

/** True = a read that any node serves: it may be sent once more where no answer came. Never a write. */
export function isRepeatable({ name, requires }: Pick<Operation, 'name' | 'requires'>): boolean {
  return requires.level === 'read' && BALANCED.has(name);
}

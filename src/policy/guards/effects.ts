import type { Operation } from '../operation.ts';

/**
 * The effect of an operation on a collection.
 * - `reads`: nothing, or it makes a snapshot
 * - `writes`: it changes points, settings or what belongs to no collection
 * - `loses`: after it a collection, an index or a vector of it, or what its name stands for, may not be what it was
 */
export type Effect = 'reads' | 'writes' | 'loses';

/** The effect of every row above the level `read`, by its name. A test compares the names with both tables. */
const EFFECTS: ReadonlyMap<string, Effect> = new Map([
  ...are('reads', 'service.stacktrace debugger.get profiler.slow_requests profiler.consensus_lag audit.logs'),
  ...are('reads', 'staging.shard_wal staging.recovery_point'),
  ...are('reads', 'snapshots.create snapshots.full.create partial_snapshots.create'),
  ...are('reads', 'shard_snapshots.create shard_snapshots.stream'),
  ...are('reads', 'qdrant.Snapshots/Create qdrant.Snapshots/CreateFull'),

  ...are('writes', 'service.logger.update debugger.update issues.clear quotas.update legacy.locks.set'),
  // About no collection. A peer that is removed by force takes its shards with it: only a general freeze holds that back.
  ...are('writes', 'cluster.recover cluster.remove_peer cluster.metadata.put cluster.metadata.delete'),
  ...are('writes', 'collections.create collections.update shard_keys.create vectors.create_name index.create'),
  ...are('writes', 'snapshots.delete snapshots.full.delete shard_snapshots.delete'),
  ...are('writes', 'points.upsert points.delete points.update_vectors points.delete_vectors points.batch'),
  ...are('writes', 'points.set_payload points.overwrite_payload points.delete_payload points.clear_payload'),
  ...are('writes', 'local_shard.cleanup staging.debug legacy.local_shard.delete legacy.staging.points'),
  ...are('writes', 'qdrant.Collections/Create qdrant.Collections/Update qdrant.Collections/CreateShardKey'),
  ...are('writes', 'qdrant.Points/Upsert qdrant.Points/Delete qdrant.Points/UpdateVectors qdrant.Points/DeleteVectors'),
  ...are('writes', 'qdrant.Points/SetPayload qdrant.Points/OverwritePayload qdrant.Points/DeletePayload'),
  ...are('writes', 'qdrant.Points/ClearPayload qdrant.Points/UpdateBatch'),
  ...are('writes', 'qdrant.Points/CreateFieldIndex qdrant.Points/CreateVectorName'),
  ...are('writes', 'qdrant.Snapshots/Delete qdrant.Snapshots/DeleteFull'),

  ...are('loses', 'collections.delete collections.cluster.update collection.truncate_wal'),
  ...are('loses', 'shard_keys.delete aliases.update'),
  ...are('loses', 'vectors.delete_name index.delete'),
  ...are('loses', 'snapshots.upload snapshots.recover shard_snapshots.upload shard_snapshots.recover'),
  ...are('loses', 'partial_snapshots.recover partial_snapshots.recover_from'),
  // Their bodies could also drop an index, or a collection.
  ...are('loses', 'legacy.points.change legacy.collections.change'),
  ...are('loses', 'qdrant.Collections/Delete qdrant.Collections/UpdateAliases qdrant.Collections/DeleteShardKey'),
  ...are('loses', 'qdrant.Collections/UpdateCollectionClusterSetup'),
  ...are('loses', 'qdrant.Points/DeleteFieldIndex qdrant.Points/DeleteVectorName'),
]);

function are(effect: Effect, rows: string): [string, Effect][] {
  return rows.split(' ').map((row) => [row, effect]);
}

/** The rows for which an effect was decided. */
export const DECIDED: readonly string[] = Object.freeze([...EFFECTS.keys()]);

/** The effect of an operation. A row without a decision, and one that is in no table, loses: it is in the hands of the rails. */
export function effectOf({ name, requires, unlisted }: Pick<Operation, 'name' | 'requires' | 'unlisted'>): Effect {
  if (unlisted) return 'loses';
  return EFFECTS.get(name) ?? (requires.level === 'read' ? 'reads' : 'loses');
}

/*
 * Operations that the bodies of other rows can hold: names of upstream's audit log, and of the rows of the same protocol.
 */

const CHANGES = [
  'upsert_points',
  'delete_points',
  'update_vectors',
  'delete_vectors',
  'set_payload',
  'overwrite_payload',
  'delete_payload',
  'clear_payload',
] as const;

/** Of a list of changes over REST. Upstream: `UpdateOperation` (Qdrant v1.19.0). */
export const REST_BATCH: readonly string[] = [
  ...CHANGES,
  'points.upsert',
  'points.delete',
  'points.update_vectors',
  'points.delete_vectors',
  'points.set_payload',
  'points.overwrite_payload',
  'points.delete_payload',
  'points.clear_payload',
];

/** Of a list of changes over gRPC. Upstream: `PointsUpdateOperation` (Qdrant v1.19.0). */
export const GRPC_BATCH: readonly string[] = [
  ...CHANGES,
  'qdrant.Points/Upsert',
  'qdrant.Points/Delete',
  'qdrant.Points/UpdateVectors',
  'qdrant.Points/DeleteVectors',
  'qdrant.Points/SetPayload',
  'qdrant.Points/OverwritePayload',
  'qdrant.Points/DeletePayload',
  'qdrant.Points/ClearPayload',
];

export const DELETION: readonly string[] = ['delete_points', 'points.delete'];

/** Of the one route for all changes of points, which was removed after Qdrant v0.8.4. */
export const LEGACY_POINTS: readonly string[] = [
  ...REST_BATCH,
  'create_payload_index',
  'index.create',
  'drop_payload_index',
  'index.delete',
];

/** Of the one route for all changes of collections, which was removed after Qdrant v0.8.4. */
export const LEGACY_COLLECTIONS: readonly string[] = [
  'create_collection',
  'collections.create',
  'update_collection',
  'collections.update',
  'delete_collection',
  'collections.delete',
  'change_aliases',
  'aliases.update',
];

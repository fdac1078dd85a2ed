import type { Operation } from '../operation.ts';
import { type Facts, FactTally, newPart, type Part } from './facts.ts';

/** Rows of both protocols whose numbers stand in the body or message. */
const IN_BODY: ReadonlySet<string> = new Set([
  ...(['points.search', 'points.search_batch', 'points.search_groups'] as const),
  ...(['points.search_matrix_pairs', 'points.search_matrix_offsets'] as const),
  ...(['points.recommend', 'points.recommend_batch', 'points.recommend_groups'] as const),
  ...(['points.discover', 'points.discover_batch'] as const),
  ...(['points.query', 'points.query_batch', 'points.query_groups'] as const),
  ...(['points.get', 'points.scroll', 'points.count', 'points.facet'] as const),
  ...(['local_shard.get', 'local_shard.scroll', 'local_shard.count'] as const),
  ...(['points.upsert', 'points.delete', 'points.update_vectors', 'points.delete_vectors'] as const),
  ...(['points.set_payload', 'points.overwrite_payload', 'points.delete_payload'] as const),
  ...(['points.clear_payload', 'points.batch'] as const),
  ...(['qdrant.Points/Search', 'qdrant.Points/SearchBatch', 'qdrant.Points/SearchGroups'] as const),
  ...(['qdrant.Points/SearchMatrixPairs', 'qdrant.Points/SearchMatrixOffsets'] as const),
  ...(['qdrant.Points/Recommend', 'qdrant.Points/RecommendBatch', 'qdrant.Points/RecommendGroups'] as const),
  ...(['qdrant.Points/Discover', 'qdrant.Points/DiscoverBatch'] as const),
  ...(['qdrant.Points/Query', 'qdrant.Points/QueryBatch', 'qdrant.Points/QueryGroups'] as const),
  ...(['qdrant.Points/Get', 'qdrant.Points/Scroll', 'qdrant.Points/Count', 'qdrant.Points/Facet'] as const),
  ...(['qdrant.Points/Upsert', 'qdrant.Points/Delete', 'qdrant.Points/UpdateVectors'] as const),
  ...(['qdrant.Points/DeleteVectors', 'qdrant.Points/SetPayload', 'qdrant.Points/OverwritePayload'] as const),
  ...(['qdrant.Points/DeletePayload', 'qdrant.Points/ClearPayload', 'qdrant.Points/UpdateBatch'] as const),
]);

/** Rows in forms of old releases, which are not read. */
const UNREAD: ReadonlySet<string> = new Set([
  ...(['legacy.points.change', 'legacy.local_shard.delete', 'legacy.staging.points'] as const),
  'staging.debug',
]);

/** True = the numbers of the operation stand in its body or message. */
export function hasFacts({ name }: Operation): boolean {
  return IN_BODY.has(name);
}

/** True = it may search or write anything, and its numbers are not read. */
export function isUnread({ name, unlisted }: Operation): boolean {
  return unlisted === true || UNREAD.has(name);
}

/** The numbers of an operation that are told without a body; `undefined` = it costs nothing, or its body tells. */
export function fixedFacts(operation: Operation): Facts | undefined {
  if (isUnread(operation)) return UNREAD_FACTS;
  return operation.name === 'points.get_one' ? ONE_POINT : undefined;
}

const ONE_POINT = factsOf({ ...newPart('points'), points: 1 });
const UNREAD_FACTS = factsOf({ ...newPart('points'), filters: 1 });

function factsOf(part: Part): Facts {
  const tally = new FactTally();
  tally.add(part);
  return Object.freeze(tally.facts);
}

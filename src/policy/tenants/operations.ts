/**
 * The use of an operation by a principal with a tenancy. An operation without an entry is refused, also one of a later
 * release.
 * - `pass`: tells names of collections or nothing at all; it goes upstream as it is, on covered collections only
 * - `rewrite`: reads or writes points, or tells about them; it goes upstream as it is for a free collection, else only made anew
 */
export type TenantUse = 'pass' | 'rewrite';

const USES: ReadonlyMap<string, TenantUse> = new Map<string, TenantUse>([
  ...uses('pass', 'collections', 'list exists aliases'),
  ...uses('pass', 'aliases', 'list'),
  ...uses('rewrite', 'collections', 'get'),
  ...uses('rewrite', 'points', 'upsert delete update_vectors delete_vectors batch'),
  ...uses('rewrite', 'points', 'set_payload overwrite_payload delete_payload clear_payload'),
  ...uses('rewrite', 'points', 'get_one get scroll count facet'),
  ...uses('rewrite', 'points', 'search search_batch search_groups search_matrix_pairs search_matrix_offsets'),
  ...uses('rewrite', 'points', 'recommend recommend_batch recommend_groups discover discover_batch'),
  ...uses('rewrite', 'points', 'query query_batch query_groups'),
  ...methods('pass', 'qdrant.Collections', 'List CollectionExists ListAliases ListCollectionAliases'),
  ...methods('pass', 'grpc.reflection.v1.ServerReflection', 'ServerReflectionInfo'),
  ...methods('pass', 'grpc.reflection.v1alpha.ServerReflection', 'ServerReflectionInfo'),
  ...methods('rewrite', 'qdrant.Collections', 'Get'),
  ...methods('rewrite', 'qdrant.Points', 'Upsert Delete UpdateVectors DeleteVectors UpdateBatch'),
  ...methods('rewrite', 'qdrant.Points', 'SetPayload OverwritePayload DeletePayload ClearPayload'),
  ...methods('rewrite', 'qdrant.Points', 'Get Scroll Count Facet'),
  ...methods('rewrite', 'qdrant.Points', 'Search SearchBatch SearchGroups SearchMatrixPairs SearchMatrixOffsets'),
  ...methods('rewrite', 'qdrant.Points', 'Recommend RecommendBatch RecommendGroups Discover DiscoverBatch'),
  ...methods('rewrite', 'qdrant.Points', 'Query QueryBatch QueryGroups'),
]);

type Uses = readonly (readonly [row: string, use: TenantUse])[];

function uses(use: TenantUse, area: string, names: string): Uses {
  return names.split(' ').map((name) => [`${area}.${name}`, use]);
}

function methods(use: TenantUse, service: string, names: string): Uses {
  return names.split(' ').map((name) => [`${service}/${name}`, use]);
}

/** The use of the operation with this row name, of either protocol; `undefined` = refused. */
export function tenantUse(row: string): TenantUse | undefined {
  return USES.get(row);
}

/** The names of all rows that are not refused. */
export function tenantRows(): readonly string[] {
  return [...USES.keys()];
}

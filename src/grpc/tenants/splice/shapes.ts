import { FIELDS } from '../messages/codec.ts';

/**
 * The treatment of a field when conditions are put into a message.
 * - `pass`: it stays as it is
 * - `name`: the collection
 * - `filter`: gets the conditions
 * - `exact`: is always true
 * - `query`, `params`: stay if scores come from dense vectors, and nothing is looked up
 * - `level`: a query or prefetch within
 * - `points`: get the field of the tenant
 *
 * A field that is not named here needs more, so the message is decoded.
 */
export type Role = 'pass' | 'name' | 'filter' | 'exact' | 'query' | 'params' | 'level' | 'points';

/** A message into which conditions are put, by field number. */
export interface SpliceShape {
  readonly roles: ReadonlyMap<number, Role>;
  /** 0 = it has none. */
  readonly filter: number;
  readonly exact: number;
  /** True = it has the name of the collection. */
  readonly isNamed: boolean;
  /** True = upstream searches, and fetches what belongs to a hit by its id. */
  readonly findsPoints: boolean;
  /** True = such messages may stand within each other. */
  readonly isPrefetch: boolean;
  /** The shape of its `level`s. */
  readonly level: SpliceShape | undefined;
}

/** Fields that stay as they are in any message that reads. */
const READING = [
  ...['limit', 'offset', 'with_payload', 'with_vectors', 'score_threshold', 'read_consistency', 'shard_key_selector'],
  ...['timeout', 'using', 'vector_name', 'vector', 'group_by', 'group_size', 'order_by', 'key'],
];
const WRITING = ['wait', 'ordering', 'shard_key_selector', 'timeout', 'update_mode'];

const SEARCH = /^(?:Query|Search)/;

const READING_ROLES = rolesOf(READING, {
  ...{ collection_name: 'name', filter: 'filter', query: 'query', params: 'params' },
  ...{ prefetch: 'level', query_points: 'level', search_points: 'level' },
});

/** The messages into which conditions can be put. */
const SHAPES: ReadonlyMap<string, SpliceShape> = new Map([
  ['QueryPoints', shapeOf('QueryPoints', READING_ROLES, prefetchShape())],
  ['QueryPointGroups', shapeOf('QueryPointGroups', READING_ROLES, prefetchShape())],
  [
    'QueryBatchPoints',
    shapeOf('QueryBatchPoints', READING_ROLES, shapeOf('QueryPoints', READING_ROLES, prefetchShape())),
  ],
  ['SearchPoints', shapeOf('SearchPoints', READING_ROLES, undefined)],
  ['SearchPointGroups', shapeOf('SearchPointGroups', READING_ROLES, undefined)],
  ['SearchBatchPoints', shapeOf('SearchBatchPoints', READING_ROLES, shapeOf('SearchPoints', READING_ROLES, undefined))],
  ['ScrollPoints', shapeOf('ScrollPoints', READING_ROLES, undefined)],
  ['CountPoints', shapeOf('CountPoints', { ...READING_ROLES, exact: 'exact' }, undefined)],
  ['FacetCounts', shapeOf('FacetCounts', { ...READING_ROLES, exact: 'exact' }, undefined)],
  [
    'UpsertPoints',
    shapeOf(
      'UpsertPoints',
      rolesOf(WRITING, { collection_name: 'name', points: 'points', update_filter: 'filter' }),
      undefined,
    ),
  ],
]);

/** The shape of a message; `undefined` = it is decoded. */
export function spliceShape(type: string): SpliceShape | undefined {
  return SHAPES.get(type);
}

function rolesOf(passing: readonly string[], others: Readonly<Record<string, Role>>): Readonly<Record<string, Role>> {
  return { ...Object.fromEntries(passing.map((name) => [name, 'pass' as const])), ...others };
}

function shapeOf(type: string, roles: Readonly<Record<string, Role>>, level: SpliceShape | undefined): SpliceShape {
  const known = (FIELDS.get(type) ?? []).flatMap(({ name, number }) => {
    const role = roles[name];
    return role ? [[number, role] as const] : [];
  });
  const withRole = (role: Role): number => known.find(([, each]) => each === role)?.[0] ?? 0;
  const isNamed = withRole('name') !== 0;
  return {
    roles: new Map(known),
    filter: withRole('filter'),
    exact: withRole('exact'),
    isNamed,
    isPrefetch: type === 'PrefetchQuery',
    level,
    findsPoints: SEARCH.test(type),
  };
}

/** A prefetch has prefetches. */
function prefetchShape(): SpliceShape {
  const shape: { -readonly [K in keyof SpliceShape]: SpliceShape[K] } = {
    ...shapeOf('PrefetchQuery', READING_ROLES, undefined),
  };
  shape.level = shape;
  return shape;
}

/** The number of a field of the table. Throws `TypeError` if it has none of this name. */
export function numberOf(type: string, name: string): number {
  const row = FIELDS.get(type)?.find((field) => field.name === name);
  if (!row) throw new TypeError(`the message \`${type}\` has no field \`${name}\``);
  return row.number;
}

import { type JsonNode, type JsonObject, listNode, NULL_NODE } from '../../json/tree.ts';
import { filteredKey, withinArray } from './hidden.ts';
import { type TenantReading, tenantFilter } from './reading.ts';
import { type Action, type Fields, keep, list, object, oneOrMany, orNull, plain, text } from './shapes.ts';
import { oneOf, type Variant } from './variants.ts';

/* Filters and conditions. Upstream: `Filter` and `Condition` (Qdrant v1.19.0, `lib/segment/src/types.rs`). */

const conditions: Action = (reading) => CONDITIONS(reading);
const nestedFilter: Action = (reading) => FILTER(reading);

const geoPoint = object({ lon: plain, lat: plain });
const line = object({ points: list(geoPoint) });

/** Tables by the names of upstream's schemas. */
export const FILTER_FIELDS = {
  Filter: { should: conditions, min_should: (reading) => MIN_SHOULD(reading), must: conditions, must_not: conditions },
  MinShould: { conditions: list((reading) => CONDITION(reading)), min_count: plain },
  FieldCondition: {
    key: filteredKey,
    match: (reading) => MATCH(reading),
    range: orNull(object({ lt: keep, gt: keep, gte: keep, lte: keep })),
    geo_bounding_box: orNull(object({ top_left: geoPoint, bottom_right: geoPoint })),
    geo_radius: orNull(object({ center: geoPoint, radius: plain })),
    geo_polygon: orNull(object({ exterior: line, interiors: orNull(list(line)) })),
    values_count: orNull(object({ lt: plain, gt: plain, gte: plain, lte: plain })),
    is_empty: keyOrFlag,
    is_null: keyOrFlag,
  },
  IsEmptyCondition: { is_empty: keyOrFlag },
  IsNullCondition: { is_null: keyOrFlag },
  HasIdCondition: { has_id: keep },
  HasVectorCondition: { has_vector: text },
  SliceCondition: { slice: object({ total: plain, index: plain }) },
  NestedCondition: { nested: withinArray(object({ key: text, filter: nestedFilter })) },
} as const satisfies Readonly<Record<string, Fields>>;

/** The forms of a match; `substring` since Qdrant v1.20.0. */
export const MATCHES = ['value', 'text', 'text_any', 'phrase', 'prefix', 'substring', 'any', 'except'] as const;

const MATCH = orNull(
  oneOf(
    MATCHES.map((name) => ({ required: [name], fields: { [name]: keep } })),
    'match',
  ),
);

const FILTER = object(FILTER_FIELDS.Filter);
const MIN_SHOULD = orNull(object(FILTER_FIELDS.MinShould));

/** An empty object is a filter. Upstream reads an object with `key` as a condition on a field or not at all, of late (Qdrant v1.19.0). */
export const CONDITION_VARIANTS: readonly Variant[] = [
  {
    required: ['key'],
    fields: FILTER_FIELDS.FieldCondition,
    isSure: (_, node) => !isObject(node, 'is_empty') && !isObject(node, 'is_null'),
  },
  { required: ['is_empty'], fields: FILTER_FIELDS.IsEmptyCondition },
  { required: ['is_null'], fields: FILTER_FIELDS.IsNullCondition },
  { required: ['has_id'], fields: FILTER_FIELDS.HasIdCondition },
  { required: ['has_vector'], fields: FILTER_FIELDS.HasVectorCondition },
  { required: ['slice'], fields: FILTER_FIELDS.SliceCondition },
  { required: ['nested'], fields: FILTER_FIELDS.NestedCondition },
  { required: [], fields: FILTER_FIELDS.Filter, isExact: true },
];

function isObject(node: JsonObject, name: string): boolean {
  return node.get(name)?.kind === 'object';
}
const CONDITION = oneOf(CONDITION_VARIANTS, 'a condition');
const CONDITIONS = oneOrMany(CONDITION);

/** `true`, `false`, null, or `{key}`. */
function keyOrFlag(reading: TenantReading): JsonNode {
  return reading.reader.peek() === 'object' ? KEY(reading) : plain(reading);
}
const KEY = object({ key: filteredKey });

/** The client's filter, or null, with the conditions of the tenant in front of its `must`. */
export const boundFilter: Action = (reading) => {
  if (reading.reader.peek() === 'null') {
    reading.reader.readNull();
    return reading.isFree ? NULL_NODE : tenantFilter(reading);
  }
  const node = FILTER(reading);
  if (!reading.isFree && node.kind === 'object') bind(reading, node);
  return node;
};

/**
 * INVARIANT: `must` holds together with everything else in its filter, and upstream merges filters of several levels list by list.
 * So the conditions stand beside the client's own there, which also keeps the meaning of what is merged.
 */
function bind(reading: TenantReading, node: JsonObject): void {
  const own = node.get('must');
  if (own?.kind === 'list') node.set('must', listNode([...reading.must, ...own.items], own.rest));
  else node.set('must', listNode(own === undefined || reading.isNull(own) ? reading.must : [...reading.must, own]));
}

/** Adds conditions to a filter that is bound. */
export function addConditions(node: JsonNode | undefined, conditions: readonly JsonNode[]): void {
  const own = node?.kind === 'object' ? node.get('must') : undefined;
  // INVARIANT: a filter that is bound has a list there.
  if (node?.kind !== 'object' || own?.kind !== 'list') throw new TypeError('a filter is not bound');
  node.set('must', listNode([...conditions, ...own.items], own.rest));
}

/** Adds the filter of the tenant where the client has none. */
export function bindMissing(reading: TenantReading, node: JsonObject, field: string): void {
  if (!reading.isFree && !node.has(field)) node.set(field, tenantFilter(reading));
}

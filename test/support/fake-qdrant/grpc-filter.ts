import { type FilterMessage, idJson, integerJson } from './grpc-values.ts';
import type { Json, JsonObject } from './json.ts';

type Condition = FilterMessage['must'][number];
type Option = Condition['conditionOneOf'];
type Field = Extract<Option, { case: 'field' }>['value'];
type Match = NonNullable<Field['match']>['matchValue'];
type Times = NonNullable<Field['datetimeRange']>;

/** A filter message in REST form. */
export function filterJson(filter: FilterMessage | undefined): JsonObject | undefined {
  if (filter === undefined) {
    return undefined;
  }
  const { must, should, mustNot, minShould } = filter;
  return {
    must: conditionsJson(must),
    should: conditionsJson(should),
    must_not: conditionsJson(mustNot),
    min_should:
      minShould === undefined
        ? undefined
        : { conditions: conditionsJson(minShould.conditions) ?? [], min_count: integerJson(minShould.minCount) },
  };
}

// Upstream: conditions without a kind are left out, and so is a list without conditions.
function conditionsJson(conditions: Condition[]): Json[] | undefined {
  const kinds = conditions.filter(({ conditionOneOf }) => conditionOneOf.case !== undefined).map(conditionJson);
  return kinds.length === 0 ? undefined : kinds;
}

/** A condition message in REST form. */
export function conditionJson(condition: Condition): JsonObject {
  const option = condition.conditionOneOf;
  switch (option.case) {
    case 'field':
      return fieldJson(option.value);
    case 'isEmpty':
      return { is_empty: { key: option.value.key } };
    case 'isNull':
      return { is_null: { key: option.value.key } };
    case 'hasId':
      return { has_id: option.value.hasId.map(idJson) };
    case 'hasVector':
      return { has_vector: option.value.hasVector };
    case 'nested':
      return { nested: { key: option.value.key, filter: filterJson(option.value.filter) ?? {} } };
    case 'filter':
      return filterJson(option.value) ?? {};
    case 'slice':
      return { slice: {} };
    default:
      return {};
  }
}

function fieldJson(field: Field): JsonObject {
  const { range, datetimeRange, valuesCount, geoBoundingBox, geoRadius, geoPolygon } = field;
  return {
    key: field.key,
    match: field.match === undefined ? undefined : matchJson(field.match.matchValue),
    range: range === undefined ? timesJson(datetimeRange) : bounds(range, (value) => value),
    values_count: valuesCount === undefined ? undefined : bounds(valuesCount, integerJson),
    is_empty: field.isEmpty,
    is_null: field.isNull,
    geo_bounding_box:
      geoBoundingBox === undefined
        ? undefined
        : { top_left: geoJson(geoBoundingBox.topLeft), bottom_right: geoJson(geoBoundingBox.bottomRight) },
    geo_polygon: geoPolygon === undefined ? undefined : {},
    geo_radius: geoRadius === undefined ? undefined : { center: geoJson(geoRadius.center), radius: geoRadius.radius },
  };
}

function geoJson(point: { lat: number; lon: number } | undefined): JsonObject {
  return { lat: point?.lat ?? 0, lon: point?.lon ?? 0 };
}

type Bounds<T> = { lt?: T | undefined; gt?: T | undefined; gte?: T | undefined; lte?: T | undefined };

function bounds<T>(range: Bounds<T>, json: (value: T) => Json): JsonObject {
  const { lt, gt, gte, lte } = range;
  const bound = (value: T | undefined): Json | undefined => (value === undefined ? undefined : json(value));
  return { lt: bound(lt), gt: bound(gt), gte: bound(gte), lte: bound(lte) };
}

function timesJson(range: Times | undefined): JsonObject | undefined {
  const text = (time: NonNullable<Times['lt']>): Json =>
    new Date(Number(time.seconds) * 1000 + time.nanos / 1e6).toISOString();
  return range === undefined ? undefined : bounds(range, text);
}

function matchJson(match: Match): JsonObject {
  switch (match.case) {
    case 'keyword':
    case 'boolean':
      return { value: match.value };
    case 'integer':
      return { value: integerJson(match.value) };
    case 'keywords':
      return { any: match.value.strings };
    case 'integers':
      return { any: match.value.integers.map(integerJson) };
    case 'exceptKeywords':
      return { except: match.value.strings };
    case 'exceptIntegers':
      return { except: match.value.integers.map(integerJson) };
    case 'textAny':
      return { text_any: match.value };
    case undefined:
      return {};
    default:
      return { [match.case]: match.value };
  }
}

import { isObject, type Json, type JsonObject, listOf, numberOf, objectOf, textOf } from './json.ts';
import { leavesAt, valuesAt } from './paths.ts';
import { type Point, pointIdOf } from './store.ts';

type Scope = { point: Point; payload: Json };

/** Whether the point passes the filter (REST form: must, should, must_not, min_should; nested at will). */
export function passes(point: Point, filter: Json | undefined): boolean {
  return filter === undefined || filter === null || filterHolds({ point, payload: point.payload }, objectOf(filter));
}

function filterHolds(scope: Scope, filter: JsonObject): boolean {
  const holds = (condition: Json): boolean => conditionHolds(scope, objectOf(condition));
  const should = listOf(filter.should);
  if (should.length > 0 && !should.some(holds)) {
    return false;
  }
  if (isObject(filter.min_should)) {
    const count = listOf(filter.min_should.conditions).filter(holds).length;
    if (count < numberOf(filter.min_should.min_count, 0)) {
      return false;
    }
  }
  return listOf(filter.must).every(holds) && !listOf(filter.must_not).some(holds);
}

function conditionHolds(scope: Scope, condition: JsonObject): boolean {
  if (condition.has_id !== undefined) {
    const ids = listOf(condition.has_id).map(pointIdOf);
    return ids.includes(scope.point.id);
  }
  if (condition.has_vector !== undefined) {
    return scope.point.vectors.has(textOf(condition.has_vector) ?? '');
  }
  if (isObject(condition.is_empty)) {
    return isEmpty(leavesAt(scope.payload, textOf(condition.is_empty.key) ?? ''));
  }
  if (isObject(condition.is_null)) {
    return leavesAt(scope.payload, textOf(condition.is_null.key) ?? '').includes(null);
  }
  if (isObject(condition.nested)) {
    const { key, filter } = condition.nested;
    return leavesAt(scope.payload, textOf(key) ?? '').some((payload) =>
      filterHolds({ point: scope.point, payload }, objectOf(filter)),
    );
  }
  return condition.key === undefined ? filterHolds(scope, condition) : fieldHolds(scope.payload, condition);
}

function isEmpty(leaves: Json[]): boolean {
  return leaves.every((leaf) => leaf === null);
}

function fieldHolds(payload: Json, condition: JsonObject): boolean {
  const key = textOf(condition.key) ?? '';
  const leaves = leavesAt(payload, key);
  if (isObject(condition.match)) {
    const match = condition.match;
    return leaves.some((leaf) => matches(leaf, match));
  }
  if (isObject(condition.range)) {
    const range = condition.range;
    return leaves.some((leaf) => inRange(leaf, range));
  }
  if (isObject(condition.values_count)) {
    const count = valuesAt(payload, key).reduce<number>((sum, v) => sum + (Array.isArray(v) ? v.length : 1), 0);
    return inRange(count, condition.values_count);
  }
  if (condition.is_empty !== undefined) {
    return isEmpty(leaves) === condition.is_empty;
  }
  if (condition.is_null !== undefined) {
    return leaves.includes(null) === condition.is_null;
  }
  return leaves.some((leaf) => geoHolds(leaf, condition));
}

function matches(leaf: Json, match: JsonObject): boolean {
  if (match.value !== undefined) {
    // INVARIANT: an integer is a bigint only where a number cannot hold it, so equal values have one form.
    return leaf === match.value;
  }
  if (match.any !== undefined) {
    return listOf(match.any).some((value) => leaf === value);
  }
  if (match.except !== undefined) {
    return !listOf(match.except).some((value) => leaf === value);
  }
  if (typeof leaf !== 'string') {
    return false;
  }
  const words = wordsOf(leaf);
  if (match.text !== undefined) {
    const wanted = textOf(match.text) ?? '';
    return leaf.includes(wanted) || wordsOf(wanted).every((word) => words.includes(word));
  }
  if (match.text_any !== undefined) {
    return wordsOf(textOf(match.text_any) ?? '').some((word) => words.includes(word));
  }
  if (match.prefix !== undefined) {
    return leaf.startsWith(textOf(match.prefix) ?? '');
  }
  return ` ${words.join(' ')} `.includes(` ${wordsOf(textOf(match.phrase) ?? '').join(' ')} `);
}

function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
}

function inRange(leaf: Json, range: JsonObject): boolean {
  const compare = (bound: Json | undefined, holds: (order: number) => boolean): boolean => {
    if (bound === undefined || bound === null) {
      return true;
    }
    const order = orderOf(leaf, bound);
    return order !== undefined && holds(order);
  };
  return (
    compare(range.lt, (order) => order < 0) &&
    compare(range.gt, (order) => order > 0) &&
    compare(range.lte, (order) => order <= 0) &&
    compare(range.gte, (order) => order >= 0)
  );
}

function orderOf(leaf: Json, bound: Json): number | undefined {
  const numeric = (value: Json): boolean => typeof value === 'number' || typeof value === 'bigint';
  if (numeric(leaf) && numeric(bound)) {
    return Number(leaf) - Number(bound);
  }
  if (typeof leaf === 'string' && typeof bound === 'string') {
    const difference = Date.parse(leaf) - Date.parse(bound);
    return Number.isNaN(difference) ? undefined : difference;
  }
  return undefined;
}

function geoHolds(leaf: Json, condition: JsonObject): boolean {
  if (!isObject(leaf)) {
    return false;
  }
  const lat = numberOf(leaf.lat, Number.NaN);
  const lon = numberOf(leaf.lon, Number.NaN);
  if (isObject(condition.geo_bounding_box)) {
    const top = objectOf(condition.geo_bounding_box.top_left);
    const bottom = objectOf(condition.geo_bounding_box.bottom_right);
    const tall = lat <= numberOf(top.lat, 0) && lat >= numberOf(bottom.lat, 0);
    return tall && lon >= numberOf(top.lon, 0) && lon <= numberOf(bottom.lon, 0);
  }
  if (isObject(condition.geo_radius)) {
    const center = objectOf(condition.geo_radius.center);
    const distance = metres(lat, lon, numberOf(center.lat, 0), numberOf(center.lon, 0));
    return distance <= numberOf(condition.geo_radius.radius, 0);
  }
  return false;
}

function metres(latA: number, lonA: number, latB: number, lonB: number): number {
  const radians = Math.PI / 180;
  const a =
    Math.sin(((latB - latA) * radians) / 2) ** 2 +
    Math.cos(latA * radians) * Math.cos(latB * radians) * Math.sin(((lonB - lonA) * radians) / 2) ** 2;
  return 2 * 6_371_000 * Math.asin(Math.sqrt(a));
}

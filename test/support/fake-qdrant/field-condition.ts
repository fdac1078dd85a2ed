import { Fault } from './fault.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, objectOf, textOf } from './json.ts';
import { valuesAt } from './paths.ts';

/** Payload indexes by field, as a collection keeps them: only a text index changes what a condition means. */
export type Indexes = ReadonlyMap<string, Json>;

/**
 * Whether a field condition (`key` and a check) holds for a payload. Several checks are ORed, but a count of values, `is_empty` and
 * `is_null` hide the others. Upstream: condition_checker.rs of v1.19.0.
 */
export function fieldHolds(payload: Json, condition: JsonObject, indexes: Indexes): boolean {
  const key = textOf(condition.key) ?? '';
  const values = valuesAt(payload, key);
  const { values_count: count, is_empty: empty, is_null: isNull } = condition;
  if (isObject(count)) {
    return values.length === 0 ? inRange(0, count) : values.some((value) => inRange(countOf(value), count));
  }
  if (typeof empty === 'boolean') {
    return values.length === 0 ? empty : values.some((value) => isEmptyValue(value) === empty);
  }
  if (typeof isNull === 'boolean') {
    return values.length === 0 ? !isNull : values.some((value) => holdsNull(value) === isNull);
  }
  const checks = checksOf(condition, isTextIndex(indexes.get(key)));
  const leaves = values.flatMap((value) => (Array.isArray(value) ? value : [value]));
  return leaves.some((leaf) => checks.some((holds) => holds(leaf)));
}

/** Whether nothing is at a path, or only `null` and empty lists. */
export function isEmptyAt(payload: Json, path: string): boolean {
  return valuesAt(payload, path).every(isEmptyValue);
}

function isEmptyValue(value: Json): boolean {
  return value === null || (Array.isArray(value) && value.length === 0);
}

function holdsNull(value: Json): boolean {
  return Array.isArray(value) ? value.includes(null) : value === null;
}

function countOf(value: Json): number {
  return value === null ? 0 : Array.isArray(value) ? value.length : 1;
}

function isTextIndex(schema: Json | undefined): boolean {
  return (isObject(schema) ? schema.type : schema) === 'text';
}

type Check = (leaf: Json) => boolean;

function checksOf(condition: JsonObject, fullText: boolean): Check[] {
  const { match, range, geo_bounding_box: box, geo_radius: circle, geo_polygon: polygon } = condition;
  const checks: Check[] = [];
  if (isObject(match)) checks.push((leaf) => matches(leaf, match, fullText));
  if (isObject(range)) checks.push((leaf) => inPayloadRange(leaf, range));
  if (isObject(box)) checks.push((leaf) => inBox(leaf, box));
  if (isObject(circle)) checks.push((leaf) => inCircle(leaf, circle));
  if (checks.length === 0) {
    throw polygon === undefined
      ? new Fault('unprocessable', 'Validation error in JSON body: [At least one field condition must be specified]')
      : new Fault('internal', 'Service internal error: this stand-in knows no polygons');
  }
  return checks;
}

function matches(leaf: Json, match: JsonObject, fullText: boolean): boolean {
  if (match.value !== undefined) {
    // INVARIANT: an integer is a bigint only where a number cannot hold it, so equal values have one form.
    return leaf === match.value;
  }
  if (match.any !== undefined) {
    return listOf(match.any).some((value) => leaf === value);
  }
  if (match.except !== undefined) {
    return leaf !== null && !listOf(match.except).some((value) => leaf === value);
  }
  if (typeof leaf !== 'string') {
    return false;
  }
  if (match.prefix !== undefined) {
    return leaf.startsWith(textOf(match.prefix) ?? '');
  }
  return fullText ? hasWords(leaf, match) : hasText(leaf, match);
}

// Upstream: without a full-text index a text is looked for as it is.
function hasText(leaf: string, match: JsonObject): boolean {
  const any = textOf(match.text_any);
  if (any !== undefined) {
    return any.split(/\s+/u).some((word) => word !== '' && leaf.includes(word));
  }
  return leaf.includes(textOf(match.text) ?? textOf(match.phrase) ?? '');
}

function hasWords(leaf: string, match: JsonObject): boolean {
  const words = wordsOf(leaf);
  if (match.text !== undefined) {
    return wordsOf(textOf(match.text) ?? '').every((word) => words.includes(word));
  }
  if (match.text_any !== undefined) {
    return wordsOf(textOf(match.text_any) ?? '').some((word) => words.includes(word));
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

// A range without bounds is one of numbers.
function inPayloadRange(leaf: Json, range: JsonObject): boolean {
  return (typeof leaf !== 'string' ? isNumber(leaf) : Object.values(range).some(isText)) && inRange(leaf, range);
}

function isText(value: Json | undefined): boolean {
  return typeof value === 'string';
}

function isNumber(value: Json): boolean {
  return typeof value === 'number' || typeof value === 'bigint';
}

function orderOf(leaf: Json, bound: Json): number | undefined {
  if (isNumber(leaf) && isNumber(bound)) {
    return Number(leaf) - Number(bound);
  }
  if (typeof leaf === 'string' && typeof bound === 'string') {
    const difference = Date.parse(leaf) - Date.parse(bound);
    return Number.isNaN(difference) ? undefined : difference;
  }
  return undefined;
}

function inBox(leaf: Json, box: JsonObject): boolean {
  const { lat, lon } = placeOf(leaf);
  const top = objectOf(box.top_left);
  const bottom = objectOf(box.bottom_right);
  const tall = lat <= numberOf(top.lat, 0) && lat >= numberOf(bottom.lat, 0);
  return tall && lon >= numberOf(top.lon, 0) && lon <= numberOf(bottom.lon, 0);
}

function inCircle(leaf: Json, circle: JsonObject): boolean {
  const { lat, lon } = placeOf(leaf);
  const center = objectOf(circle.center);
  const distance = metres(lat, lon, numberOf(center.lat, 0), numberOf(center.lon, 0));
  return distance <= numberOf(circle.radius, 0);
}

function placeOf(leaf: Json): { lat: number; lon: number } {
  const place = isObject(leaf) ? leaf : {};
  return { lat: numberOf(place.lat, Number.NaN), lon: numberOf(place.lon, Number.NaN) };
}

function metres(latA: number, lonA: number, latB: number, lonB: number): number {
  const radians = Math.PI / 180;
  const a =
    Math.sin(((latB - latA) * radians) / 2) ** 2 +
    Math.cos(latA * radians) * Math.cos(latB * radians) * Math.sin(((lonB - lonA) * radians) / 2) ** 2;
  return 2 * 6_371_000 * Math.asin(Math.sqrt(a));
}

import { Fault } from './fault.ts';
import { fieldHolds, type Indexes, isEmptyAt } from './field-condition.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, objectOf, textOf } from './json.ts';
import { valuesAt } from './paths.ts';
import { type Point, pointIdOf } from './store.ts';

/** Where a condition is asked: at a point, or (`point` undefined) at one element that a `nested` condition found. */
type Scope = { point: Point | undefined; payload: Json; indexes: Indexes };

const MEMBERS: ReadonlySet<string> = new Set(['must', 'should', 'must_not', 'min_should']);
const NO_INDEXES: Indexes = new Map();

/** Whether the point passes the filter (REST form: must, should, must_not, min_should; nested at will). */
export function passes(point: Point, filter: Json | undefined, indexes: Indexes = NO_INDEXES): boolean {
  if (filter === undefined || filter === null) {
    return true;
  }
  return filterHolds({ point, payload: point.payload, indexes }, objectOf(filter));
}

/** One filter with the conditions of both: their lists are joined, `should` too. Upstream: `merge_owned` of v1.19.0. */
export function joined(one: Json | undefined, other: Json | undefined): Json | undefined {
  if (!isObject(one) || !isObject(other)) {
    return isObject(one) ? one : other;
  }
  const list = (name: string): Json | undefined => {
    const conditions = [...listOf(one[name]), ...listOf(other[name])];
    return conditions.length === 0 ? undefined : conditions;
  };
  return {
    must: list('must'),
    should: list('should'),
    must_not: list('must_not'),
    min_should: joinedLeast(one.min_should, other.min_should),
  };
}

function joinedLeast(one: Json | undefined, other: Json | undefined): Json | undefined {
  if (!isObject(one) || !isObject(other)) {
    return isObject(one) ? one : other;
  }
  const least = Math.max(numberOf(one.min_count, 0), numberOf(other.min_count, 0));
  return { conditions: [...listOf(one.conditions), ...listOf(other.conditions)], min_count: least };
}

function filterHolds(scope: Scope, filter: JsonObject): boolean {
  checkMembers(filter);
  const holds: Holds = (condition) => conditionHolds(scope, objectOf(condition));
  const should = listOf(filter.should);
  // Upstream: an empty list is no constraint, but below `nested` it holds for nothing.
  const asks = should.length > 0 || (scope.point === undefined && Array.isArray(filter.should));
  if (asks && !should.some(holds)) {
    return false;
  }
  return (
    hasEnough(filter.min_should, holds) && listOf(filter.must).every(holds) && !listOf(filter.must_not).some(holds)
  );
}

type Holds = (condition: Json) => boolean;

function hasEnough(least: Json | undefined, holds: Holds): boolean {
  return !isObject(least) || listOf(least.conditions).filter(holds).length >= numberOf(least.min_count, 0);
}

function checkMembers(filter: JsonObject): void {
  for (const [name, value] of Object.entries(filter)) {
    if (!MEMBERS.has(name) && value !== undefined) {
      throw new Fault('bad-input', `Format error in JSON body: unknown field \`${name}\``);
    }
  }
  if (isObject(filter.min_should) && numberOf(filter.min_should.min_count, 0) < 1) {
    throw new Fault('unprocessable', 'Validation error in JSON body: [min_count: min_count must be greater than 0]');
  }
}

// The order of the kinds is upstream's: what has a key is a condition on a field, whatever else it has.
function conditionHolds(scope: Scope, condition: JsonObject): boolean {
  const { point, payload } = scope;
  if (condition.key !== undefined) {
    return fieldHolds(payload, condition, scope.indexes);
  }
  if (isObject(condition.is_empty)) {
    return isEmptyAt(payload, textOf(condition.is_empty.key) ?? '');
  }
  if (isObject(condition.is_null)) {
    return valuesAt(payload, textOf(condition.is_null.key) ?? '').includes(null);
  }
  if (condition.has_id !== undefined) {
    const ids = listOf(condition.has_id).map(pointIdOf);
    return point !== undefined && ids.includes(point.id);
  }
  if (condition.has_vector !== undefined) {
    return point?.vectors.has(textOf(condition.has_vector) ?? '') ?? false;
  }
  if (condition.slice !== undefined) {
    throw new Fault('internal', 'Service internal error: this stand-in knows no slices');
  }
  return isObject(condition.nested) ? nestedHolds(scope, condition.nested) : filterHolds(scope, condition);
}

// Upstream: `key` and `key[]` are the same, so that only elements of an array are looked at.
function nestedHolds(scope: Scope, { key, filter }: JsonObject): boolean {
  const path = textOf(key) ?? '';
  const elements = valuesAt(scope.payload, path.endsWith('[]') ? path : `${path}[]`);
  return elements.some(
    (payload) => isObject(payload) && filterHolds({ point: undefined, payload, indexes: NO_INDEXES }, objectOf(filter)),
  );
}

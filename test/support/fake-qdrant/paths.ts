import { Fault } from './fault.ts';
import { isObject, type Json, type JsonObject } from './json.ts';

/** One step of a payload path: a member, an element, or (`null`) every element of an array. */
type Step = string | number | null;

const FIRST = /"([^"\\]*)"|([\p{Alphabetic}\p{N}_-]+)/uy;
const NEXT = /\.(?:"([^"\\]*)"|([\p{Alphabetic}\p{N}_-]+))|\[(\d*)\]/uy;

/** Paths that were read before: a filter has few, and asks each of them of every point. */
const known = new Map<string, readonly Step[]>();
const KNOWN = 1000;

/** Reads a payload path: `a.b`, `a[].b`, `a[0]`, `"a.b".c`; refuses any other text. Upstream: json_path/parse.rs of v1.19.0. */
export function pathOf(text: string): readonly Step[] {
  const before = known.get(text);
  if (before !== undefined) return before;
  const steps = readPath(text);
  if (known.size < KNOWN) known.set(text, steps);
  return steps;
}

function readPath(text: string): Step[] {
  const steps: Step[] = [];
  let at = 0;
  for (let pattern = FIRST; at < text.length || steps.length === 0; pattern = NEXT) {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) {
      throw new Fault('bad-input', `Format error in JSON body: Invalid json path: '${text}'`);
    }
    const index = found[3];
    steps.push(index === undefined ? (found[1] ?? found[2] ?? '') : index === '' ? null : Number(index));
    at = pattern.lastIndex;
  }
  return steps;
}

function next(value: Json, step: Step): Json[] {
  if (typeof step === 'string') {
    const member = isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
    return member === undefined ? [] : [member];
  }
  if (!Array.isArray(value)) {
    return [];
  }
  return step === null ? value : value.slice(step, step + 1);
}

/** All values at a payload path; arrays are entered only where the path says so, and kept whole at its end. */
export function valuesAt(payload: Json, path: string): Json[] {
  return pathOf(path).reduce<Json[]>((values, step) => values.flatMap((value) => next(value, step)), [payload]);
}

/** The values a condition looks at: as valuesAt, with arrays at the end opened. */
export function leavesAt(payload: Json, path: string): Json[] {
  return valuesAt(payload, path).flatMap((value) => (Array.isArray(value) ? value : [value]));
}

/** The members of both, those of `change` first; `null` there removes one. */
export function merged(payload: JsonObject, change: JsonObject): JsonObject {
  const kept = Object.entries({ ...payload, ...change }).filter(
    ([key, value]) => !(value === null && Object.hasOwn(change, key)),
  );
  return Object.fromEntries(kept);
}

/** A copy of the payload with `change` merged in at the path; what is in the way is replaced. Upstream: `value_set`. */
export function withMerged(payload: JsonObject, path: string, change: JsonObject): JsonObject {
  const changed = set(payload, pathOf(path), change);
  return isObject(changed) ? changed : payload;
}

function set(value: Json, [step, ...rest]: readonly Step[], change: JsonObject): Json {
  if (step === undefined) {
    return merged(isObject(value) ? value : {}, change);
  }
  if (typeof step === 'string') {
    const object = isObject(value) ? value : {};
    const before = Object.hasOwn(object, step) ? object[step] : undefined;
    return { ...object, [step]: set(before ?? null, rest, change) };
  }
  const list = Array.isArray(value) ? value : [];
  return list.map((item, at) => (step === null || step === at ? set(item, rest, change) : item));
}

/** A copy of the payload without what is at the path. Upstream: `value_remove`: an element of an array is never removed. */
export function withoutPath(payload: JsonObject, path: string): JsonObject {
  const changed = removed(payload, pathOf(path));
  return isObject(changed) ? changed : payload;
}

function removed(value: Json, [step, ...rest]: readonly Step[]): Json {
  if (typeof step === 'string') {
    if (!isObject(value) || !Object.hasOwn(value, step)) {
      return value;
    }
    const { [step]: member, ...others } = value;
    return rest.length === 0 ? others : { ...value, [step]: removed(member ?? null, rest) };
  }
  if (!Array.isArray(value) || step === undefined) {
    return value;
  }
  if (rest.length === 0) {
    return step === null ? [] : value;
  }
  return value.map((item, at) => (step === null || step === at ? removed(item, rest) : item));
}

type Keeps = (place: readonly Step[]) => boolean;

function kept(value: Json, place: readonly Step[], keeps: Keeps): Json {
  if (Array.isArray(value)) {
    const within = [...place, null];
    return value.filter(() => keeps(within)).map((item) => kept(item, within, keeps));
  }
  if (!isObject(value)) {
    return value;
  }
  const members = Object.entries(value).filter(([key]) => keeps([...place, key]));
  return Object.fromEntries(members.map(([key, member]) => [key, kept(member ?? null, [...place, key], keeps)]));
}

/** A copy of the payload holding only what is at the paths, or on the way there. */
export function onlyPaths(payload: JsonObject, paths: string[]): Json {
  const patterns = paths.map(pathOf);
  return kept(payload, [], (place) =>
    patterns.some((pattern) => place.every((step, at) => at >= pattern.length || pattern[at] === step)),
  );
}

/** A copy of the payload without what is at the paths. */
export function withoutPaths(payload: JsonObject, paths: string[]): Json {
  const patterns = paths.map(pathOf);
  return kept(payload, [], (place) =>
    patterns.every((pattern) => pattern.length > place.length || pattern.some((step, at) => place[at] !== step)),
  );
}

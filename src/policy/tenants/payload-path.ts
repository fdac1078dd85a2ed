/** The keys from the root of a payload to a field, none of them in an array. At least one. */
export type PayloadField = readonly string[];

/** One step of a path: a key, an index, or every element of an array. */
export type PathStep = { readonly key: string } | { readonly index: string } | 'each';

const RAW = /[\p{Alphabetic}\p{Nd}\p{Nl}\p{No}_-]+/uy;
const INDEX = /\[(\d+)\]/uy;

/** Longest path of a request that is compared with fields, in characters. Upstream has no bound (Qdrant v1.19.0). */
export const MAX_PATH_LENGTH = 65_536;

/**
 * Parses a path into a payload, in time and memory of the order of its length. `undefined` = upstream would refuse it.
 *
 * Upstream: `JsonPath` (Qdrant v1.19.0, `lib/segment/src/json_path/parse.rs`): a key, then keys after a dot, `[0]` or `[]`. A
 * key is letters, digits, `_` and `-`, or anything in quotes but quotes and backslashes.
 */
export function parsePath(text: string): readonly PathStep[] | undefined {
  const steps: PathStep[] = [];
  let at = readKey(text, 0, steps);
  while (at > 0 && at < text.length) {
    if (text[at] === '.') at = readKey(text, at + 1, steps);
    else if (text.startsWith('[]', at)) {
      steps.push('each');
      at += 2;
    } else at = readIndex(text, at, steps);
  }
  return at > 0 ? steps : undefined;
}

/** Adds a key. Returns its end; -1 = there is none. */
function readKey(text: string, at: number, steps: PathStep[]): number {
  const end = rawEnd(text, at);
  if (end > at) {
    steps.push({ key: text.slice(at, end) });
    return end;
  }
  const close = text[at] === '"' ? text.indexOf('"', at + 1) : -1;
  if (close < 0) return -1;
  const key = text.slice(at + 1, close);
  if (key.includes('\\')) return -1;
  steps.push({ key });
  return close + 1;
}

/** The end of a key without quotes. */
function rawEnd(text: string, at: number): number {
  let end = at;
  while (end < text.length && RAW_UNITS[text.charCodeAt(end)] === 1) end += 1;
  if (end === text.length || text.charCodeAt(end) < RAW_UNITS.length) return end;
  RAW.lastIndex = at;
  return RAW.test(text) ? RAW.lastIndex : end;
}

/** 1 for the ASCII letters of a key without quotes. */
const RAW_UNITS = Uint8Array.from({ length: 128 }, (_, unit) => (/[\w-]/.test(String.fromCharCode(unit)) ? 1 : 0));

/** Adds an index. Returns its end; -1 = there is none. */
function readIndex(text: string, at: number, steps: PathStep[]): number {
  INDEX.lastIndex = at;
  const found = INDEX.exec(text);
  if (!found) return -1;
  steps.push({ index: found[1] ?? '' });
  return at + found[0].length;
}

/** The keys of a field's path; `undefined` = it is none, or has steps into arrays or empty keys. */
export function fieldOf(text: string): PayloadField | undefined {
  const keys = parsePath(text)?.flatMap((step) => (typeof step === 'object' && 'key' in step ? step.key : ''));
  return keys?.every((key) => key !== '') ? Object.freeze(keys) : undefined;
}

/**
 * True = a change at `path` may change `field`, or what is above or below it: one begins with the other. Steps into arrays
 * count as any key, so that nothing reaches the field in another form.
 */
export function reaches(path: readonly PathStep[], field: PayloadField): boolean {
  const shared = Math.min(path.length, field.length);
  for (let i = 0; i < shared; i++) {
    const step = path[i];
    if (typeof step === 'object' && 'key' in step && step.key !== field[i]) return false;
  }
  return true;
}

/**
 * True = what is at `path` lies on the way to `field`, is it, or lies within it, where objects in arrays are objects like others:
 * steps into arrays do not count.
 */
export function reachesThroughArrays(path: readonly PathStep[], field: PayloadField): boolean {
  const keys = keysOf(path);
  return matched(keys, field, 0) === Math.min(keys.length, field.length);
}

/** The keys of a path, without its steps into arrays. */
export function keysOf(path: readonly PathStep[]): readonly string[] {
  const keys: string[] = [];
  for (const step of path) if (typeof step === 'object' && 'key' in step) keys.push(step.key);
  return keys;
}

/** Keys of a path that are those of a field, from `begin` of the field on, up to the first that differs. */
export function matched(keys: readonly string[], field: PayloadField, begin: number): number {
  let count = 0;
  while (count < keys.length && begin + count < field.length && keys[count] === field[begin + count]) count += 1;
  return count;
}

/** The path of a field in the text that upstream parses: every key in quotes if it needs them. */
export function pathText(field: PayloadField): string {
  return field.map((key) => (PLAIN.test(key) ? key : `"${key}"`)).join('.');
}

const PLAIN = /^[A-Za-z0-9_-]+$/;

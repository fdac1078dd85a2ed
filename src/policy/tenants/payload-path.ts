/** The keys from the root of a payload to a field, none of them in an array. At least one. */
export type PayloadField = readonly string[];

/** One step of a path: a key, an index, or every element of an array. */
export type PathStep = { readonly key: string } | { readonly index: string } | 'each';

const RAW = /[\p{Alphabetic}\p{Nd}\p{Nl}\p{No}_-]+/uy;
const QUOTED = /"([^"\\]*)"/uy;
const INDEX = /\[(\d+)\]/uy;

/**
 * Parses a path into a payload. `undefined` = upstream would refuse it.
 *
 * Upstream: `JsonPath` (Qdrant v1.19.0, `lib/segment/src/json_path/parse.rs`): a key, then keys after a dot, `[0]` or `[]`. A
 * key is letters, digits, `_` and `-`, or anything in quotes but quotes and backslashes.
 */
export function parsePath(text: string): readonly PathStep[] | undefined {
  const steps: PathStep[] = [];
  let at = 0;
  const key = (): boolean => {
    RAW.lastIndex = at;
    QUOTED.lastIndex = at;
    const raw = RAW.exec(text);
    const quoted = raw ? undefined : QUOTED.exec(text);
    const found = raw ?? quoted;
    if (!found) return false;
    steps.push({ key: raw ? raw[0] : (quoted?.[1] ?? '') });
    at += found[0].length;
    return true;
  };
  if (!key()) return undefined;
  while (at < text.length) {
    INDEX.lastIndex = at;
    const index = INDEX.exec(text);
    if (index) {
      steps.push({ index: index[1] ?? '' });
      at += index[0].length;
    } else if (text.startsWith('[]', at)) {
      steps.push('each');
      at += 2;
    } else if (text[at] === '.') {
      at += 1;
      if (!key()) return undefined;
    } else return undefined;
  }
  return steps;
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
  const keys = path.filter((step) => typeof step === 'object' && 'key' in step);
  return reaches(keys, field);
}

/** The same without what lies on the way to `field`. */
export function liesWithin(path: readonly PathStep[], field: PayloadField): boolean {
  const keys = path.filter((step) => typeof step === 'object' && 'key' in step);
  return keys.length >= field.length && reaches(keys, field);
}

/** The path of a field in the text that upstream parses: every key in quotes if it needs them. */
export function pathText(field: PayloadField): string {
  return field.map((key) => (PLAIN.test(key) ? key : `"${key}"`)).join('.');
}

const PLAIN = /^[A-Za-z0-9_-]+$/;

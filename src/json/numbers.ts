import { CLOSE_ARRAY, OPEN_ARRAY } from './scan.ts';
import { tooDeep } from './skip.ts';

const NUMBER = 1;
const BETWEEN = 2;
/** The bytes of numbers, and those that stand between them. */
const KINDS = new Uint8Array(256);
for (const char of '0123456789+-.eE') KINDS[char.charCodeAt(0)] = NUMBER;
for (const char of ', \t\r\n') KINDS[char.charCodeAt(0)] = BETWEEN;
/** Of an array of arrays. */
const MOST_LEVELS = 2;

/**
 * The position after the array of numbers at `start`, or of arrays of numbers; -1 = it holds something else, both kinds, or is not
 * closed. Its bytes are only sorted: to every strict reader it ends here, or is no JSON.
 *
 * @param budget most levels; beyond it a `JsonFault`
 */
export function skipNumbers(bytes: Uint8Array, start: number, budget: number): number {
  if (bytes[start] !== OPEN_ARRAY) return -1;
  let depth = 0;
  let hasNumber = false;
  let hasArray = false;
  for (let at = start; at < bytes.length; at += 1) {
    let seen = 0;
    let kind = KINDS[bytes[at] as number] as number;
    while (kind !== 0) {
      seen |= kind;
      at += 1;
      kind = at < bytes.length ? (KINDS[bytes[at] as number] as number) : 0;
    }
    if (depth === 1 && (seen & NUMBER) !== 0) hasNumber = true;
    if (bytes[at] === OPEN_ARRAY) {
      depth += 1;
      if (depth > budget) throw tooDeep(at);
      if (depth > MOST_LEVELS) return -1;
      if (depth === MOST_LEVELS) hasArray = true;
    } else if (bytes[at] === CLOSE_ARRAY) {
      depth -= 1;
      if (depth === 0) return hasNumber && hasArray ? -1 : at + 1;
    } else return -1;
  }
  return -1;
}

import { NAME_FREE_FIELD_COUNT, NAME_FREE_FIELDS } from './inspect-shapes.ts';
import { behindScalar, MAX_NESTING, shortVarint, WireType } from './wire.ts';

/** Stack of the enclosing messages: their ends, and the offsets of their fields in the table. */
const ends = new Int32Array(MAX_NESTING);
const places = new Int32Array(MAX_NESTING);

/**
 * True = `bytes[from, to)` is a valid message of a name-free type, as `MessageScanner` would find. It only tracks the
 * ends of messages, so it is many times faster. `false` also for valid but unusual forms (groups, long tags and
 * lengths).
 *
 * @param nameFree the index of its type
 * @param budget most levels of nesting in it; below `MAX_NESTING`
 */
export function isSound(nameFree: number, bytes: Buffer, from: number, to: number, budget: number): boolean {
  let place = nameFree * NAME_FREE_FIELD_COUNT;
  let end = to;
  let depth = 0;
  let at = from;
  for (;;) {
    while (at === end) {
      if (depth === 0) return true;
      depth -= 1;
      end = ends[depth] as number;
      place = places[depth] as number;
    }
    const tag = shortVarint(bytes, at, end);
    const number = tag >> 5;
    if (number <= 0) return false;
    at += tag & 3;
    const type = (tag >> 2) & 7;
    const inner = number < NAME_FREE_FIELD_COUNT ? (NAME_FREE_FIELDS[place + number] as number) : 0;
    if (type !== WireType.bytes) {
      at = inner === 0 ? behindScalar(bytes, at, end, type) : -1;
      if (at < 0) return false;
      continue;
    }
    const size = shortVarint(bytes, at, end);
    const length = size >> 2;
    at += size & 3;
    if (size < 0 || length > end - at) return false;
    if (inner === 0) {
      at += length;
      continue;
    }
    if (depth >= budget) return false;
    ends[depth] = end;
    places[depth] = place;
    depth += 1;
    end = at + length;
    place = inner * NAME_FREE_FIELD_COUNT;
  }
}

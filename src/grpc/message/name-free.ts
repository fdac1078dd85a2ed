import { NAME_FREE_FIELD_COUNT, NAME_FREE_FIELDS } from './inspect-shapes.ts';
import { behindScalar, MAX_NESTING, shortVarint, WireType } from './wire.ts';

/** Of the messages around the one that is being read: where they end, and where their fields stand in the table. */
const ends = new Int32Array(MAX_NESTING);
const places = new Int32Array(MAX_NESTING);

/**
 * Is `bytes[from, to)` a message, of a type in which no name can stand, that `MessageScanner` finds nothing wrong with?
 * It keeps nothing but where messages end, so it is many times faster; and it is wrong in one way only: `false` also for
 * what is merely unusual (groups, long tags and lengths).
 *
 * @param nameless the number of its shape
 * @param budget how many levels may be in it; below `MAX_NESTING`
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

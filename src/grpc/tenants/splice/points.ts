import { uuidOf } from '../../../policy/tenants/uuid.ts';
import type { Edits } from './edits.ts';
import { Fields } from './fields.ts';
import type { OwnBytes } from './own.ts';
import { numberOf } from './shapes.ts';

const ID = numberOf('PointStruct', 'id');
const PAYLOAD = numberOf('PointStruct', 'payload');
const VECTORS = numberOf('PointStruct', 'vectors');
const NUM = numberOf('PointId', 'num');
const UUID = numberOf('PointId', 'uuid');
const KEY = numberOf('ValueEntry', 'key');
const VALUE = numberOf('ValueEntry', 'value');

/** Up to as many keys are compared with each other; more are kept in a set. */
const FEW = 8;

/**
 * Adds the fields of a tenant to the payload of a point. `false` = it must be decoded: it has no id, a key twice, or another value.
 *
 * @param point the field of the message that holds it
 */
export function splicePoint(edits: Edits, point: Fields, own: readonly OwnBytes[]): boolean {
  const { bytes, from, to } = point;
  const fields = new Fields(bytes, from, to);
  const keys = new Keys(bytes);
  let hasId = false;
  /** Bits of the conditions whose field is there. */
  let there = 0;
  while (fields.next()) {
    const { number } = fields;
    if (number === ID) {
      if (!isId(fields)) return false;
      hasId = true;
    } else if (number === PAYLOAD) {
      const found = standing(fields, keys, own);
      if (found < 0) return false;
      there |= found;
    } else if (number !== VECTORS) return false;
  }
  if (!hasId) return false;
  const missing = own.filter((_, index) => (there & (1 << index)) === 0);
  if (missing.length === 0) return true;
  const growth = edits.growth;
  const place = edits.open(point.lengthAt, from);
  for (const { entry } of missing) {
    if (!entry) return false;
    edits.replace(to, to, entry);
  }
  edits.close(place, growth, to - from);
  return true;
}

/** True = an id in one of the forms that upstream takes. */
function isId({ bytes, from, to }: Fields): boolean {
  const id = new Fields(bytes, from, to);
  if (!id.next()) return false;
  if (id.number === UUID) return uuidOf(bytes.toString('latin1', id.from, id.to)) !== undefined;
  return id.number === NUM;
}

/** Bit of the condition whose field a member of the payload is; 0 = of none; -1 = it must be decoded. */
function standing({ bytes, from, to }: Fields, keys: Keys, own: readonly OwnBytes[]): number {
  const entry = new Fields(bytes, from, to);
  let key = [from, from] as const;
  let value: readonly [number, number] | undefined;
  while (entry.next()) {
    if (entry.number === KEY) key = [entry.from, entry.to];
    else if (entry.number === VALUE) value = [entry.from, entry.to];
    else return -1;
  }
  if (!keys.add(key[0], key[1])) return -1;
  for (const [index, each] of own.entries()) {
    if (!each.key || !isAt(bytes, key, each.key)) continue;
    return value && each.values.some((known) => isAt(bytes, value, known)) ? 1 << index : -1;
  }
  return 0;
}

function isAt(bytes: Buffer, [from, to]: readonly [number, number], other: Buffer): boolean {
  return to - from === other.length && bytes.compare(other, 0, other.length, from, to) === 0;
}

/** The keys of one payload. */
class Keys {
  readonly #bytes: Buffer;
  readonly #places: number[] = [];
  #many: Set<string> | undefined;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** `false` = it is there already. */
  add(from: number, to: number): boolean {
    const places = this.#places;
    if (!this.#many && places.length < 2 * FEW) {
      for (let at = 0; at < places.length; at += 2) {
        const [begin = 0, end = 0] = [places[at], places[at + 1]];
        if (end - begin === to - from && this.#bytes.compare(this.#bytes, begin, end, from, to) === 0) return false;
      }
      places.push(from, to);
      return true;
    }
    if (!this.#many) {
      this.#many = new Set();
      for (let at = 0; at < places.length; at += 2)
        this.#many.add(this.#bytes.toString('latin1', places[at] ?? 0, places[at + 1] ?? 0));
    }
    const { size } = this.#many.add(this.#bytes.toString('latin1', from, to));
    places.push(0, 0);
    return size === places.length / 2;
  }
}

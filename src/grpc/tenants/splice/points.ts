import type { PointId } from '../../../policy/tenants/rewriting.ts';
import { uuidOf } from '../../../policy/tenants/uuid.ts';
import type { IdMessage } from '../filters.ts';
import { idOf } from '../ids.ts';
import { decode } from '../messages/codec.ts';
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
 * Adds the fields of tenants to the payloads of points. Used for one point after the other.
 */
export class PointSplice {
  readonly #edits: Edits;
  readonly #fields = new Fields();
  /** Of an id, or of a member of a payload. */
  readonly #inner = new Fields();
  readonly #keys = new Keys();

  constructor(edits: Edits) {
    this.#edits = edits;
  }

  /**
   * Adds the fields of a tenant to the payload of a point. `false` = it must be decoded, and nothing was changed: it has no id, a key
   * twice, another value, or a key that is looked at.
   *
   * @param point the field of the message that holds it @param looked first keys of fields that are not written
   */
  take({ bytes, from, to, lengthAt }: Fields, own: readonly OwnBytes[], looked: readonly Buffer[] = NO_KEYS): boolean {
    const fields = this.#fields.begin(bytes, from, to);
    this.#keys.begin(bytes);
    let hasId = false;
    /** Bits of the conditions whose field is there. */
    let there = 0;
    while (fields.next()) {
      const { number } = fields;
      if (number === ID) {
        if (!this.#isId()) return false;
        hasId = true;
      } else if (number === PAYLOAD) {
        const found = this.#standing(own, looked);
        if (found < 0) return false;
        there |= found;
      } else if (number !== VECTORS) return false;
    }
    return hasId && this.#add(own, there, { from, to, lengthAt });
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.#fields.clear();
    this.#inner.clear();
    this.#keys.begin(NOTHING);
  }

  /** Adds the fields that are not there. */
  #add(
    own: readonly OwnBytes[],
    there: number,
    { from, to, lengthAt }: Pick<Fields, 'from' | 'to' | 'lengthAt'>,
  ): boolean {
    if (there === (1 << own.length) - 1) return true;
    if (own.some(({ entry }, index) => !entry && (there & (1 << index)) === 0)) return false;
    const edits = this.#edits;
    const { growth } = edits;
    const place = edits.open(lengthAt, from);
    for (let index = 0; index < own.length; index++) {
      if ((there & (1 << index)) !== 0) continue;
      const entry = own[index]?.entry;
      if (entry) edits.replace(to, to, entry);
    }
    edits.close(place, growth, to - from);
    return true;
  }

  /** True = an id in one of the forms that upstream takes. */
  #isId(): boolean {
    const { bytes, from, to } = this.#fields;
    const id = this.#inner.begin(bytes, from, to);
    if (!id.next()) return false;
    if (id.number === UUID) return uuidOf(bytes.toString('latin1', id.from, id.to)) !== undefined;
    return id.number === NUM;
  }

  /** Bit of the condition whose field a member of the payload is; 0 = of none; -1 = it must be decoded. */
  #standing(own: readonly OwnBytes[], looked: readonly Buffer[]): number {
    const { bytes, from, to } = this.#fields;
    const entry = this.#inner.begin(bytes, from, to);
    let keyFrom = from;
    let keyTo = from;
    let valueFrom = -1;
    let valueTo = -1;
    while (entry.next()) {
      if (entry.number === KEY) {
        keyFrom = entry.from;
        keyTo = entry.to;
      } else if (entry.number === VALUE) {
        valueFrom = entry.from;
        valueTo = entry.to;
      } else return -1;
    }
    if (!this.#keys.add(keyFrom, keyTo)) return -1;
    for (const each of looked) if (isAt(bytes, keyFrom, keyTo, each)) return -1;
    for (let index = 0; index < own.length; index++) {
      const each = own[index];
      if (!each?.key || !isAt(bytes, keyFrom, keyTo, each.key)) continue;
      const holds = valueFrom >= 0 && each.values.some((known) => isAt(bytes, valueFrom, valueTo, known));
      return holds ? 1 << index : -1;
    }
    return 0;
  }
}

const NOTHING = Buffer.alloc(0);
const NO_KEYS: readonly Buffer[] = Object.freeze([]);

/** The id of a point that `PointSplice` takes. */
export function idOfPoint({ bytes, from, to }: Fields): PointId {
  const fields = new Fields().begin(bytes, from, to);
  while (fields.next()) {
    if (fields.number === ID) return idOf(decode<IdMessage>('PointId', bytes.subarray(fields.from, fields.to)), 'id');
  }
  throw new TypeError('a point without an id');
}

function isAt(bytes: Buffer, from: number, to: number, other: Buffer): boolean {
  if (to - from !== other.length) return false;
  for (let at = 0; at < other.length; at++) if (bytes[from + at] !== other[at]) return false;
  return true;
}

/** The keys of one payload after the other. */
class Keys {
  #bytes: Buffer = NOTHING;
  readonly #places = new Int32Array(2 * FEW);
  #count = 0;
  #many: Set<string> | undefined;

  /** Begins without any key. */
  begin(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#count = 0;
    this.#many = undefined;
  }

  /** `false` = it is there already. */
  add(from: number, to: number): boolean {
    this.#count += 1;
    if (this.#count > FEW) return this.#addToMany(from, to);
    const known = 2 * (this.#count - 1);
    for (let at = 0; at < known; at += 2) {
      const begin = this.#places[at] as number;
      if (isSame(this.#bytes, begin, this.#places[at + 1] as number, from, to)) return false;
    }
    this.#places[known] = from;
    this.#places[known + 1] = to;
    return true;
  }

  #addToMany(from: number, to: number): boolean {
    this.#many ??= this.#few();
    return this.#many.add(this.#bytes.toString('latin1', from, to)).size === this.#count;
  }

  #few(): Set<string> {
    const few = new Set<string>();
    for (let at = 0; at < 2 * FEW; at += 2)
      few.add(this.#bytes.toString('latin1', this.#places[at], this.#places[at + 1]));
    return few;
  }
}

/** True = two ranges have the same bytes. */
function isSame(bytes: Buffer, from: number, to: number, otherFrom: number, otherTo: number): boolean {
  if (to - from !== otherTo - otherFrom) return false;
  for (let at = from, other = otherFrom; at < to; at++, other++) if (bytes[at] !== bytes[other]) return false;
  return true;
}

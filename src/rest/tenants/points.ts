import { JsonFault } from '../../json/fault.ts';
import type { JsonReader } from '../../json/reader.ts';
import { listNode } from '../../json/tree.ts';
import type { JsonWriter } from '../../json/writer.ts';
import type { TenantCondition } from '../../policy/tenants/tenancy.ts';
import { ShapeFault } from '../body/inspect-references.ts';
import { scalarOf } from './payloads.ts';
import { readPointId } from './point-id.ts';
import type { TenantReading } from './reading.ts';
import { type Action, OBJECT_WORK } from './shapes.ts';

/* The points of an upsert are most of what a tenant writes: a plain one is written while it is read, and no tree is made of it. */

/** More keys of a payload are left to `point`: they are compared with each other. */
const FEW_KEYS = 16;
/** Conditions that fit into the bits of a number. */
const MOST_BITS = 30;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
/** Numbers with fewer digits have 64 bits at most. */
const SAFE_DIGITS = 20;

/** Thrown inside: the point is left to `point`. */
const NOT_PLAIN = Symbol('not plain');

/** A list of points. @param point reads any point, or refuses it; what is written of a plain one is the same */
export function points(point: Action): Action {
  return (reading) => {
    const writer = reading.largeWriter();
    const plain = plainPoints(reading, writer);
    reading.reader.readArray(() => {
      reading.spend(OBJECT_WORK);
      if (!plain?.take()) writer.item(point(reading));
    });
    return listNode([], writer.written());
  };
}

/** `undefined` = every point is left to `point`: it notes ids, looks into objects, or has fields that it does not write. */
function plainPoints(reading: TenantReading, writer: JsonWriter): PlainPoints | undefined {
  const { conditions } = reading.context;
  const isTop = conditions.every(({ field }) => field.length === 1);
  const isApart = new Set(conditions.map(({ field }) => field[0])).size === conditions.length;
  const isFew = conditions.length > 0 && conditions.length <= MOST_BITS;
  if (!(isTop && isApart && isFew) || reading.readOnly.length > 0 || reading.isBatch) return undefined;
  return new PlainPoints(reading, writer);
}

/** Bits of the members that a point has. */
const HAS = { id: 1, vector: 2, payload: 4 } as const;

/**
 * Writes plain points. INVARIANT: it refuses nothing, and judges no fault: at whatever it does not know, reader and writer go back to where
 * the point begins.
 */
class PlainPoints {
  readonly #reading: TenantReading;
  readonly #reader: JsonReader;
  readonly #writer: JsonWriter;
  readonly #conditions: readonly TenantCondition[];
  readonly #keys: string[] = [];
  #keyCount = 0;
  #has = 0;
  /** Bits of the conditions whose field is there. */
  #there = 0;
  readonly #onMember = (key: string): void => this.#member(key);
  readonly #onPayload = (key: string): void => this.#payloadMember(key);

  constructor(reading: TenantReading, writer: JsonWriter) {
    this.#reading = reading;
    this.#reader = reading.reader;
    this.#writer = writer;
    this.#conditions = reading.context.conditions;
  }

  /** Writes the point that stands next. `false` = nothing is read or written of it. */
  take(): boolean {
    const { position, depth } = this.#reader;
    const { size } = this.#writer;
    this.#has = 0;
    this.#writer.openItem();
    try {
      this.#reader.readObject(this.#onMember);
      if ((this.#has & HAS.payload) === 0) this.#newPayload();
      this.#writer.close();
      return true;
    } catch (error) {
      const isKnown = error === NOT_PLAIN || error instanceof JsonFault || error instanceof ShapeFault;
      if (!isKnown) throw error;
      this.#writer.dropItem(size);
      this.#reader.goBack(position, depth);
      return false;
    }
  }

  #member(key: string): void {
    if (key === 'id') this.#id();
    else if (key === 'vector' || key === 'vectors') {
      this.#begin('vector', HAS.vector);
      const { start, end } = this.#reader.skipVectors();
      this.#writer.range(start, end);
    } else if (key === 'payload') this.#payload();
    else throw NOT_PLAIN;
  }

  #begin(name: string, bit: number): void {
    if ((this.#has & bit) !== 0) throw NOT_PLAIN;
    this.#writer.key(name, this.#has === 0);
    this.#has |= bit;
  }

  #id(): void {
    this.#begin('id', HAS.id);
    if (this.#reader.peek() !== 'number') {
      this.#writer.text(readPointId(this.#reading));
      return;
    }
    const { start, end } = this.#reader.skipValue();
    if (!isSmallInteger(this.#reading.source, start, end)) throw NOT_PLAIN;
    this.#writer.range(start, end);
  }

  #payload(): void {
    this.#begin('payload', HAS.payload);
    this.#there = 0;
    this.#keyCount = 0;
    this.#writer.open();
    this.#reader.readObject(this.#onPayload);
    this.#addFields();
    this.#writer.close();
  }

  #newPayload(): void {
    this.#begin('payload', HAS.payload);
    this.#there = 0;
    this.#keyCount = 0;
    this.#writer.open();
    this.#addFields();
    this.#writer.close();
  }

  #payloadMember(key: string): void {
    this.#note(key);
    const { start, end } = this.#reader.skipValue();
    const at = this.#conditions.findIndex(({ field }) => field[0] === key);
    const condition = this.#conditions[at];
    if (condition) {
      const value = scalarOf(this.#reading, { kind: 'source', start, end });
      if (value === undefined || !condition.values.includes(value)) throw NOT_PLAIN;
      this.#there |= 1 << at;
    }
    this.#writer.range(start, end);
  }

  /** Writes a key of the payload, which is there once. */
  #note(key: string): void {
    const count = this.#keyCount;
    if (count === FEW_KEYS) throw NOT_PLAIN;
    for (let at = 0; at < count; at += 1) if (this.#keys[at] === key) throw NOT_PLAIN;
    this.#keys[count] = key;
    this.#keyCount = count + 1;
    this.#writer.key(key, count === 0);
  }

  #addFields(): void {
    for (const [at, condition] of this.#conditions.entries()) {
      if ((this.#there & (1 << at)) !== 0) continue;
      const value = this.#reading.onlyText(condition);
      if (value === undefined) throw NOT_PLAIN;
      this.#writer.key(condition.field[0] ?? '', this.#keyCount === 0);
      this.#keyCount += 1;
      this.#writer.text(value);
    }
  }
}

/** True = digits without a leading zero, too few to exceed 64 bits. */
function isSmallInteger(source: Buffer, start: number, end: number): boolean {
  if (end - start >= SAFE_DIGITS || (source[start] === DIGIT_0 && end - start > 1)) return false;
  for (let at = start; at < end; at += 1) {
    const byte = source[at] as number;
    if (byte < DIGIT_0 || byte > DIGIT_9) return false;
  }
  return true;
}

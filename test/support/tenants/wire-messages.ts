import { FIELDS } from '../../../src/grpc/tenants/messages/codec.ts';
import type { FieldRow } from '../../../src/grpc/tenants/messages/table.ts';

/** Whole numbers from 0 up to `below`. The same seed gives the same. */
export type Draw = (below: number) => number;

/** A generator of numbers (mulberry32). */
export function drawing(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const TEXTS = ['docs', 'tenant', 'acme', 'umbrella', 'colour', '', 'ä', 'meta', 'words', 'x'.repeat(130)] as const;
const UUIDS = ['6ba7b810-9dad-11d1-80b4-00c04fd430c8', '6BA7B8109DAD11D180B400C04FD430C8', '{no}'] as const;
/** Encoded `Value`s: texts, a number, null. */
const VALUES = ['220461636d65', '2208756d6272656c6c61', '1807', '0800', '', '2a0401020304'] as const;
/** Fields that are there more often than others. */
const USUAL: ReadonlySet<string> = new Set([
  'collection_name',
  'id',
  'points',
  'payload',
  'key',
  'value',
  'query',
  'nearest',
  'dense',
]);
/** Fields that lead to bytes being decoded. */
const SELDOM: ReadonlySet<string> = new Set([
  'lookup_from',
  'with_lookup',
  'sparse_indices',
  'idf',
  'recommend',
  'discover',
]);
const DEEPEST = 6;

/** A message of the form of its type, in any order of its fields and with numbers of any length. */
export function wireMessage(type: string, draw: Draw, depth = 0): Buffer {
  const singles = new Set<string>();
  const fields = (FIELDS.get(type) ?? []).flatMap((row) => fieldsOf(row, draw, depth, singles));
  if (draw(4) === 0) fields.sort(() => draw(3) - 1);
  return Buffer.concat(fields);
}

function fieldsOf(row: FieldRow, draw: Draw, depth: number, singles: Set<string>): Buffer[] {
  const { name, oneof } = row;
  const isUsual = USUAL.has(name) && !(name === 'id' && oneof !== undefined);
  const isThere = isUsual ? draw(20) > 0 : draw(SELDOM.has(name) ? 30 : 4) === 0;
  if (!isThere || (row.message !== undefined && !row.opaque && depth > DEEPEST)) return [];
  if (oneof !== undefined && (singles.has(oneof) || (!isUsual && draw(2) === 0))) return [];
  if (oneof !== undefined) singles.add(oneof);
  const count = row.repeated ? draw(4) : 1;
  return Array.from({ length: count }, () => encodedField(row, draw, depth));
}

function encodedField(row: FieldRow, draw: Draw, depth: number): Buffer {
  const { number, type } = row;
  const longer = draw(12) === 0 ? 1 : 0;
  if (type === 'double') return Buffer.concat([varint(number * 8 + 1, longer), Buffer.alloc(8, draw(256))]);
  if (type === 'float') return Buffer.concat([varint(number * 8 + 5, longer), Buffer.alloc(4, draw(256))]);
  if (row.message === undefined && !['string', 'bytes', 'floats', 'packed'].includes(type))
    return Buffer.concat([varint(number * 8, longer), varint(draw(type === 'bool' ? 2 : 300), longer)]);
  const content = contentOf(row, draw, depth);
  return Buffer.concat([varint(number * 8 + 2, longer), varint(content.length, draw(12) === 0 ? 1 : 0), content]);
}

function contentOf(row: FieldRow, draw: Draw, depth: number): Buffer {
  const { name, type, message } = row;
  if (name === 'collection_name' && draw(20) > 0) return Buffer.from('docs');
  if (name === 'uuid') return Buffer.from(UUIDS[draw(UUIDS.length)] ?? '');
  if (type === 'string') return Buffer.from(TEXTS[draw(TEXTS.length)] ?? '');
  if (type === 'floats' || type === 'packed') return Buffer.alloc(4 * draw(5), draw(128));
  if (message === undefined) return Buffer.alloc(draw(5), draw(256));
  if (message === 'Value' && draw(4) > 0) return Buffer.from(VALUES[draw(VALUES.length)] ?? '', 'hex');
  return wireMessage(message, draw, depth + 1);
}

/** A number as a varint, `longer` than it has to be. */
function varint(value: number, longer: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  bytes.push(left);
  for (let more = longer; more > 0; more--) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
    bytes.push(0);
  }
  return Buffer.from(bytes);
}

/** The message with some bytes changed, added, given twice or left out. */
export function mutated(message: Buffer, draw: Draw): Buffer {
  let bytes = message;
  for (let more = 1 + draw(3); more > 0; more--) {
    const at = draw(bytes.length + 1);
    const to = Math.min(bytes.length, at + draw(6));
    const how = draw(4);
    if (how === 0 && at < bytes.length) {
      bytes = Buffer.from(bytes);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << draw(8));
    } else if (how === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    else if (how === 2) bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    else bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([draw(256)]), bytes.subarray(at)]);
  }
  return bytes;
}

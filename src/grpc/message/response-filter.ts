import { lists, type ScopedAccess } from '../../policy/access.ts';
import type { ResponseFilterName } from '../../policy/operation.ts';
import { type Field, malformed, readFields, readText, readTextAt, shortVarint, WireType } from './wire.ts';

/** Field numbers of both list answers: `collections` or `aliases`, and `time`. */
const ENTRIES = 1;
const TIME = 2;

type Filter = (message: Buffer, access: ScopedAccess) => Buffer;

/** REST-only filters are listed to fail closed if a row ever names them. */
const filters: Readonly<Record<ResponseFilterName, Filter>> = {
  'collections-list': (message, access) => keepEntries(message, access, [1]),
  'aliases-list': (message, access) => keepEntries(message, access, [1, 2]),
  telemetry: notOnGrpc,
  'cluster-telemetry': notOnGrpc,
  issues: notOnGrpc,
};

/**
 * Removes the entries with an unlisted name from an answer. Other entries and the time are copied byte for byte,
 * unknown fields are dropped. `message` has no prefix and is not compressed. Throws `WireFault` if upstream's bytes are
 * not such a message.
 *
 * Upstream (Qdrant v1.19.0): an alias is shown if both it and its collection are listed, in any mode.
 */
export function filterMessage(name: ResponseFilterName, message: Buffer, access: ScopedAccess): Buffer {
  return filters[name](message, access);
}

function keepEntries(message: Buffer, access: ScopedAccess, nameFields: readonly number[]): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; at < message.length; ) {
    const end = plainEnd(message, at, message.length, ENTRIES);
    const listed = end < 0 ? undefined : plainListed(message, at, end, access, nameFields);
    if (listed !== undefined) {
      if (listed) kept.push(message.subarray(at, end));
      at = end;
      continue;
    }
    const [field] = readFields(message.subarray(at));
    if (!field) break;
    at += field.raw.length;
    if (isKept(field, access, nameFields)) kept.push(field.raw);
  }
  return Buffer.concat(kept);
}

function isKept(field: Field, access: ScopedAccess, nameFields: readonly number[]): boolean {
  if (field.number === TIME) expectType(field, WireType.fixed64);
  if (field.number !== ENTRIES) return field.number === TIME;
  expectType(field, WireType.bytes);
  return isListed(field.value, access, nameFields);
}

/** The end of a field of bytes at `at` whose tag is one byte and whose length is short; -1 = it has another form. */
function plainEnd(bytes: Buffer, at: number, end: number, number: number): number {
  if (at >= end || bytes[at] !== ((number << 3) | WireType.bytes)) return -1;
  const length = shortVarint(bytes, at + 1, end);
  const behind = at + 1 + (length & 3) + (length >>> 2);
  return length >= 0 && behind <= end ? behind : -1;
}

/** `isListed` of an entry at `start`, tag included, that has each name once, in order, and nothing else; `undefined` = another form. */
function plainListed(
  bytes: Buffer,
  start: number,
  end: number,
  access: ScopedAccess,
  nameFields: readonly number[],
): boolean | undefined {
  let at = contentOf(bytes, start, end);
  let listed = true;
  for (const number of nameFields) {
    const behind = plainEnd(bytes, at, end, number);
    if (behind < 0) return undefined;
    listed &&= lists(access, readTextAt(bytes, contentOf(bytes, at, behind), behind));
    at = behind;
  }
  return at === end ? listed : undefined;
}

/** Where the content of a field begins that `plainEnd` has found. */
function contentOf(bytes: Buffer, at: number, end: number): number {
  return at + 1 + (shortVarint(bytes, at + 1, end) & 3);
}

/** True = every occurrence of every name is listed; an absent name is empty. */
function isListed(entry: Buffer, access: ScopedAccess, nameFields: readonly number[]): boolean {
  const missing = new Set(nameFields);
  let listed = true;
  for (const field of readFields(entry)) {
    if (!nameFields.includes(field.number)) continue;
    expectType(field, WireType.bytes);
    missing.delete(field.number);
    listed &&= lists(access, readText(field.value));
  }
  return listed && (missing.size === 0 || lists(access, ''));
}

function expectType(field: Field, type: number): void {
  if (field.type !== type) throw malformed('wrong wire type of a known field');
}

function notOnGrpc(): never {
  throw new TypeError('no gRPC answer has this filter');
}

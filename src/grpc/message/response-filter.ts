import { lists, type ScopedAccess } from '../../policy/access.ts';
import type { ResponseFilterName } from '../../policy/operation.ts';
import { type Field, malformed, readFields, readText, WireType } from './wire.ts';

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
  for (const field of readFields(message)) {
    if (field.number === ENTRIES) {
      expectType(field, WireType.bytes);
      if (isListed(field.value, access, nameFields)) kept.push(field.raw);
    } else if (field.number === TIME) {
      expectType(field, WireType.fixed64);
      kept.push(field.raw);
    }
  }
  return Buffer.concat(kept);
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

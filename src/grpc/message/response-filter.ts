import { type ListAccess, lists } from '../../policy/access.ts';
import type { ResponseFilterName } from '../../policy/operation.ts';
import { type Field, malformed, readFields, readText, WireType } from './wire.ts';

/** Field numbers of both list answers: `collections` or `aliases`, and `time`. */
const ENTRIES = 1;
const TIME = 2;

type Filter = (message: Buffer, access: ListAccess) => Buffer;

/** The filters REST alone has are here to fail closed if a row ever names them. */
const filters: Readonly<Record<ResponseFilterName, Filter>> = {
  'collections-list': (message, access) => keepEntries(message, access, [1]),
  'aliases-list': (message, access) => keepEntries(message, access, [1, 2]),
  telemetry: notOnGrpc,
  'cluster-telemetry': notOnGrpc,
  issues: notOnGrpc,
};

/**
 * An answer without what `access` does not list: entries of which one name is not listed are left out, the others and
 * the time are copied byte for byte, fields nobody knows are dropped. `message` comes without its prefix, not compressed.
 * Throws `WireFault` when upstream's bytes are not such a message.
 *
 * Upstream (Qdrant v1.19.0): an alias is shown when both it and its collection are listed, in any mode.
 */
export function filterMessage(name: ResponseFilterName, message: Buffer, access: ListAccess): Buffer {
  return filters[name](message, access);
}

function keepEntries(message: Buffer, access: ListAccess, nameFields: readonly number[]): Buffer {
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

/** Every occurrence of every name must be listed; a name left out is empty. */
function isListed(entry: Buffer, access: ListAccess, nameFields: readonly number[]): boolean {
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

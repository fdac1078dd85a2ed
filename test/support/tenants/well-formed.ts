import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { readFields, WireType } from '../../../src/grpc/message/wire.ts';

/**
 * True = every known field has the wire type of its kind, at every depth. The official decoder does not look at it: it reads such a
 * field as if it had the right one, and everything behind it out of step. Prost, Go and Java refuse the message.
 */
export function wellFormed(type: DescMessage, bytes: Buffer): boolean {
  const fields = new Map(type.fields.map((field) => [field.number, field]));
  for (const { number, type: found, value } of readFields(bytes)) {
    const field = fields.get(number);
    if (field !== undefined && !fits(field, found, value)) return false;
  }
  return true;
}

function fits(field: DescField, found: number, value: Buffer): boolean {
  if (field.fieldKind === 'map') return found === WireType.bytes && entryFits(field, value);
  if (found === WireType.bytes && field.fieldKind === 'list' && field.listKind !== 'message') return true; // Packed, or a text each.
  if (found !== wireTypeOf(field)) return false;
  return !field.message || wellFormed(field.message, value);
}

function entryFits(field: DescField & { fieldKind: 'map' }, entry: Buffer): boolean {
  return [...readFields(entry)].every(({ number, type, value }) => {
    if (number === 1) return type === scalarWireType(field.mapKey);
    if (number !== 2) return true;
    if (field.mapKind === 'message') return type === WireType.bytes && wellFormed(field.message, value);
    return type === (field.mapKind === 'enum' ? WireType.varint : scalarWireType(field.scalar));
  });
}

function wireTypeOf(field: DescField): number {
  if (field.message) return WireType.bytes;
  return field.scalar === undefined ? WireType.varint : scalarWireType(field.scalar);
}

function scalarWireType(scalar: ScalarType): number {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.bytes;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.fixed64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.fixed32;
    default:
      return WireType.varint;
  }
}

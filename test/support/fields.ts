import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A field of a message: its number and value. A number is a varint, or what the kind says. */
export type Field = readonly [number: number, value: string | Uint8Array | number | bigint, kind?: 'double'];

/** A message of these fields, in this order, repeated ones included. */
export function fields(...all: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [field, value, kind] of all) {
    if (kind === 'double') writer.tag(field, WireType.Bit64).double(Number(value));
    else if (typeof value === 'number' || typeof value === 'bigint') writer.tag(field, WireType.Varint).uint64(value);
    else writer.tag(field, WireType.LengthDelimited).bytes(Buffer.from(value));
  }
  return writer.finish();
}

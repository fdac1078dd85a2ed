import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { FieldRow } from '../../../grpc/tenants/messages/table.ts';
import { type Body, Refused } from '../collections.ts';
import { MESSAGES } from './messages.ts';

/** Messages within messages; a payload may be nested, a stack has an end. */
const MOST_DEPTH = 64;

/** The fields of a message by their names. Throws `Refused` for one that cannot be read, or with a field that the demo does not know. */
export function readMessage(type: string, bytes: Uint8Array, depth = 0): Body {
  if (depth > MOST_DEPTH) throw new Refused(400, 'the message is nested too deeply');
  const reader = new BinaryReader(bytes);
  const found: Record<string, unknown> = {};
  while (reader.pos < reader.len) {
    const [number, wire] = tagOf(reader);
    const field = rowsOf(type).find((row) => row.number === number);
    if (!field) throw new Refused(400, `the demo does not know field ${number} of ${type}`);
    const value = valuesOf(reader, field, wire, depth);
    if (!field.repeated) found[field.name] = value.at(-1);
    else found[field.name] = [...(Array.isArray(found[field.name]) ? (found[field.name] as unknown[]) : []), ...value];
  }
  return found;
}

const rowsOf = (type: string): readonly FieldRow[] => MESSAGES.get(type) ?? [];

function tagOf(reader: BinaryReader): readonly [number, WireType] {
  return attempt(() => reader.tag());
}

/** Runs a step of reading. Throws `Refused` for bytes that cannot be read: they are the caller's fault. */
function attempt<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(400, 'the message cannot be read');
  }
}

function valuesOf(reader: BinaryReader, field: FieldRow, wire: WireType, depth: number): readonly unknown[] {
  const { type, message } = field;
  if (type === 'floats') return attempt(() => floatsOf(reader, wire));
  if (wire !== wireOf(type)) throw new Refused(400, `the field \`${field.name}\` has another type`);
  if (message === undefined) return [attempt(() => scalarOf(reader, type))];
  const bytes = attempt(() => reader.bytes());
  return [readMessage(message, bytes, depth + 1)];
}

function floatsOf(reader: BinaryReader, wire: WireType): readonly number[] {
  if (wire === WireType.Bit32) return [reader.float()];
  if (wire !== WireType.LengthDelimited) throw new Refused(400, 'the numbers of a vector cannot be read');
  const bytes = reader.bytes();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => view.getFloat32(at * 4, true));
}

function wireOf(type: string): WireType {
  if (type === 'double') return WireType.Bit64;
  if (type === 'float') return WireType.Bit32;
  return ['string', 'bytes', 'message'].includes(type) ? WireType.LengthDelimited : WireType.Varint;
}

function scalarOf(reader: BinaryReader, type: string): unknown {
  if (type === 'string') return reader.string();
  if (type === 'bytes') return reader.bytes();
  if (type === 'bool') return reader.bool();
  if (type === 'double') return reader.double();
  if (type === 'float') return reader.float();
  const whole = Number(type === 'uint64' ? reader.uint64() : type === 'int64' ? reader.int64() : reader.int32());
  if (!Number.isSafeInteger(whole)) throw new Refused(400, 'the demo takes whole numbers up to 2^53');
  return whole;
}

/** The bytes of a message of these fields; what it has beyond the table is left out. */
export function writeMessage(type: string, value: Body): Uint8Array {
  const writer = new BinaryWriter();
  for (const field of rowsOf(type)) {
    const given = value[field.name];
    if (given === undefined) continue;
    if (field.type === 'floats') {
      writer.tag(field.number, WireType.LengthDelimited).fork();
      for (const one of given as readonly number[]) writer.float(one);
      writer.join();
    } else for (const one of field.repeated ? (given as readonly unknown[]) : [given]) writeOne(writer, field, one);
  }
  return writer.finish();
}

function writeOne(writer: BinaryWriter, { number, type, message }: FieldRow, value: unknown): void {
  writer.tag(number, wireOf(type));
  if (message !== undefined) writer.bytes(writeMessage(message, value as Body));
  else if (type === 'string') writer.string(String(value));
  else if (type === 'bool') writer.bool(value === true);
  else if (type === 'double') writer.double(Number(value));
  else if (type === 'float') writer.float(Number(value));
  else writer.int64(BigInt(Number(value)));
}

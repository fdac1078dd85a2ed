import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { suggest } from '../../config/nearest.ts';
import type { FieldRow } from '../../grpc/tenants/messages/table.ts';
import type { GrpcOperation } from '../../policy/operation.ts';
import { fieldsOfType, requestFields } from './tables.ts';

/** JSON that is no message of this method. The text names the place. */
export class MessageFault extends Error {
  readonly code = 'ERR_MESSAGE';
}

/**
 * The message of a method from its JSON form: names of fields as in the interface (`collection_name`) or in camel case, enums as
 * numbers, maps and payloads as objects, ids of points as numbers or texts. Throws `MessageFault`.
 */
export function messageFromJson(operation: GrpcOperation, json: unknown): Buffer {
  return Buffer.from(encode(requestFields(operation), json, ''));
}

function encode(fields: readonly FieldRow[], json: unknown, place: string): Uint8Array {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new MessageFault(`${placed(place)} must be an object`);
  const writer = new BinaryWriter();
  for (const [key, value] of Object.entries(json)) {
    const field = fields.find(({ name }) => name === key || camelCase(name) === key);
    if (!field) {
      const names = fields.map(({ name }) => name);
      const allowed = names.length === 0 ? 'no field is read here' : suggest(key, names);
      throw new MessageFault(`${placed(place)} has no field \`${key}\`: ${allowed}`);
    }
    if (value !== null) write(writer, field, value, place === '' ? key : `${place}.${key}`);
  }
  return writer.finish();
}

function write(writer: BinaryWriter, field: FieldRow, value: unknown, place: string): void {
  if (field.type === 'packed') {
    const numbers = listOf(value, place).map((one, at) => numberOf(one, `${place}[${at}]`));
    writer.tag(field.number, WireType.LengthDelimited).fork();
    for (const one of numbers) writer.float(one);
    writer.join();
    return;
  }
  if (!field.repeated) {
    writeOne(writer, field, value, place);
    return;
  }
  const entries = isMap(field) && !Array.isArray(value) ? entriesOf(value, place) : listOf(value, place);
  for (const [at, one] of entries.entries()) writeOne(writer, field, one, `${place}[${at}]`);
}

function isMap({ message }: FieldRow): boolean {
  return message?.endsWith('Entry') === true;
}

function entriesOf(value: unknown, place: string): readonly unknown[] {
  if (typeof value !== 'object' || value === null) throw new MessageFault(`${placed(place)} must be an object`);
  return Object.entries(value).map(([key, one]) => ({ key, value: one }));
}

function writeOne(writer: BinaryWriter, field: FieldRow, value: unknown, place: string): void {
  if (field.message === undefined) {
    writeScalar(writer, field, value, place);
    return;
  }
  const json = field.message === 'Value' ? valueForm(value) : field.message === 'PointId' ? idForm(value) : value;
  writer.tag(field.number, WireType.LengthDelimited).bytes(encode(fieldsOfType(field.message), json, place));
}

/** A value of a payload in the form of its message. */
function valueForm(value: unknown): object {
  if (value === null || value === undefined) return { null_value: 0 };
  if (typeof value === 'string') return { string_value: value };
  if (typeof value === 'boolean') return { bool_value: value };
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { integer_value: value } : { double_value: value };
  if (Array.isArray(value)) return { list_value: { values: value.map((one) => one ?? { null_value: 0 }) } };
  return { struct_value: { fields: value } };
}

function idForm(value: unknown): unknown {
  if (typeof value === 'number') return { num: value };
  return typeof value === 'string' ? { uuid: value } : value;
}

function writeScalar(writer: BinaryWriter, { number, type }: FieldRow, value: unknown, place: string): void {
  switch (type) {
    case 'string':
      if (typeof value !== 'string') throw new MessageFault(`${placed(place)} must be a text`);
      writer.tag(number, WireType.LengthDelimited).string(value);
      return;
    case 'bytes':
      if (typeof value !== 'string') throw new MessageFault(`${placed(place)} must be a text in base64`);
      writer.tag(number, WireType.LengthDelimited).bytes(Buffer.from(value, 'base64'));
      return;
    case 'bool':
      if (typeof value !== 'boolean') throw new MessageFault(`${placed(place)} must be true or false`);
      writer.tag(number, WireType.Varint).bool(value);
      return;
    case 'double':
      writer.tag(number, WireType.Bit64).double(numberOf(value, place));
      return;
    case 'float':
      writer.tag(number, WireType.Bit32).float(numberOf(value, place));
      return;
    default:
      writer.tag(number, WireType.Varint).int64(integerOf(value, place));
  }
}

/** A whole number; one beyond 2^53 as a text. */
function integerOf(value: unknown, place: string): bigint {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : '';
  if (!/^-?\d{1,20}$/.test(text)) throw new MessageFault(`${placed(place)} must be a whole number`);
  return BigInt.asIntN(64, BigInt(text));
}

function numberOf(value: unknown, place: string): number {
  if (typeof value !== 'number') throw new MessageFault(`${placed(place)} must be a number`);
  return value;
}

function listOf(value: unknown, place: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new MessageFault(`${placed(place)} must be a list`);
  return value;
}

function placed(place: string): string {
  return place === '' ? 'the message' : `\`${place}\``;
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

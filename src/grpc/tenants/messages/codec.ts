import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf';
import {
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';
import { MAX_NESTING } from '../../message/wire.ts';
import { ANSWERS } from './answers.ts';
import { PARTS } from './parts.ts';
import { READS } from './reads.ts';
import { type FieldRow, fieldsOf, type MessageTable } from './table.ts';
import { WRITES } from './writes.ts';

/** All messages that are read or written for tenants. */
export const TABLE: MessageTable = { ...PARTS, ...WRITES, ...READS, ...ANSWERS };

/** Their fields. */
export const FIELDS: ReadonlyMap<string, readonly FieldRow[]> = fieldsOf(TABLE);

const TYPES: Readonly<Record<string, Type>> = {
  string: Type.STRING,
  bytes: Type.BYTES,
  bool: Type.BOOL,
  int32: Type.INT32,
  int64: Type.INT64,
  uint32: Type.UINT32,
  uint64: Type.UINT64,
  double: Type.DOUBLE,
  float: Type.FLOAT,
  // An open enum is a number, whatever its names are.
  enum: Type.INT32,
  // One entry per run of packed numbers.
  floats: Type.BYTES,
  packed: Type.BYTES,
  message: Type.MESSAGE,
};

const PACKAGE = 'q';

const registry = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: [
      {
        ...{ name: 'tenants.proto', package: PACKAGE, syntax: 'proto3' },
        messageType: [...FIELDS].map(([name, fields]) => describe(name, fields)),
      },
    ],
  }),
);

type FileInit = NonNullable<MessageInitShape<typeof FileDescriptorSetSchema>['file']>[number];
type MessageInit = NonNullable<NonNullable<FileInit['messageType']>[number]>;

function describe(name: string, fields: readonly FieldRow[]): MessageInit {
  const oneofs = [...new Set(fields.flatMap(({ oneof }) => oneof ?? []))];
  const field = fields.map((row) => {
    const { number, type, message, opaque, repeated } = row;
    let oneofIndex = row.oneof === undefined ? undefined : oneofs.indexOf(row.oneof);
    // An empty message is not the same as none, so bytes that stand for one have presence, too.
    const optional = oneofIndex === undefined && !repeated && (row.optional || opaque);
    if (optional) oneofIndex = oneofs.push(`_${row.name}`) - 1;
    return {
      ...{ name: row.name, number, label: repeated ? Label.REPEATED : Label.OPTIONAL, proto3Optional: optional },
      type: opaque ? Type.BYTES : (TYPES[type] ?? Type.BYTES),
      ...(message !== undefined && !opaque && { typeName: `.${PACKAGE}.${message}` }),
      ...(oneofIndex !== undefined && { oneofIndex }),
    };
  });
  // INVARIANT: the oneofs of single fields follow the others.
  return { name, field, oneofDecl: oneofs.map((each) => ({ name: each })) };
}

function descOf(type: string): DescMessage {
  const desc = registry.getMessage(`${PACKAGE}.${type}`);
  if (!desc) throw new TypeError(`the message \`${type}\` has no row`);
  return desc;
}

const descs = new Map<string, DescMessage>([...FIELDS.keys()].map((type) => [type, descOf(type)]));

/** As deep as the form may be: the message itself counts, too. */
const DEEP = { recursionLimit: MAX_NESTING + 1 };

/** Decodes a message whose form has been checked. `T` says which fields are looked at. */
export function decode<T extends object>(type: string, bytes: Uint8Array): T {
  return fromBinary(known(type), bytes, DEEP) as unknown as T;
}

/** Encodes what `decode` or `make` gave. Fields unknown to the table are kept: only answers have them. */
export function encode(type: string, message: object): Buffer {
  const bytes = toBinary(known(type), message as Message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A new message of these fields. */
export function make<T extends object>(type: string, fields: object): T {
  return create(known(type), { ...fields }) as unknown as T;
}

function known(type: string): DescMessage {
  const desc = descs.get(type);
  if (!desc) throw new TypeError(`the message \`${type}\` has no row`);
  return desc;
}

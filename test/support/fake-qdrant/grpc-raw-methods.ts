import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { GrpcFault } from './grpc-frames.ts';
import { checkName, type GrpcContext, type GrpcMethod } from './grpc-method.ts';

/** The methods whose messages the official client does not carry; written and read field by field. */

const chunkBytes = 1 << 20;

type Fields = { texts: Map<number, string>; numbers: Map<number, bigint>; parts: Map<number, Uint8Array[]> };

function fieldsOf(message: Uint8Array): Fields {
  const reader = new BinaryReader(message);
  const fields: Fields = { texts: new Map(), numbers: new Map(), parts: new Map() };
  try {
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (type === WireType.Varint) {
        fields.numbers.set(field, BigInt(reader.uint64()));
      } else if (type === WireType.LengthDelimited) {
        const bytes = reader.bytes();
        fields.texts.set(field, Buffer.from(bytes).toString());
        fields.parts.set(field, [...(fields.parts.get(field) ?? []), bytes]);
      } else {
        reader.skip(type, field);
      }
    }
  } catch {
    throw new GrpcFault(13, 'failed to decode Protobuf message: buffer underflow');
  }
  return fields;
}

// The only file a pretended shard has; a second, larger one shows streaming in several chunks.
const files = new Map<string, Buffer>([
  ['shard_config.json', Buffer.from('{"type":{"Local":null}}')],
  ['segments/large.dat', Buffer.alloc(2.5 * chunkBytes, 7)],
]);

function storage(name: string, answer: (fields: Fields) => Iterable<Uint8Array>): GrpcMethod {
  const checked = (message: Buffer, { store }: GrpcContext): Iterable<Uint8Array> => {
    const fields = fieldsOf(message);
    const collection = fields.texts.get(1) ?? '';
    checkName(collection);
    store.find(collection);
    return answer(fields);
  };
  return { path: `/qdrant.StorageRead/${name}`, each: false, answer: checked };
}

function fileOf(path: string | undefined): Buffer {
  const file = files.get(path ?? '');
  if (file === undefined) {
    throw new GrpcFault(5, `File ${path ?? ''} not found`);
  }
  return file;
}

function range(file: Buffer, fields: Fields, offsetField: number, lengthField: number): Buffer {
  const start = Number(fields.numbers.get(offsetField) ?? 0n);
  return file.subarray(start, start + Number(fields.numbers.get(lengthField) ?? 0n));
}

function data(...parts: Uint8Array[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const part of parts) {
    writer.tag(1, WireType.LengthDelimited).bytes(part);
  }
  return writer.finish();
}

function number(value: number): Uint8Array {
  return new BinaryWriter().tag(1, WireType.Varint).uint64(value).finish();
}

function* chunks(bytes: Buffer): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    yield data(bytes.subarray(at, at + chunkBytes));
  }
}

function listed(prefix: string): Uint8Array {
  const entries = [...files].filter(([path]) => path.startsWith(prefix));
  return data(
    ...entries.map(([path, { length }]) =>
      new BinaryWriter().tag(1, WireType.LengthDelimited).string(path).tag(2, WireType.Varint).uint64(length).finish(),
    ),
  );
}

const storageMethods: GrpcMethod[] = [
  storage('ListFiles', (fields) => [listed(fields.texts.get(3) ?? '')]),
  storage('FileExists', (fields) => [number(files.has(fields.texts.get(3) ?? '') ? 1 : 0)]),
  storage('FileLength', (fields) => [number(fileOf(fields.texts.get(3)).length)]),
  storage('ReadBytes', (fields) => [data(range(fileOf(fields.texts.get(3)), fields, 4, 5))]),
  storage('ReadBytesStream', (fields) => chunks(range(fileOf(fields.texts.get(3)), fields, 4, 5))),
  storage('ReadWhole', (fields) => [data(fileOf(fields.texts.get(3)))]),
  storage('ReadBatch', (fields) => {
    const ranges = (fields.parts.get(4) ?? []).map(fieldsOf);
    return [data(...ranges.map((part) => range(fileOf(fields.texts.get(3)), part, 1, 2)))];
  }),
  storage('ReadMulti', (fields) => {
    const reads = (fields.parts.get(3) ?? []).map(fieldsOf);
    return [data(...reads.map((part) => range(fileOf(part.texts.get(1)), part, 2, 3)))];
  }),
];

const services = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
  'qdrant.Collections',
  'qdrant.Points',
  'qdrant.Qdrant',
  'qdrant.Snapshots',
  'qdrant.StorageRead',
];

// ServerReflectionResponse: 2 original_request, 6 list_services_response, 7 error_response. Source: grpc/reflection.proto.
function reflect(message: Buffer): Uint8Array[] {
  const writer = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(message);
  if (!fieldsOf(message).texts.has(7)) {
    const error = new BinaryWriter().tag(1, WireType.Varint).int32(5);
    error.tag(2, WireType.LengthDelimited).string('no descriptors here');
    return [writer.tag(7, WireType.LengthDelimited).bytes(error.finish()).finish()];
  }
  const names = data(...services.map((name) => data(Buffer.from(name))));
  return [writer.tag(6, WireType.LengthDelimited).bytes(names).finish()];
}

/** StorageRead, gRPC health and reflection. */
export const rawMethods: GrpcMethod[] = [
  ...storageMethods,
  { path: '/grpc.health.v1.Health/Check', each: false, answer: () => [number(1)] },
  ...['v1', 'v1alpha'].map(
    (version): GrpcMethod => ({
      path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      each: true,
      answer: reflect,
    }),
  ),
];

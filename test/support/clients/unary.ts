import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Client, type ClientOptions, credentials, Metadata } from '@grpc/grpc-js';
import type { TestGateway } from '../gateway.ts';

/** Code, text and bytes of a unary call. */
export interface RawReply {
  readonly code: number;
  readonly message: string;
  readonly body: Buffer;
}

const MAX_MESSAGE = 512 << 20;

/** A grpc-js client with one connection of its own; close it. */
export function rawClient(
  gateway: Pick<TestGateway, 'ca'> & { readonly grpc: { readonly port: number; readonly url: string } },
  options: ClientOptions = {},
): Client {
  const channel = gateway.grpc.url.startsWith('https')
    ? credentials.createSsl(gateway.ca)
    : credentials.createInsecure();
  return new Client(`localhost:${gateway.grpc.port}`, channel, {
    'grpc.max_receive_message_length': MAX_MESSAGE,
    'grpc.max_send_message_length': MAX_MESSAGE,
    'grpc.use_local_subchannel_pool': 1,
    ...options,
  });
}

/** Metadata with the headers as given. */
export function metadataOf(headers: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}

/** Bytes as they are, for (de)serialising. */
export const same = (bytes: Buffer): Buffer => bytes;

/** One unary call; never rejects. */
export function unary(
  client: Client,
  path: string,
  message: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
  deadlineMs = 20_000,
): Promise<RawReply> {
  const { promise, resolve } = Promise.withResolvers<RawReply>();
  const deadline = { deadline: Date.now() + deadlineMs };
  client.makeUnaryRequest(path, same, same, Buffer.from(message), metadataOf(headers), deadline, (error, body) => {
    resolve({
      code: error?.code ?? 0,
      message: error?.details ?? '',
      body: body ?? Buffer.alloc(0),
    });
  });
  return promise;
}

/** A message of strings (or nested messages) and numbers by field number. */
export function message(fields: Readonly<Record<number, string | Uint8Array | number>>): Uint8Array {
  const writer = new BinaryWriter();
  for (const [field, value] of Object.entries(fields)) {
    if (typeof value === 'number') writer.tag(Number(field), WireType.Varint).uint64(value);
    else writer.tag(Number(field), WireType.LengthDelimited).bytes(Buffer.from(value));
  }
  return writer.finish();
}

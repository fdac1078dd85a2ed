import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { GrpcFault } from './grpc-frames.ts';
import type { Store } from './store.ts';

/** What a method works on. */
export type GrpcContext = { store: Store; version: string };

/** One method: request message in, response messages out. `each` answers every request message as it comes (bidi). */
export type GrpcMethod = {
  path: string;
  each: boolean;
  answer: (message: Buffer, context: GrpcContext) => Iterable<Uint8Array>;
};

/** A unary method on messages of the official client. */
export function unary<I extends DescMessage, O extends DescMessage>(
  path: string,
  input: I,
  output: O,
  handle: (request: MessageShape<I>, context: GrpcContext) => MessageInitShape<O>,
): GrpcMethod {
  const answer = (message: Buffer, context: GrpcContext): Uint8Array[] => {
    const request = decoded(input, message);
    checkName('collectionName' in request ? request.collectionName : undefined);
    checkEntries(request);
    return [toBinary(output, create(output, handle(request, context)))];
  };
  return { path, each: false, answer };
}

function decoded<I extends DescMessage>(input: I, message: Buffer): MessageShape<I> {
  try {
    return fromBinary(input, message);
  } catch (error) {
    throw new GrpcFault(13, `failed to decode Protobuf message: ${input.name}: ${error}`);
  }
}

/** Upstream: the entries of a batch of reads have a name, too, which is checked, and not used (Qdrant v1.19.0). */
function checkEntries(request: object): void {
  for (const [field, entries] of Object.entries(request)) {
    if (!BATCHES.has(field) || !Array.isArray(entries)) continue;
    const faults = entries.flatMap(({ collectionName: name }, at) =>
      name === ''
        ? [`${snakeCase(field)}[${at}].collection_name: value "" invalid, must be from 1 to 255 characters`]
        : [],
    );
    if (faults.length > 0) throw new GrpcFault(3, `Validation error in body: [${faults.join('; ')}]`);
  }
}

const BATCHES = new Set(['queryPoints', 'searchPoints', 'recommendPoints', 'discoverPoints']);

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Refuses collection names as upstream does before it looks at anything else (INVALID_ARGUMENT). */
export function checkName(name: unknown): void {
  if (typeof name !== 'string') {
    return;
  }
  const length = [...name].length;
  if (length < 1 || length > 255) {
    const text = `value ${JSON.stringify(name)} invalid, must be from 1 to 255 characters`;
    throw new GrpcFault(3, `Validation error in body: [collection_name: ${text}]`);
  }
  const odd = ['/', '\0'].find((character) => name.includes(character));
  if (odd !== undefined) {
    const text = `collection name cannot contain "${odd}" char`;
    throw new GrpcFault(3, `Validation error in body: [collection_name: ${text}]`);
  }
}

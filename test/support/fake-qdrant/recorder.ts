import { createHash, type Hash } from 'node:crypto';
import type { Server, Socket } from 'node:net';

/** How many bytes of one body or message are kept; beyond it only length and hash go on. */
export const keptBytes = 1 << 20;

/** How many requests are kept; the oldest go first, so that a long run stays in bounded memory. */
export const keptRequests = 10_000;

/** Bytes as they came in: the first mebibyte, the full length and, once ended, the SHA-256 of all. */
export class RecordedBytes {
  length = 0;
  /** Hex SHA-256 of all bytes; undefined until the body has ended. */
  sha256: string | undefined;
  #kept: Buffer[] = [];
  #keptLength = 0;
  #hash: Hash | undefined;

  /** Takes the next bytes. */
  add(chunk: Buffer): void {
    this.length += chunk.length;
    this.#hash ??= createHash('sha256');
    this.#hash.update(chunk);
    if (this.#keptLength < keptBytes) {
      const part = chunk.subarray(0, keptBytes - this.#keptLength);
      this.#kept.push(Buffer.from(part));
      this.#keptLength += part.length;
    }
  }

  /** Marks the end; the hash is there from now on. */
  end(): void {
    this.sha256 ??= (this.#hash ?? createHash('sha256')).digest('hex');
  }

  /** The bytes kept, at most the first mebibyte. */
  get bytes(): Buffer {
    return Buffer.concat(this.#kept);
  }
}

/** One HTTP request as it was on the wire; there from the moment its head arrived. */
export class RestRecord {
  readonly method: string;
  /** The request target, raw. */
  readonly target: string;
  readonly rawHeaders: string[];
  /** All that is known of the body. */
  readonly received = new RecordedBytes();
  /** `receiving` until the last byte of the body, `aborted` if the connection went away before it. */
  state: 'receiving' | 'complete' | 'aborted' = 'receiving';

  constructor(method: string, target: string, rawHeaders: string[]) {
    this.method = method;
    this.target = target;
    this.rawHeaders = rawHeaders;
  }

  /** The body, at most its first mebibyte. */
  get body(): Buffer {
    return this.received.bytes;
  }
}

/** One gRPC call as it was on the wire; there from the moment its header block arrived. */
export class GrpcRecord {
  readonly path: string;
  /** The header block: name, value, name, value. */
  readonly metadata: string[];
  /** The request messages, decompressed, each at most its first mebibyte. */
  readonly messages: Buffer[] = [];
  /** Whether each message came compressed. */
  readonly compressed: boolean[] = [];
  /** Request trailers: name, value, name, value. */
  readonly trailers: string[] = [];
  /** All DATA bytes, frames included. */
  readonly received = new RecordedBytes();
  /** `receiving` until the client ended its side, `aborted` if the stream was reset before it. */
  state: 'receiving' | 'complete' | 'aborted' = 'receiving';

  constructor(path: string, metadata: string[]) {
    this.path = path;
    this.metadata = metadata;
  }
}

/** What the stand-in received. Tests read it; `clear` starts a new count. */
export class Recorder {
  readonly rest: RestRecord[] = [];
  readonly grpc: GrpcRecord[] = [];
  /** Connections accepted since the last clear. */
  readonly connections = { rest: 0, grpc: 0 };
  readonly #enabled: boolean;
  readonly #open = new Set<Socket>();
  #closedBytes = 0;
  #clearedBytes = 0;

  constructor(enabled: boolean) {
    this.#enabled = enabled;
  }

  /** The requests of clients: what a gateway asks for itself has no client's address. */
  get forwarded(): RestRecord[] {
    return this.rest.filter(({ rawHeaders }) => rawHeaders.some((name) => name.toLowerCase() === 'x-forwarded-for'));
  }

  /** Counts the connections and bytes of a listening server. */
  watch(server: Server, protocol: 'rest' | 'grpc'): void {
    server.on('connection', (socket) => {
      this.connections[protocol] += 1;
      this.#open.add(socket);
      socket.once('close', () => {
        this.#open.delete(socket);
        this.#closedBytes += socket.bytesRead;
      });
    });
  }

  /** Closes every open connection of both protocols at once. */
  dropConnections(): void {
    for (const socket of this.#open) {
      socket.destroy();
    }
  }

  /** Connections open at this moment, both protocols together. */
  get openConnections(): number {
    return this.#open.size;
  }

  /** Bytes read from all sockets of both protocols since the last clear (gRPC: with HTTP/2 preface and settings). */
  get bytes(): number {
    return this.#total() - this.#clearedBytes;
  }

  /** Starts the record of an HTTP request. */
  addRest(record: RestRecord): void {
    this.#keep(this.rest, record);
  }

  /** Starts the record of a gRPC call. */
  addGrpc(record: GrpcRecord): void {
    this.#keep(this.grpc, record);
  }

  /** Whether requests are kept at all. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /** Forgets all requests and counts; open connections stay open and are not counted again. */
  clear(): void {
    this.rest.length = 0;
    this.grpc.length = 0;
    this.connections.rest = 0;
    this.connections.grpc = 0;
    this.#clearedBytes = this.#total();
  }

  #total(): number {
    let total = this.#closedBytes;
    for (const socket of this.#open) {
      total += socket.bytesRead;
    }
    return total;
  }

  #keep<T>(records: T[], record: T): void {
    if (!this.#enabled) {
      return;
    }
    if (records.length >= keptRequests) {
      records.shift();
    }
    records.push(record);
  }
}

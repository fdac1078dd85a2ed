import { gunzipSync } from 'node:zlib';

/** A gRPC status to answer with, code and text as tonic gives them. */
export class GrpcFault extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** One request message, decompressed. */
export type Message = { message: Buffer; compressed: boolean };

/** Cuts DATA bytes into length-prefixed messages of any size. Source: gRPC over HTTP/2, "Length-Prefixed-Message". */
export class Deframer {
  readonly #encoding: string | undefined;
  #pending: Buffer[] = [];
  #length = 0;

  constructor(encoding: string | undefined) {
    this.#encoding = encoding;
  }

  /** Takes bytes and gives the messages they complete; throws GrpcFault on bad flags and codings. */
  push(chunk: Buffer): Message[] {
    this.#pending.push(chunk);
    this.#length += chunk.length;
    const messages: Message[] = [];
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      messages.push(next);
    }
    return messages;
  }

  /** Refuses a message that was cut off. */
  end(): void {
    if (this.#length > 0) {
      throw new GrpcFault(13, 'Unexpected EOF decoding stream.');
    }
  }

  #next(): Message | undefined {
    if (this.#encoding !== undefined && this.#encoding !== 'gzip' && this.#encoding !== 'identity') {
      throw new GrpcFault(12, `Content is compressed with \`${this.#encoding}\` which isn't supported`);
    }
    if (this.#length < 5) {
      return undefined;
    }
    const head = this.#head();
    const flag = head.readUInt8(0);
    const length = head.readUInt32BE(1);
    if (flag > 1) {
      const text = `protocol error: received message with invalid compression flag: ${flag} (valid flags are 0 and 1)`;
      throw new GrpcFault(13, `${text}, while sending request`);
    }
    if (this.#length < 5 + length) {
      return undefined;
    }
    const [only] = this.#pending;
    const all = only !== undefined && this.#pending.length === 1 ? only : Buffer.concat(this.#pending);
    const body = all.subarray(5, 5 + length);
    this.#pending = all.length > 5 + length ? [all.subarray(5 + length)] : [];
    this.#length -= 5 + length;
    return { message: flag === 1 ? this.#gunzip(body) : body, compressed: flag === 1 };
  }

  // The first five bytes, joined only as far as needed: a large message must not be copied per chunk.
  #head(): Buffer {
    const [first] = this.#pending;
    if (first !== undefined && first.length >= 5) {
      return first;
    }
    this.#pending = [Buffer.concat(this.#pending)];
    return this.#pending[0] ?? Buffer.alloc(5);
  }

  #gunzip(body: Buffer): Buffer {
    if (this.#encoding !== 'gzip') {
      throw new GrpcFault(
        13,
        'protocol error: received message with compressed-flag but no grpc-encoding was specified',
      );
    }
    try {
      return gunzipSync(body);
    } catch {
      throw new GrpcFault(13, 'Error decompressing: invalid gzip header');
    }
  }
}

import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { firstValue } from '../../exchange/request-id.ts';
import { refusesCredential } from '../../upstream/refused-key.ts';
import { ChunkedBody } from '../http1/chunks.ts';

/** Largest held answer, in bytes: far above Qdrant's error texts. */
const MOST_BYTES = 8192;
const DECODED = { maxOutputLength: 4 * MOST_BYTES };

/**
 * An answer of upstream that may refuse the credential it was sent, held until its body tells. A 401 is not waited for.
 * Beyond the size of Qdrant's error texts it counts as a refusal of a proxy.
 */
export class SuspectAnswer {
  readonly #status: number;
  readonly #headers: readonly string[];
  readonly #framed: boolean;
  readonly parts: Buffer[] = [];
  /** Bytes of the body in `parts`, without framing. */
  data = 0;

  /**
   * @param headers name, value, name, value
   * @param framed the parts are chunks of HTTP/1.1
   */
  constructor(status: number, headers: readonly string[], framed: boolean) {
    this.#status = status;
    this.#headers = headers;
    this.#framed = framed;
  }

  /** Keeps the next bytes. @param data bytes of the body in them */
  add(parts: readonly Buffer[], data: number): void {
    // Copies: the bytes of a read area change with the next read.
    for (const part of parts) this.parts.push(Buffer.from(part));
    this.data += data;
  }

  /** True = it is a refusal, whatever is still to come. */
  get isClear(): boolean {
    return this.#status === 401 || this.data > MOST_BYTES;
  }

  /** True = the whole answer refuses the credential. */
  get refuses(): boolean {
    if (this.isClear) return true;
    const body = this.#decoded();
    return body === undefined || refusesCredential(firstValue(this.#headers, 'content-type'), body.toString('utf8'));
  }

  /** `undefined` = not readable. */
  #decoded(): Buffer | undefined {
    try {
      const plain = this.#framed ? unframed(this.parts) : Buffer.concat(this.parts);
      return decode(firstValue(this.#headers, 'content-encoding'), plain);
    } catch {
      return undefined;
    }
  }
}

function unframed(parts: readonly Buffer[]): Buffer {
  const data: Buffer[] = [];
  new ChunkedBody(true).push(Buffer.concat(parts), 0, data);
  return Buffer.concat(data);
}

/** Content codings of Qdrant's answers (actix-web 4). */
function decode(coding: string | undefined, bytes: Buffer): Buffer | undefined {
  switch (coding?.toLowerCase()) {
    case undefined:
    case 'identity':
      return bytes;
    case 'gzip':
      return gunzipSync(bytes, DECODED);
    case 'deflate':
      return inflateSync(bytes, DECODED);
    case 'br':
      return brotliDecompressSync(bytes, DECODED);
    case 'zstd':
      return zstdDecompressSync(bytes, DECODED);
    default:
      return undefined;
  }
}

import type { IncomingMessage } from 'node:http';
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { Fault } from './fault.ts';
import { type Json, parseJson } from './json.ts';

const maxJsonBytes = 32 << 20;
const maxStrictJsonBytes = 2 << 20;

type Decoder = (bytes: Buffer, options: { maxOutputLength: number }) => Buffer;

const decoders: Record<string, Decoder> = {
  gzip: gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
};

/** A body refused with a bare text, as the routes with a strict content type do. */
export class BodyRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Collects a request body up to a limit; resolves to undefined when it is longer (the rest is drained). */
export function collect(request: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxJsonBytes) {
        chunks.push(chunk);
      }
    });
    request.once('end', () => resolve(length <= maxJsonBytes ? Buffer.concat(chunks, length) : undefined));
    request.once('error', reject);
    request.once('close', () => reject(new Error('request closed before its end')));
  });
}

/** Parses a JSON body: any content type, content coding undone, unknown codings ignored. Upstream: Qdrant 1.18.3. */
export function jsonBody(request: IncomingMessage, bytes: Buffer | undefined): Json {
  const plain = bytes === undefined ? undefined : decodedBody(request, bytes);
  if (plain === undefined || plain.length > maxJsonBytes) {
    throw new Fault(
      'bad-input',
      `JSON payload (${plain?.length ?? 'unknown'} bytes) is larger than allowed (limit: ${maxJsonBytes} bytes).`,
    );
  }
  try {
    return parseJson(textOfBytes(plain));
  } catch {
    throw new Fault('bad-input', 'Format error in JSON body: expected value at line 1 column 1');
  }
}

/** Parses the JSON body of a route that wants a JSON content type; throws BodyRefusal. */
export function strictJsonBody(request: IncomingMessage, bytes: Buffer | undefined): Json {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim() ?? '';
  if (!/^(?:application|text)\/json$|\+json$/i.test(type)) {
    throw new BodyRefusal(400, 'Content type error');
  }
  if (bytes === undefined || bytes.length > maxStrictJsonBytes) {
    throw new BodyRefusal(413, `JSON payload has exceeded limit (${maxStrictJsonBytes} bytes).`);
  }
  try {
    return parseJson(textOfBytes(decodedBody(request, bytes) ?? bytes));
  } catch {
    throw new BodyRefusal(400, 'Json deserialize error: expected value at line 1 column 1');
  }
}

function decodedBody(request: IncomingMessage, bytes: Buffer): Buffer | undefined {
  const coding = (request.headersDistinct['content-encoding']?.[0] ?? '').toLowerCase();
  const decode = Object.hasOwn(decoders, coding) ? decoders[coding] : undefined;
  try {
    return decode === undefined ? bytes : decode(bytes, { maxOutputLength: maxJsonBytes });
  } catch (error) {
    if (error instanceof RangeError) {
      return undefined;
    }
    throw new Fault('bad-input', 'Format error in JSON body: corrupt content encoding');
  }
}

function textOfBytes(bytes: Buffer): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

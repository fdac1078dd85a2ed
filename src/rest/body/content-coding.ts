import type { Transform } from 'node:stream';
import {
  crc32,
  createBrotliDecompress,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
  type Zlib,
} from 'node:zlib';
import { Guard } from '../../lifetime/guard.ts';
import { WIDE_BYTES } from '../../limits/memory-budget.ts';
import { badRequest, type Denial, tooLarge } from '../../policy/denial.ts';
import { BodyBytes, freeMemory } from './bytes.ts';

/** Decodes a whole body; rejects when it is damaged, longer than its coding says, or decodes to more than `maxBytes`. */
type Decoder = (body: Buffer, maxBytes: number) => Promise<Buffer>;

/** Upstream: the codings Qdrant v1.18.3 decodes; `deflate` is the zlib format of RFC 1950. */
const DECODERS: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ['gzip', gunzipOne],
  ['deflate', (body, maxBytes) => whole(createInflate, body, maxBytes)],
  ['br', (body, maxBytes) => whole(createBrotliDecompress, body, maxBytes)],
  ['zstd', (body, maxBytes) => whole(createZstdDecompress, body, maxBytes)],
]);

/**
 * The body as upstream will see it, for inspection only; what is forwarded are the bytes received.
 *
 * The first `Content-Encoding` decides, its letter case does not matter. A coding list, parameters, an empty value and
 * unknown codings are refused with 400: upstream reads such a body as plain JSON, but a body that cannot be decoded with
 * certainty is never taken for one with nothing to check. Damaged data, several gzip members and bytes behind the coded
 * data are 400, more than `maxBytes` is 413. Rejects for a fault of ours.
 *
 * @param contentEncodingValues all values of the header, in the order received
 * @param maxBytes applies before and after decoding
 */
export function decodeBody(
  body: Buffer,
  contentEncodingValues: readonly string[],
  maxBytes: number,
): Buffer | Denial | Promise<Buffer | Denial> {
  if (body.length > maxBytes) return tooLong(maxBytes);
  const coding = contentEncodingValues[0]?.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  if (coding === undefined || coding === 'identity') return body;
  const decode = DECODERS.get(coding);
  if (!decode)
    return badRequest('unsupported_encoding', 'content-encoding must be one of gzip, deflate, br, zstd, identity');
  return decoded(decode, body, coding, maxBytes);
}

async function decoded(decode: Decoder, body: Buffer, coding: string, maxBytes: number): Promise<Buffer | Denial> {
  try {
    return await decode(body, maxBytes);
  } catch (error) {
    return refusal(error, coding, maxBytes);
  }
}

/** Has such a body to be decoded, and can it be? */
export function isDecodable(contentEncodingValues: readonly string[]): boolean {
  return DECODERS.has(contentEncodingValues[0]?.toLowerCase() ?? '');
}

function tooLong(maxBytes: number): Denial {
  return tooLarge(`a body that has to be inspected may have at most ${maxBytes} bytes`);
}

class TooLong extends Error {}

/** A fault of ours while the body was decoded. */
class Fault extends Error {}

function refusal(error: unknown, coding: string, maxBytes: number): Denial {
  if (error instanceof Fault) throw error.cause;
  if (error instanceof TooLong) return tooLong(maxBytes);
  return badRequest(
    'malformed_compression',
    `Error that occur during reading payload: the body is not valid ${coding}`,
  );
}

/** Pieces that come out of a decoder: few, so that each is worth the turn it takes, and little beside the whole. */
const PIECE_BYTES = 1_048_576;
const SMALL_PIECE_BYTES = 65_536;

type CreateDecoder = (options: { readonly chunkSize: number }) => Transform & Zlib;

/**
 * Decodes `body` and holds that nothing stands behind the coded data. The result has memory of its own; what it came in is
 * given back piece by piece, so the two never stand beside each other.
 */
function whole(create: CreateDecoder, body: Buffer, maxBytes: number): Promise<Buffer> {
  const chunkSize = maxBytes < PIECE_BYTES ? SMALL_PIECE_BYTES : PIECE_BYTES;
  const decoder = create({ chunkSize });
  const decoded = new BodyBytes(maxBytes);
  if (maxBytes > WIDE_BYTES) decoded.widen();
  let size = 0;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      decoded.free();
      decoder.destroy();
      reject(error);
    };
    const take = (piece: Buffer): void => {
      size += piece.length;
      if (size > maxBytes) fail(new TooLong());
      else decoded.push(piece);
      // INVARIANT: a full piece is let go of by the decoder; one that is not, it still writes to.
      if (piece.length === chunkSize) freeMemory(piece);
    };
    const ended = (): void => {
      if (decoder.bytesWritten === body.length) resolve(decoded.take());
      else fail(new RangeError('bytes behind the coded data'));
    };
    // The rejection is reported where it is waited for.
    const owner = { fail: (error: unknown) => fail(new Fault('', { cause: error })), cut: () => decoder.destroy() };
    const guard = new Guard(owner, 'body', ignore);
    decoder.on('data', guard.entry(take)).on('end', guard.entry(ended)).on('error', guard.entry(fail)).end(body);
  });
}

const GZIP_TRAILER = 8;

/**
 * Decodes exactly one gzip member (RFC 1952).
 *
 * Node's own gunzip joins members and drops what follows, upstream refuses both: so the frame is read here and only the
 * deflate data goes to zlib.
 */
async function gunzipOne(body: Buffer, maxBytes: number): Promise<Buffer> {
  const start = gzipDataStart(body);
  const end = body.length - GZIP_TRAILER;
  if (end < start) throw new RangeError('gzip ends too early');
  const data = await whole(createInflateRaw, body.subarray(start, end), maxBytes);
  if (crc32(data) !== body.readUInt32LE(end)) throw new RangeError('wrong gzip checksum');
  if (data.length % 2 ** 32 !== body.readUInt32LE(end + 4)) throw new RangeError('wrong gzip length');
  return data;
}

const HEADER_CRC = 2;
const EXTRA = 4;
const NAME = 8;
const COMMENT = 16;
const RESERVED = 0xe0;

/** Where the deflate data begins: RFC 1952 section 2.3. */
function gzipDataStart(body: Buffer): number {
  if (body.length < 18 || body.readUIntBE(0, 3) !== 0x1f8b08) throw new RangeError('no gzip header');
  const flags = body.readUInt8(3);
  if (flags & RESERVED) throw new RangeError('unknown gzip flags');
  let at = 10;
  if (flags & EXTRA) at += 2 + body.readUInt16LE(at);
  if (flags & NAME) at = behindZero(body, at);
  if (flags & COMMENT) at = behindZero(body, at);
  return flags & HEADER_CRC ? at + 2 : at;
}

function behindZero(body: Buffer, position: number): number {
  const zero = body.indexOf(0, position);
  if (zero < 0) throw new RangeError('gzip ends too early');
  return zero + 1;
}

function ignore(): void {}

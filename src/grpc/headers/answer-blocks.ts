import { answerHeadFault, lengthIn, trailersFault } from '../../http2/field-syntax.ts';
import {
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  type Frame,
  frameOf,
  Http2Fault,
  headerFragmentOf,
} from '../../http2/frames.ts';
import { HeaderBlocks } from '../../http2/header-blocks.ts';
import { encodeHeaders, type HeaderField, type HpackLimits } from '../../http2/hpack.ts';
import { frameHeaders } from '../../http2/write-frames.ts';
import { grpcRefusesCredential } from '../../upstream/refused-key.ts';
import { decodeGrpcMessage } from '../reject.ts';

/** UNKNOWN: the code that clients derive from a status that is not a number. */
const UNKNOWN = 2;
/** Limits of one head or trailers of an answer: above those of any client. */
const LIMITS: HpackLimits = { maxHeaderBytes: 262_144, maxHeaders: 2000 };
/** Largest header block, in bytes with frame headers, and most frames of it. Above this upstream counts as broken. */
const MAX_BLOCK_BYTES = 262_144;
const MAX_BLOCK_FRAMES = 64;

/** A decoded header block of upstream's. Equal blocks share one object. */
export interface AnswerBlock {
  /**
   * A HEADERS frame with the same fields, encoded without a dynamic table. Of a block above the frame size, only the
   * space of its frame header.
   */
  readonly framed: Buffer;
  /** In their order, pseudo-headers included. */
  readonly fields: readonly HeaderField[];
  /** Its `grpc-status`. */
  readonly status: number | undefined;
  /** Bytes of DATA that a head announces by `content-length`; -1 = none, as in nearly all answers. */
  readonly contentLength: number;
  /** True = it refuses the credential that upstream was shown. */
  readonly refusesCredential: boolean;
  /** True = a head with a 1xx status. */
  readonly isInterim: boolean;
  /** The fault of the block as head of an answer, and as trailers (RFC 9113 section 8.1.1); `undefined` = valid. */
  readonly headFault: string | undefined;
  readonly trailersFault: string | undefined;
}

/**
 * Assembles the header blocks of one upstream connection, decodes them, and encodes them again for the client. Must see
 * every block from the first on. Throws `Http2Fault` for a block that is too large or cannot be decoded.
 *
 * INVARIANT: header compression ends at the gateway on both sides. No block of upstream's reaches the client's decoder,
 * whose state depends only on blocks that the gateway writes (`ClientHeads`).
 */
export class AnswerBlocks {
  readonly #blocks = new HeaderBlocks<AnswerBlock>(LIMITS);
  /** Frames of an incomplete block, frame headers included. */
  #frames: Buffer[] = [];
  #bytes = 0;
  /** The stream of an incomplete block; 0 = there is none. */
  streamId = 0;
  /** True = the last block ends its stream. */
  ends = false;

  /** A HEADERS frame. Returns the block if it is complete. */
  headers(frame: Frame): AnswerBlock | undefined {
    this.ends = frame.has(Flag.END_STREAM);
    if (frame.has(Flag.END_HEADERS)) return this.#meaning(frame, NO_FRAMES);
    this.streamId = frame.streamId;
    return this.#gather(frame);
  }

  /** A CONTINUATION frame of the stream `streamId`. Returns the block if it is complete. */
  continuation(frame: Frame): AnswerBlock | undefined {
    return this.#gather(frame);
  }

  #gather(frame: Frame): AnswerBlock | undefined {
    // A copy: a view would keep the whole receive buffer.
    this.#frames.push(Buffer.from(frame.raw));
    this.#bytes += FRAME_HEADER_BYTES + frame.length;
    if (this.#bytes > MAX_BLOCK_BYTES || this.#frames.length > MAX_BLOCK_FRAMES) {
      throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, 0, 'header block too large');
    }
    if (!frame.has(Flag.END_HEADERS)) return undefined;
    const [first, ...continuations] = this.#frames;
    this.#frames = [];
    this.#bytes = 0;
    this.streamId = 0;
    return first && this.#meaning(frameOf(first), continuations);
  }

  #meaning(frame: Frame, continuations: readonly Buffer[]): AnswerBlock {
    const block = this.#read(frame, continuations);
    if (block.oversized) throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, 'header block too large');
    block.meaning ??= meaningOf(block.fields);
    return block.meaning;
  }

  #read(frame: Frame, continuations: readonly Buffer[]) {
    if (continuations.length === 0 && !frame.has(Flag.PADDED | Flag.PRIORITY)) {
      const from = frame.start + FRAME_HEADER_BYTES;
      return this.#blocks.read(frame.source, from, from + frame.length);
    }
    const rest = continuations.map((raw) => raw.subarray(FRAME_HEADER_BYTES));
    const whole = Buffer.concat([headerFragmentOf(frame), ...rest]);
    return this.#blocks.read(whole, 0, whole.length);
  }
}

const NO_FRAMES: readonly Buffer[] = Object.freeze([]);

function meaningOf(fields: readonly HeaderField[]): AnswerBlock {
  const framed = encodeHeaders(fields, FRAME_HEADER_BYTES);
  frameHeaders(framed, 1, false);
  const contentLength = contentLengthIn(fields);
  const lengthFault = contentLength === -2 ? 'malformed content-length' : undefined;
  const status = statusIn(fields);
  return {
    ...{ framed, fields, contentLength, status, refusesCredential: refusesCredentialIn(fields, status) },
    isInterim: fields[0]?.[0] === ':status' && fields[0][1].startsWith('1'),
    ...{ headFault: answerHeadFault(fields) ?? lengthFault, trailersFault: trailersFault(fields) },
  };
}

/** The `content-length` in bytes; -1 = none, -2 = malformed. That of a 304 describes no DATA (RFC 9110 section 8.6): -1. */
function contentLengthIn(fields: readonly HeaderField[]): number {
  const lengths = new Set(fields.filter(([name]) => name === 'content-length').map(([, value]) => lengthIn(value)));
  if (lengths.size > 1) return -2;
  const [length = -1] = lengths;
  return length >= 0 && fields[0]?.[1] === '304' ? -1 : length;
}

function refusesCredentialIn(fields: readonly HeaderField[], status: number | undefined): boolean {
  const http = fields[0]?.[0] === ':status' ? fields[0][1] : undefined;
  const message = (): string => decodeGrpcMessage(fields.find(([name]) => name === 'grpc-message')?.[1] ?? '');
  return grpcRefusesCredential({ http, status, message });
}

function statusIn(fields: readonly HeaderField[]): number | undefined {
  const status = fields.find(([name]) => name === 'grpc-status')?.[1];
  if (status === undefined) return undefined;
  return /^\d{1,9}$/.test(status) ? Number(status) : UNKNOWN;
}

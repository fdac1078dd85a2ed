import { answerHeadFault, trailersFault } from '../../http2/field-syntax.ts';
import { ErrorCode, Flag, FRAME_HEADER_BYTES, type Frame, Http2Fault, headerFragmentOf } from '../../http2/frames.ts';
import { HeaderBlocks } from '../../http2/header-blocks.ts';
import { encodeHeaders, type HeaderField, type HpackLimits } from '../../http2/hpack.ts';
import { frameHeaders } from '../../http2/write-frames.ts';

/** UNKNOWN: what clients make of a status that is no number. */
const UNKNOWN = 2;
/** Of one answer's head or trailers: more than any client takes. */
const LIMITS: HpackLimits = { maxHeaderBytes: 262_144, maxHeaders: 2000 };

/** What one header block of upstream's says. Shared by its equal blocks. */
export interface AnswerBlock {
  /** A HEADERS frame with the same fields without a dynamic table; of more than a frame takes, only the room for its head. */
  readonly framed: Buffer;
  /** The `grpc-status` in it. */
  readonly status: number | undefined;
  /** A head with a status of 1xx. */
  readonly isInterim: boolean;
  /** The fault of the block as the head of an answer, and as its trailers (RFC 9113 section 8.1.1); `undefined` = valid. */
  readonly headFault: string | undefined;
  readonly trailersFault: string | undefined;
}

/**
 * Reads the header blocks of one upstream connection and writes them again for the client. Has to see every block from the
 * first on. Throws `Http2Fault` for a block that cannot be decoded.
 *
 * INVARIANT: header compression ends at the gateway on both sides. No block of upstream's reaches the client's decoder, so
 * its state hangs on nothing but what the gateway itself writes (`ClientHeads`).
 */
export class AnswerBlocks {
  readonly #blocks = new HeaderBlocks<AnswerBlock>(LIMITS);

  /** A whole block: its HEADERS frame and what continues it, frame headers included. */
  read(frame: Frame, continuations: readonly Buffer[]): AnswerBlock {
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

function meaningOf(fields: readonly HeaderField[]): AnswerBlock {
  const framed = encodeHeaders(fields, FRAME_HEADER_BYTES);
  frameHeaders(framed, 1, false);
  return {
    ...{ framed, status: statusIn(fields) },
    isInterim: fields[0]?.[0] === ':status' && fields[0][1].startsWith('1'),
    ...{ headFault: answerHeadFault(fields), trailersFault: trailersFault(fields) },
  };
}

function statusIn(fields: readonly HeaderField[]): number | undefined {
  const status = fields.find(([name]) => name === 'grpc-status')?.[1];
  if (status === undefined) return undefined;
  return /^\d{1,9}$/.test(status) ? Number(status) : UNKNOWN;
}

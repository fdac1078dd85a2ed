import { PieceBudget, SMALL_PIECE } from '../limits/body-pieces.ts';
import { FRAME_COST, FrameBudget, type ResetBudget, type Spent } from './budget.ts';
import { isFieldName, isFieldValue } from './field-syntax.ts';
import { FrameReader } from './frame-reader.ts';
import { DEFAULT_MAX_FRAME_SIZE, Flag, FRAME_HEADER_BYTES, type Frame, FrameType, headerFragmentOf } from './frames.ts';
import { HpackDecoder } from './hpack.ts';

/** Malformed requests of one connection that are kept until they are queried. More is an error. */
const MAX_REMEMBERED = 1_000;
/** Header bytes of a block, as a multiple of those that are accepted, past which it is not collected any further. */
const MAX_BLOCK_FACTOR = 2;

/** Small DATA frames after which `push` returns, so that others are looked at before the next ones. */
export const SLICE_FRAMES = 32;

/** Bounds of what is read; requests over them are malformed. */
export interface HeaderWatchLimits {
  readonly headerBytes: number;
  readonly headerCount: number;
}

/**
 * Looks for header fields that HTTP/2 does not allow (RFC 9113 section 8.2.1) in what a client sends on one connection,
 * for a listener whose own reader leaves them out in silence. Frames that cost more than they carry are paid for here, too:
 * resets and DATA of no bytes end in a flood, DATA of few bytes is slowed down. It decides nothing else.
 *
 * INVARIANT: whatever it cannot follow makes this and every later request malformed.
 */
export class HeaderWatch {
  readonly #frames = new FrameReader(DEFAULT_MAX_FRAME_SIZE, true);
  readonly #decoder: HpackDecoder;
  readonly #maxBlockBytes: number;
  readonly #malformed = new Set<number>();
  #block: Buffer[] = [];
  #blockBytes = 0;
  #lost = false;
  readonly #resets: ResetBudget | undefined;
  #flooded = false;
  #slowed = false;
  #blocks = 0;
  readonly #pieces = new PieceBudget(performance.now());
  readonly #empty = new FrameBudget(performance.now());
  /** Small DATA frames that the current `push` has seen. */
  #small = 0;

  /** @param resets what is left for resets of the client; when it is used up, `flooded` says so */
  constructor(limits: HeaderWatchLimits, resets?: ResetBudget) {
    this.#resets = resets;
    this.#decoder = new HpackDecoder({ maxHeaderBytes: limits.headerBytes, maxHeaders: limits.headerCount });
    this.#maxBlockBytes = limits.headerBytes * MAX_BLOCK_FACTOR;
  }

  /** The client has sent more than it may of what costs more than it carries: its bytes are to go no further. */
  get flooded(): boolean {
    return this.#flooded;
  }

  /** Has the client sent so much of that that it is to be slowed down? True once for each time. */
  takeSlowed(): boolean {
    const slowed = this.#slowed;
    this.#slowed = false;
    return slowed;
  }

  /** Milliseconds the client's next request has to wait, because its address flooded lately. To be asked once for each. */
  distance(): number {
    return this.#resets?.distance() ?? 0;
  }

  /** Header blocks so far. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Small DATA frames that the last `push` has seen. */
  get small(): number {
    return this.#small;
  }

  /**
   * Looks at the next bytes, in any pieces, to the end of the first header block in them or of `SLICE_FRAMES` small DATA
   * frames. Returns how many. Never throws.
   */
  push(chunk: Buffer): number {
    this.#small = 0;
    if (this.#lost) return this.#pushLost(chunk);
    try {
      const taken = this.#frames.push(chunk, this.#onFrame);
      if (this.#pieces.take(this.#small, performance.now())) this.#slowed = true;
      return taken;
    } catch {
      this.#lost = true;
      this.#block = [];
      return chunk.length;
    }
  }

  /** Charges bytes that cannot be split into frames as if they were the smallest frames. */
  #pushLost(chunk: Buffer): number {
    const taken = Math.min(chunk.length, SLICE_FRAMES * FRAME_HEADER_BYTES);
    this.#small = Math.ceil(taken / FRAME_HEADER_BYTES);
    if (this.#pieces.take(this.#small, performance.now())) this.#slowed = true;
    return taken;
  }

  /** Had a header block of this stream a field that may not be? True once, then forgotten. */
  takeMalformed(streamId: number): boolean {
    return this.#malformed.delete(streamId) || this.#lost;
  }

  readonly #onFrame = (frame: Frame): void => {
    if (this.#flooded) return;
    if (frame.type === FrameType.RST_STREAM) this.#spent(this.#resets?.take());
    if (frame.type === FrameType.DATA) this.#takeData(frame);
    if (frame.type === FrameType.HEADERS) this.#collect(frame, headerFragmentOf(frame));
    else if (frame.type === FrameType.CONTINUATION) this.#collect(frame, frame.payload);
  };

  #spent(spent: Spent | undefined): void {
    if (spent === 'flood') this.#flooded = true;
    if (spent === 'slow') this.#slowed = true;
  }

  #takeData(frame: Frame): void {
    if (frame.length >= SMALL_PIECE || frame.has(Flag.END_STREAM)) return;
    this.#small += 1;
    if (this.#small === SLICE_FRAMES) this.#frames.stop();
    // Padding is no reason to send few bytes, or none.
    if (frame.length === 0 || frame.has(Flag.PADDED))
      this.#spent(this.#empty.pay(FRAME_COST.data_small, performance.now()));
  }

  #collect(frame: Frame, fragment: Buffer): void {
    const whole = frame.has(Flag.END_HEADERS);
    if (whole && this.#block.length === 0) {
      this.#check(frame.streamId, fragment);
      return;
    }
    this.#block.push(fragment);
    this.#blockBytes += fragment.length;
    if (this.#blockBytes > this.#maxBlockBytes || this.#block.length > this.#maxBlockBytes)
      throw new RangeError('block');
    if (!whole) return;
    const block = Buffer.concat(this.#block, this.#blockBytes);
    this.#block = [];
    this.#blockBytes = 0;
    this.#check(frame.streamId, block);
  }

  #check(streamId: number, block: Buffer): void {
    this.#blocks += 1;
    this.#pieces.begun();
    this.#frames.stop();
    let sound = true;
    this.#decoder.decode(block, (name, value) => {
      if (sound && !isSound(name, value)) sound = false;
    });
    if (sound && !this.#decoder.oversized) return;
    if (this.#malformed.size >= MAX_REMEMBERED) throw new RangeError('too many');
    this.#malformed.add(streamId);
  }
}

const COLON = 0x3a;
/** Blanks around a value are not allowed either. */
const PADDED = /^[ \t]|[ \t]$/;

function isSound(name: string, value: string): boolean {
  // A malformed pseudo-header is never ignored.
  return name.charCodeAt(0) === COLON
    ? isFieldValue(value)
    : isFieldName(name) && isFieldValue(value) && !PADDED.test(value);
}

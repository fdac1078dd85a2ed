import { DEFAULT_MAX_FRAME_SIZE, Flag, FRAME_HEADER_BYTES, FrameType, frameOf } from '../../http2/frames.ts';
import { writeFrameHeader } from '../../http2/write-frames.ts';
import type { GrpcExchange } from '../exchange.ts';
import { PREFIX_BYTES } from '../message/message.ts';
import type { RelayCore } from './relay-core.ts';

/**
 * Holds another message in place of the DATA of a call, as if the client had sent it. `false` = its head or a window does not fit,
 * and nothing is held.
 *
 * @param exchange has received all of the client's DATA, and holds none of it
 * @param message without prefix @param roomy the same behind room for what a frame has in front of it, if there is any
 */
export function holdRemade(
  { streamWindows, window }: Pick<RelayCore, 'streamWindows' | 'window'>,
  exchange: GrpcExchange,
  { message, roomy }: RemadeMessage,
): boolean {
  const { encoding, contentLength } = exchange.head;
  if (contentLength >= 0 || !(encoding === undefined || encoding === 'identity')) return false;
  const bytes = PREFIX_BYTES + message.length;
  // Upstream's stream begins with its initial window.
  if (bytes > streamWindows.fromClient || !window.replaced(exchange.owedCredit, bytes)) return false;
  exchange.owedCredit = 0;
  exchange.isRemade = true;
  exchange.flowBytes = bytes;
  exchange.upstreamGrants = 0;
  if (roomy && bytes <= DEFAULT_MAX_FRAME_SIZE) lendInPlace(exchange, roomy, message.length);
  else lendFrames(exchange, message);
  return true;
}

/** A message that was made anew. No other code uses its memory. */
interface RemadeMessage {
  readonly message: Buffer;
  readonly roomy?: Buffer | undefined;
}

/** Makes one frame of the memory of the message. @param length of the message */
function lendInPlace({ held, id }: GrpcExchange, roomy: Buffer, length: number): void {
  if (roomy.length !== FRAME_HEADER_BYTES + PREFIX_BYTES + length) throw new RangeError('a message has other room');
  writeFrameHeader(roomy, 0, PREFIX_BYTES + length, FrameType.DATA, Flag.END_STREAM, id);
  roomy[FRAME_HEADER_BYTES] = 0;
  roomy.writeUInt32BE(length, FRAME_HEADER_BYTES + 1);
  held.lendOwn(frameOf(roomy));
}

/** One piece of memory for all frames, as they are when they are received. */
function lendFrames(exchange: GrpcExchange, message: Buffer): void {
  const { held, id } = exchange;
  const bytes = PREFIX_BYTES + message.length;
  const frames = Math.ceil(bytes / DEFAULT_MAX_FRAME_SIZE);
  const raw = Buffer.allocUnsafe(bytes + frames * FRAME_HEADER_BYTES);
  let taken = 0;
  let at = 0;
  for (let left = frames; left > 0; left--) {
    const first = taken === 0 ? PREFIX_BYTES : 0;
    const length = Math.min(DEFAULT_MAX_FRAME_SIZE - first, message.length - taken);
    writeFrameHeader(raw, at, first + length, FrameType.DATA, left === 1 ? Flag.END_STREAM : 0, id);
    if (first > 0) {
      raw[at + FRAME_HEADER_BYTES] = 0;
      raw.writeUInt32BE(message.length, at + FRAME_HEADER_BYTES + 1);
    }
    message.copy(raw, at + FRAME_HEADER_BYTES + first, taken, taken + length);
    const end = at + FRAME_HEADER_BYTES + first + length;
    held.lendOwn(frameOf(frames === 1 ? raw : raw.subarray(at, end)));
    taken += length;
    at = end;
  }
}

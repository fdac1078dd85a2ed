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
 * @param message without prefix
 */
export function holdRemade(
  { streamWindows, window }: Pick<RelayCore, 'streamWindows' | 'window'>,
  exchange: GrpcExchange,
  message: Buffer,
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
  lendFrames(exchange, message);
  return true;
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
    held.lend(frameOf(frames === 1 ? raw : raw.subarray(at, end)));
    taken += length;
    at = end;
  }
}

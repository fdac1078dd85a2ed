import {
  DEFAULT_MAX_FRAME_SIZE,
  Flag,
  FRAME_HEADER_BYTES,
  type Frame,
  FrameType,
  MAX_WINDOW,
  type Setting,
} from './frames.ts';

/** Writes a frame header at `at`; the payload of `length` bytes is the caller's. */
export function writeFrameHeader(
  target: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  target[at] = length >>> 16;
  target[at + 1] = length >>> 8;
  target[at + 2] = length;
  target[at + 3] = type;
  target[at + 4] = flags;
  target.writeUInt32BE(streamId, at + 5);
}

function openFrame(length: number, type: number, flags: number, streamId: number): Buffer {
  const target = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
  writeFrameHeader(target, 0, length, type, flags, streamId);
  return target;
}

/** A SETTINGS frame. */
export function writeSettings(settings: readonly Setting[]): Buffer {
  const target = openFrame(settings.length * 6, FrameType.SETTINGS, 0, 0);
  let at = FRAME_HEADER_BYTES;
  for (const [id, value] of settings) {
    target.writeUInt16BE(id, at);
    target.writeUInt32BE(value, at + 2);
    at += 6;
  }
  return target;
}

/** The acknowledgement of one SETTINGS frame. */
export function writeSettingsAck(): Buffer {
  return openFrame(0, FrameType.SETTINGS, Flag.ACK, 0);
}

/** A PING frame with eight opaque bytes; throws RangeError for any other number. */
export function writePing(opaque: Buffer, ack: boolean): Buffer {
  if (opaque.length !== 8) throw new RangeError('ping takes eight bytes');
  const target = openFrame(8, FrameType.PING, ack ? Flag.ACK : 0, 0);
  opaque.copy(target, FRAME_HEADER_BYTES);
  return target;
}

/** A GOAWAY frame; `debug` is read by the peer, so it must not say more than the fault's reason. */
export function writeGoaway(lastStreamId: number, code: number, debug = ''): Buffer {
  const target = openFrame(8 + Buffer.byteLength(debug), FrameType.GOAWAY, 0, 0);
  target.writeUInt32BE(lastStreamId, FRAME_HEADER_BYTES);
  target.writeUInt32BE(code, FRAME_HEADER_BYTES + 4);
  target.write(debug, FRAME_HEADER_BYTES + 8);
  return target;
}

/** An RST_STREAM frame. */
export function writeRstStream(streamId: number, code: number): Buffer {
  const target = openFrame(4, FrameType.RST_STREAM, 0, streamId);
  target.writeUInt32BE(code, FRAME_HEADER_BYTES);
  return target;
}

/** A WINDOW_UPDATE frame; stream 0 is the connection. Throws RangeError for an increment outside 1 to 2^31-1. */
export function writeWindowUpdate(streamId: number, increment: number): Buffer {
  if (increment < 1 || increment > MAX_WINDOW) throw new RangeError('window increment out of range');
  const target = openFrame(4, FrameType.WINDOW_UPDATE, 0, streamId);
  target.writeUInt32BE(increment, FRAME_HEADER_BYTES);
  return target;
}

/** A header block as one HEADERS frame and as many CONTINUATIONs as it takes, in one buffer that must stay together. */
export function writeHeaders(
  streamId: number,
  block: Buffer,
  endStream: boolean,
  maxFrameSize: number = DEFAULT_MAX_FRAME_SIZE,
): Buffer {
  const first = endStream ? Flag.END_STREAM : 0;
  return writeSplit(
    streamId,
    block,
    maxFrameSize,
    [FrameType.HEADERS, FrameType.CONTINUATION],
    [first, Flag.END_HEADERS],
  );
}

/**
 * Makes a HEADERS frame in place: `framed` holds `FRAME_HEADER_BYTES` of headroom and then the block (`encodeHeaders` can
 * leave the room). Returns `framed` itself, or a copy with CONTINUATIONs when the block is too large for one frame.
 */
export function frameHeaders(
  framed: Buffer,
  streamId: number,
  endStream: boolean,
  maxFrameSize: number = DEFAULT_MAX_FRAME_SIZE,
): Buffer {
  const length = framed.length - FRAME_HEADER_BYTES;
  if (length > maxFrameSize)
    return writeHeaders(streamId, framed.subarray(FRAME_HEADER_BYTES), endStream, maxFrameSize);
  const flags = Flag.END_HEADERS | (endStream ? Flag.END_STREAM : 0);
  writeFrameHeader(framed, 0, length, FrameType.HEADERS, flags, streamId);
  return framed;
}

/** Bytes as one DATA frame, or several when they exceed the maximum; none at all make one empty frame. */
export function writeData(
  streamId: number,
  payload: Buffer,
  endStream: boolean,
  maxFrameSize: number = DEFAULT_MAX_FRAME_SIZE,
): Buffer {
  const last = endStream ? Flag.END_STREAM : 0;
  return writeSplit(streamId, payload, maxFrameSize, [FrameType.DATA, FrameType.DATA], [0, last]);
}

/** Cuts a payload into frames; the types are of the first and the further frames, the flags of the first and the last. */
function writeSplit(
  streamId: number,
  payload: Buffer,
  maxFrameSize: number,
  [firstType, nextType]: readonly [number, number],
  [firstFlags, lastFlags]: readonly [number, number],
): Buffer {
  const frames = Math.max(1, Math.ceil(payload.length / maxFrameSize));
  const target = Buffer.allocUnsafe(frames * FRAME_HEADER_BYTES + payload.length);
  let at = 0;
  for (let index = 0; index < frames; index++) {
    const from = index * maxFrameSize;
    const length = Math.min(maxFrameSize, payload.length - from);
    const flags = (index === 0 ? firstFlags : 0) | (index === frames - 1 ? lastFlags : 0);
    writeFrameHeader(target, at, length, index === 0 ? firstType : nextType, flags, streamId);
    payload.copy(target, at + FRAME_HEADER_BYTES, from, from + length);
    at += FRAME_HEADER_BYTES + length;
  }
  return target;
}

/** Moves a received frame to another stream, in place: the gateway owns the received bytes. */
export function rewriteStreamId(frame: Frame, streamId: number): void {
  frame.source.writeUInt32BE(streamId, frame.start + 5);
}

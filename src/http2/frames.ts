/** Bytes of a frame header (RFC 9113 section 4.1). */
export const FRAME_HEADER_BYTES = 9;

/** Largest payload until SETTINGS say otherwise, and the smallest limit a peer may set (RFC 9113 section 6.5.2). */
export const DEFAULT_MAX_FRAME_SIZE = 16_384;

/** Client connection preface (RFC 9113 section 3.4). */
export const CLIENT_PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Frame types (RFC 9113 section 6). Any other number is an extension, to be ignored. */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** Frame flags (RFC 9113 section 6); `ACK` is for SETTINGS and PING and shares its bit with `END_STREAM`. */
export const Flag = { ACK: 0x1, END_STREAM: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

/** Error codes of RST_STREAM and GOAWAY (RFC 9113 section 7). */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

/** One of the error codes we send; a received one may be any 32-bit number. */
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** Setting identifiers (RFC 9113 section 6.5.2, RFC 8441, RFC 9218). */
export const SettingId = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
  ENABLE_CONNECT_PROTOCOL: 8,
  NO_RFC7540_PRIORITIES: 9,
} as const;

/** One setting: identifier (unknown ones included) and unsigned 32-bit value. */
export type Setting = readonly [id: number, value: number];

/** Largest flow-control window (RFC 9113 section 6.9.1). */
export const MAX_WINDOW = 0x7fff_ffff;
const LARGEST_MAX_FRAME_SIZE = 0xff_ffff;

/** The peer broke HTTP/2. `streamId` 0 asks for GOAWAY and the end of the connection, any other for RST_STREAM there. */
export class Http2Fault extends Error {
  readonly code: ErrorCode;
  readonly streamId: number;
  readonly reason: string;

  /** A fault with its RFC 9113 code; `reason` is also the message. */
  constructor(code: ErrorCode, streamId: number, reason: string) {
    super(reason);
    this.name = 'Http2Fault';
    this.code = code;
    this.streamId = streamId;
    this.reason = reason;
  }
}

/**
 * A frame as it stands in the received bytes. The reader owns one object and reuses it: valid only inside the callback.
 * The bytes may be kept: they are a view of the chunk, or of a buffer of their own when the frame straddled chunks. DATA may
 * also stand in two chunks (`rest`).
 */
export class Frame {
  /** Frame type; may be an unknown number. */
  type = 0;
  /** Flag bits, unknown ones included. */
  flags = 0;
  /** Stream identifier without the reserved bit; 0 is the connection. */
  streamId = 0;
  /** Payload bytes, padding included. */
  length = 0;
  /** Bytes that hold the frame. Neighbouring frames of one source can be sent on as one range. */
  source: Buffer = CLIENT_PREFACE;
  /** Where the frame header begins in `source`; the frame ends `FRAME_HEADER_BYTES + length` later. */
  start = 0;
  /** The next chunk, if a DATA frame without padding ends there: at `restEnd`. */
  rest: Buffer | undefined;
  restEnd = 0;

  /** The payload, padding included: a view, or a copy of one in two chunks. */
  get payload(): Buffer {
    return this.#from(this.start + FRAME_HEADER_BYTES);
  }

  /** The whole frame as received, header included, to be forwarded verbatim: a view, or a copy of one in two chunks. */
  get raw(): Buffer {
    return this.#from(this.start);
  }

  #from(from: number): Buffer {
    const there = this.source.subarray(from, this.start + FRAME_HEADER_BYTES + this.length);
    return this.rest ? Buffer.concat([there, this.rest.subarray(0, this.restEnd)]) : there;
  }

  /** View of the payload in the next chunk. */
  get trailingData(): Buffer | undefined {
    return this.rest?.subarray(0, this.restEnd);
  }

  /** True when a bit of `Flag` is set. */
  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }
}

/** 32 bits big-endian without the reserved top bit. */
export function readUint31(source: Buffer, at: number): number {
  const high = ((source[at] as number) & 0x7f) << 24;
  return high | ((source[at + 1] as number) << 16) | ((source[at + 2] as number) << 8) | (source[at + 3] as number);
}

/** Parses a frame that was kept as bytes (`Frame.raw`). */
export function frameOf(raw: Buffer): Frame {
  const frame = new Frame();
  frame.source = raw;
  frame.start = 0;
  frame.length = raw.length - FRAME_HEADER_BYTES;
  frame.type = raw.readUInt8(3);
  frame.flags = raw.readUInt8(4);
  frame.streamId = raw.readUInt32BE(5) & 0x7fff_ffff;
  return frame;
}

type FrameRule = {
  readonly stream: 'connection' | 'stream' | 'either';
  readonly fits: (length: number, flags: number) => boolean;
  /** A wrong length is the stream's fault only, not the connection's. */
  readonly streamFault?: true;
};

const anyLength = (): boolean => true;

/** Rows by frame type (RFC 9113 sections 6.1 to 6.10). */
const FRAME_RULES: readonly FrameRule[] = [
  { stream: 'stream', fits: anyLength },
  { stream: 'stream', fits: anyLength },
  { stream: 'stream', fits: (length) => length === 5, streamFault: true },
  { stream: 'stream', fits: (length) => length === 4 },
  { stream: 'connection', fits: (length, flags) => ((flags & Flag.ACK) !== 0 ? length === 0 : length % 6 === 0) },
  { stream: 'stream', fits: (length) => length >= 4 },
  { stream: 'connection', fits: (length) => length === 8 },
  { stream: 'connection', fits: (length) => length >= 8 },
  { stream: 'either', fits: (length) => length === 4 },
  { stream: 'stream', fits: anyLength },
];

/** Throws `Http2Fault` when a frame stands on the wrong stream or has a length its type cannot have. */
export function checkFrame(frame: Frame): void {
  const rule = FRAME_RULES[frame.type];
  if (rule === undefined || (frame.type === FrameType.DATA && frame.streamId !== 0)) return;
  if (rule.stream !== 'either' && (rule.stream === 'stream') !== (frame.streamId !== 0)) {
    throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, 0, `frame of type ${frame.type} belongs to the ${rule.stream}`);
  }
  if (!rule.fits(frame.length, frame.flags)) {
    const streamId = rule.streamFault === true ? frame.streamId : 0;
    throw new Http2Fault(ErrorCode.FRAME_SIZE_ERROR, streamId, `frame of type ${frame.type} has a wrong length`);
  }
}

/** Payload of a DATA frame without its padding (RFC 9113 section 6.1), in one piece. Bad padding throws a connection fault. */
export function dataOf(frame: Frame): Buffer {
  return frame.rest ? frame.payload : unpad(frame, 0);
}

/** The same as far as it stands in `source`: `Frame.trailingData` follows. */
export function leadingDataOf(frame: Frame): Buffer {
  return frame.rest ? frame.source.subarray(frame.start + FRAME_HEADER_BYTES) : unpad(frame, 0);
}

/** Bytes of a DATA frame without its padding. Bad padding throws a connection fault. */
export function dataBytesOf(frame: Frame): number {
  return frame.has(Flag.PADDED) ? dataOf(frame).length : frame.length;
}

/** Header block fragment of a HEADERS frame, padding and priority removed (RFC 9113 section 6.2). */
export function headerFragmentOf(frame: Frame): Buffer {
  return unpad(frame, frame.has(Flag.PRIORITY) ? 5 : 0);
}

function unpad(frame: Frame, skip: number): Buffer {
  const { source, length, start } = frame;
  const padded = frame.has(Flag.PADDED) ? 1 : 0;
  if (length < padded + skip) throw new Http2Fault(ErrorCode.FRAME_SIZE_ERROR, 0, 'frame is too short for its flags');
  const from = start + FRAME_HEADER_BYTES;
  const padding = padded === 0 ? 0 : (source[from] as number);
  if (padded + skip + padding > length) throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, 0, 'padding exceeds the frame');
  return source.subarray(from + padded + skip, from + length - padding);
}

/** True when a PRIORITY frame, or the priority part of a HEADERS frame, names its own stream (RFC 7540 section 5.3.1). */
export function dependsOnItself(frame: Frame): boolean {
  const inHeaders = frame.type === FrameType.HEADERS && frame.has(Flag.PRIORITY);
  if (!inHeaders && frame.type !== FrameType.PRIORITY) return false;
  const at = inHeaders && frame.has(Flag.PADDED) ? 1 : 0;
  return frame.length >= at + 5 && readUint31(frame.source, frame.start + FRAME_HEADER_BYTES + at) === frame.streamId;
}

/**
 * Settings of a SETTINGS payload in their order, unknown ones included (RFC 9113 section 6.5). Values out of range throw
 * a connection fault; `sender` matters because only a client may enable push.
 */
export function parseSettings(payload: Buffer, sender: 'client' | 'server'): Setting[] {
  if (payload.length % 6 !== 0) throw new Http2Fault(ErrorCode.FRAME_SIZE_ERROR, 0, 'settings have a wrong length');
  const settings: Setting[] = [];
  for (let at = 0; at < payload.length; at += 6) {
    const id = payload.readUInt16BE(at);
    const value = payload.readUInt32BE(at + 2);
    const code = settingFault(id, value, sender);
    if (code !== undefined) throw new Http2Fault(code, 0, `setting ${id} has a wrong value`);
    settings.push([id, value]);
  }
  return settings;
}

function settingFault(id: number, value: number, sender: 'client' | 'server'): ErrorCode | undefined {
  switch (id) {
    case SettingId.ENABLE_PUSH:
      return value > (sender === 'client' ? 1 : 0) ? ErrorCode.PROTOCOL_ERROR : undefined;
    case SettingId.INITIAL_WINDOW_SIZE:
      return value > MAX_WINDOW ? ErrorCode.FLOW_CONTROL_ERROR : undefined;
    case SettingId.MAX_FRAME_SIZE:
      return value < DEFAULT_MAX_FRAME_SIZE || value > LARGEST_MAX_FRAME_SIZE ? ErrorCode.PROTOCOL_ERROR : undefined;
    case SettingId.ENABLE_CONNECT_PROTOCOL:
    case SettingId.NO_RFC7540_PRIORITIES:
      return value > 1 ? ErrorCode.PROTOCOL_ERROR : undefined;
    default:
      return undefined;
  }
}

/** Increment of a checked WINDOW_UPDATE frame, 1 to 2^31-1; zero throws, on the stream it names (RFC 9113 section 6.9). */
export function windowIncrementOf(frame: Frame): number {
  const increment = readUint31(frame.source, frame.start + FRAME_HEADER_BYTES);
  if (increment === 0) throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, frame.streamId, 'window increment is zero');
  return increment;
}

/** Error code of a checked RST_STREAM frame: any unsigned 32-bit number (RFC 9113 section 6.4). */
export function resetCodeOf(frame: Frame): number {
  return frame.source.readUInt32BE(frame.start + FRAME_HEADER_BYTES);
}

/** Last stream id and error code of a checked GOAWAY frame (RFC 9113 section 6.8). */
export function goawayOf(frame: Frame): { readonly lastStreamId: number; readonly code: number } {
  const from = frame.start + FRAME_HEADER_BYTES;
  return { lastStreamId: readUint31(frame.source, from), code: frame.source.readUInt32BE(from + 4) };
}

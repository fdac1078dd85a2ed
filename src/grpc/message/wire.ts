import { isUtf8 } from 'node:buffer';
import { badRequest, type Denial, tooLarge, unreadableMessage } from '../../policy/denial.ts';

/**
 * The protobuf wire format, as strict as upstream's decoder (prost): refuses and skips the same fields. No length is
 * trusted. https://protobuf.dev/programming-guides/encoding/
 */
export const WireType = { varint: 0, fixed64: 1, bytes: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const;

/**
 * Deepest nesting of messages and groups below the outermost message.
 *
 * Upstream: prost's own limit, which Qdrant switched off by accident in v1.17.1; without it deep nesting ends the process.
 */
export const MAX_NESTING = 100;

/** Bytes that cannot be decoded. `denial` is the answer if the client sent them. */
export class WireFault extends Error {
  readonly code = 'ERR_GRPC_WIRE';
  readonly denial: Denial;

  constructor(denial: Denial) {
    super(denial.message);
    this.name = 'WireFault';
    this.denial = denial;
  }
}

/** INTERNAL: no decoder accepts the message. */
export function malformed(what: string): WireFault {
  return new WireFault(unreadableMessage('malformed_message', `failed to decode protobuf message: ${what}`));
}

export const NESTED_TOO_DEEP = badRequest('nesting', `messages and groups may nest at most ${MAX_NESTING} deep`);

/** INVALID_ARGUMENT: nested past `MAX_NESTING`. */
export function tooDeep(): WireFault {
  return new WireFault(NESTED_TOO_DEEP);
}

/** RESOURCE_EXHAUSTED: above the limits of inspection. */
export function overLimit(what: string): WireFault {
  return new WireFault(tooLarge(what));
}

/** RESOURCE_EXHAUSTED: more collections than the limit of inspection. */
export function tooManyNames(max: number): WireFault {
  return new WireFault(tooLarge(`a message may name at most ${max} other collections`, 'too_many_names'));
}

/** One field of a message in memory. */
export interface Field {
  readonly number: number;
  readonly type: number;
  /** The whole field, tag included. */
  readonly raw: Buffer;
  /** The content of a length-delimited field, the bytes of any other. */
  readonly value: Buffer;
}

/** The fields of one message in wire order; a group is one field. Throws `WireFault` if the bytes are not a message. */
export function* readFields(message: Buffer): Generator<Field, void, undefined> {
  const cursor: Cursor = { bytes: message, at: 0 };
  while (cursor.at < message.length) {
    const start = cursor.at;
    const key = readKey(cursor);
    const number = key >>> 3;
    const type = key & 7;
    if (type === WireType.endGroup) throw malformed('unexpected end group tag');
    const content = skipValue(cursor, number, type);
    yield { number, type, raw: message.subarray(start, cursor.at), value: message.subarray(content, cursor.at) };
  }
}

/** The text of a string field. */
export function readText(value: Buffer): string {
  if (!isUtf8(value)) throw malformed('string is not UTF-8');
  return value.toString('utf8');
}

/** Bytes of a varint that `behindScalar` skips; a longer one is rare, or invalid. */
const PASSED_BYTES = 9;

/**
 * A tag or length of at most three bytes at `at`: four times the number, plus its size. -1 = longer, or cut off at
 * `end`.
 */
export function shortVarint(bytes: Buffer, at: number, end: number): number {
  if (at >= end) return -1;
  const first = bytes[at] as number;
  if (first < 0x80) return (first << 2) | 1;
  if (at + 1 >= end) return -1;
  const second = bytes[at + 1] as number;
  if (second < 0x80) return (((second << 7) | (first & 0x7f)) << 2) | 2;
  const third = at + 2 < end ? (bytes[at + 2] as number) : 0x80;
  return third < 0x80 ? (((third << 14) | ((second & 0x7f) << 7) | (first & 0x7f)) << 2) | 3 : -1;
}

/** The end of a value that has no length and is not a group; -1 = beyond `end`, invalid, or a long varint. */
export function behindScalar(bytes: Buffer, start: number, end: number, type: number): number {
  let at = start;
  if (type === WireType.varint) {
    const most = Math.min(end, at + PASSED_BYTES);
    while (at < most && (bytes[at] as number) >= 0x80) at += 1;
    return at < most ? at + 1 : -1;
  }
  if (type !== WireType.fixed64 && type !== WireType.fixed32) return -1;
  at += type === WireType.fixed64 ? 8 : 4;
  return at <= end ? at : -1;
}

/** Text up to this size is mostly ASCII, which is checked and read in place. */
const SHORT_TEXT = 64;

/** The text of `bytes[from, to)`. */
export function readTextAt(bytes: Buffer, from: number, to: number): string {
  const short = to - from <= SHORT_TEXT;
  let at = from;
  while (short && at < to && (bytes[at] as number) < 0x80) at += 1;
  return at === to ? bytes.toString('latin1', from, to) : readText(bytes.subarray(from, to));
}

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

/** Field number and wire type in one unsigned 32-bit number. */
function readKey(cursor: Cursor): number {
  return checkKey(readVarint(cursor));
}

/** Refuses a tag wider than 32 bits, field number 0, and unknown wire types. */
export function checkKey(key: number): number {
  if (key > 0xffff_ffff) throw malformed('tag over 32 bits');
  if (key >>> 3 === 0) throw malformed('field number 0');
  if ((key & 7) > WireType.fixed32) throw malformed('wire type 6 or 7');
  return key;
}

/** Exact below 2^53 and never smaller than a limit it exceeds, which is sufficient for tags and lengths. */
function readVarint(cursor: Cursor): number {
  let value = 0;
  let scale = 1;
  for (let count = 1; ; count += 1) {
    const byte = cursor.bytes[cursor.at];
    if (byte === undefined) throw malformed('truncated varint');
    cursor.at += 1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      if (count === 10 && byte > 1) throw malformed('varint over 64 bits');
      return value;
    }
    if (count === 10) throw malformed('varint over 10 bytes');
    scale *= 128;
  }
}

/** Skips a value and returns the offset of its content. */
function skipValue(cursor: Cursor, number: number, type: number): number {
  const start = cursor.at;
  switch (type) {
    case WireType.varint:
      readVarint(cursor);
      return start;
    case WireType.bytes: {
      const length = readVarint(cursor);
      const content = cursor.at;
      advance(cursor, length);
      return content;
    }
    case WireType.startGroup:
      skipGroup(cursor, number);
      return start;
    default:
      advance(cursor, type === WireType.fixed64 ? 8 : 4);
      return start;
  }
}

function advance(cursor: Cursor, length: number): void {
  if (length > cursor.bytes.length - cursor.at) throw malformed('length beyond the end');
  cursor.at += length;
}

function skipGroup(cursor: Cursor, outermost: number): void {
  const open = [outermost];
  while (open.length > 0) {
    if (open.length > MAX_NESTING) throw tooDeep();
    const key = readKey(cursor);
    const number = key >>> 3;
    const type = key & 7;
    if (type === WireType.startGroup) open.push(number);
    else if (type !== WireType.endGroup) skipValue(cursor, number, type);
    else if (open.pop() !== number) throw malformed('unexpected end group tag');
  }
}

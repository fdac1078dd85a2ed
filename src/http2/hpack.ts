import { ErrorCode, Http2Fault } from './frames.ts';
import { decodeHuffman, huffmanOutputBytes } from './hpack-huffman.ts';
import {
  DynamicTable,
  ENTRY_OVERHEAD,
  STATIC_BY_NAME,
  STATIC_ENTRIES,
  STATIC_NAMES,
  STATIC_VALUES,
} from './hpack-tables.ts';

/** Table size both sides start from until SETTINGS say otherwise (RFC 9113 section 6.5.2). */
export const DEFAULT_TABLE_BYTES = 4096;

/** Header bytes past which decoding is given up, as a multiple of the accepted size. */
const HARD_CAP_FACTOR = 4;

/** Five continuation bytes carry every value below 2^32; more can only be padding or overflow. */
const MAX_CONTINUATION_BYTES = 5;

/** Decoded strings up to this size share one scratch area; longer ones get their own. */
const SCRATCH_BYTES = 16_384;
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/**
 * Receives one decoded field. Strings are latin1, one character per byte, not validated as HTTP (RFC 9113 section 8.2 is
 * the caller's). `neverIndexed` is true for a literal that must keep that representation when it is sent on
 * (RFC 7541 section 6.2.3).
 */
export type OnHeader = (name: string, value: string, neverIndexed: boolean) => void;

/** Bounds of one decoder. Header bytes count as in RFC 9113 section 6.5.2: name + value + 32 each. */
export type HpackLimits = {
  /** Largest dynamic table the peer may use, in bytes: the SETTINGS_HEADER_TABLE_SIZE it acknowledged. Default 4096. */
  readonly maxTableBytes?: number;
  /** Header bytes of one block that are still handed on. */
  readonly maxHeaderBytes: number;
  /** Number of fields of one block that are still handed on. */
  readonly maxHeaders: number;
};

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Decoder of one connection's header blocks, in the order they came (RFC 7541). Any malformed input throws `Http2Fault`
 * COMPRESSION_ERROR, one far above the limits ENHANCE_YOUR_CALM; both are connection errors. After any exception,
 * also one thrown by the callback, the table can no longer be trusted and every later `decode` throws.
 */
export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #maxHeaderBytes: number;
  readonly #maxHeaders: number;
  #maxTableBytes: number;
  /** Size the peer's next block must announce at most, after a smaller limit; -1 when nothing is owed. */
  #owedTableBytes = -1;
  #broken = false;
  #block = NOTHING;
  #at = 0;
  #headerBytes = 0;
  #headers = 0;

  /** True when the last block was over a limit: the fields handed out are then incomplete and must not be used. */
  oversized = false;

  /** A decoder with an empty dynamic table. */
  constructor(limits: HpackLimits) {
    this.#maxTableBytes = limits.maxTableBytes ?? DEFAULT_TABLE_BYTES;
    this.#maxHeaderBytes = limits.maxHeaderBytes;
    this.#maxHeaders = limits.maxHeaders;
    this.#table = new DynamicTable(Math.min(this.#maxTableBytes, DEFAULT_TABLE_BYTES));
  }

  /** Header bytes of the last block, those that were not handed out included. */
  get headerBytes(): number {
    return this.#headerBytes;
  }

  /**
   * Changes with the dynamic table. A block whose decoding left it unchanged, met again byte for byte at the same
   * number, means the same fields: its earlier outcome may be used without decoding.
   */
  get tableVersion(): number {
    return this.#table.version;
  }

  /** Sets the table limit; call when the peer acknowledges the SETTINGS frame that carried it. */
  setMaxTableBytes(bytes: number): void {
    this.#maxTableBytes = bytes;
    const standing = this.#owedTableBytes < 0 ? this.#table.capacity : this.#owedTableBytes;
    if (bytes < standing) this.#owedTableBytes = bytes;
  }

  /**
   * Decodes one complete block (HEADERS and its CONTINUATIONs joined) and calls `onHeader` for each field in order.
   * Over a limit it sets `oversized`, stops calling, and goes on only to keep the table in step. `onHeader` must not throw.
   */
  decode(block: Buffer, onHeader: OnHeader): void {
    if (this.#broken) throw malformed('header table is out of step');
    this.#broken = true;
    this.#block = block;
    this.#at = 0;
    this.#headerBytes = 0;
    this.#headers = 0;
    this.oversized = false;
    this.#readSizeUpdates();
    while (this.#at < block.length) this.#readField(block[this.#at] as number, onHeader);
    // An idle connection would keep all that was read with its last block, from other connections too.
    this.#block = NOTHING;
    this.#broken = false;
  }

  #readField(first: number, onHeader: OnHeader): void {
    if (first >= 0x80) {
      const index = this.#readInteger(0x7f);
      if (index === 0) throw malformed('header index is zero');
      this.#emit(this.#nameAt(index), this.#valueAt(index), false, onHeader);
      return;
    }
    if (first >= 0x40) {
      const name = this.#readName(0x3f);
      const value = this.#readString();
      this.#table.insert(name, value);
      this.#emit(name, value, false, onHeader);
      return;
    }
    if (first >= 0x20) throw malformed('table size update after a header field');
    const name = this.#readName(0x0f);
    this.#emit(name, this.#readString(), first >= 0x10, onHeader);
  }

  #readSizeUpdates(): void {
    const block = this.#block;
    while (this.#at < block.length && ((block[this.#at] as number) & 0xe0) === 0x20) {
      const bytes = this.#readInteger(0x1f);
      if (bytes > this.#maxTableBytes) throw malformed('table size update over the limit');
      if (this.#owedTableBytes >= 0 && bytes <= this.#owedTableBytes) this.#owedTableBytes = -1;
      this.#table.resize(bytes);
    }
    if (this.#owedTableBytes >= 0 && block.length > 0) throw malformed('table size update missing');
  }

  #emit(name: string, value: string, neverIndexed: boolean, onHeader: OnHeader): void {
    this.#headerBytes += name.length + value.length + ENTRY_OVERHEAD;
    this.#headers++;
    if (this.#headerBytes <= this.#maxHeaderBytes && this.#headers <= this.#maxHeaders) {
      onHeader(name, value, neverIndexed);
      return;
    }
    this.oversized = true;
    if (this.#headerBytes > this.#maxHeaderBytes * HARD_CAP_FACTOR) {
      throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, 'header block far over the limit');
    }
  }

  #readName(prefix: number): string {
    const index = this.#readInteger(prefix);
    return index === 0 ? this.#readString() : this.#nameAt(index);
  }

  #nameAt(index: number): string {
    if (index <= STATIC_ENTRIES) return STATIC_NAMES[index] as string;
    if (index - STATIC_ENTRIES > this.#table.count) throw malformed('header index out of range');
    return this.#table.name(index - STATIC_ENTRIES);
  }

  #valueAt(index: number): string {
    return index <= STATIC_ENTRIES ? (STATIC_VALUES[index] as string) : this.#table.value(index - STATIC_ENTRIES);
  }

  /** Prefix integer (RFC 7541 section 5.1); `prefix` is the mask of its first byte. */
  #readInteger(prefix: number): number {
    const block = this.#block;
    const low = (block[this.#at++] as number) & prefix;
    if (low < prefix) return low;
    let value = prefix;
    let scale = 1;
    for (let count = 0; count < MAX_CONTINUATION_BYTES; count++) {
      if (this.#at >= block.length) throw malformed('integer is cut short');
      const byte = block[this.#at++] as number;
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) {
        if (value > 0xffffffff) break;
        return value;
      }
    }
    throw malformed('integer is too large');
  }

  /** String literal (RFC 7541 section 5.2). */
  #readString(): string {
    const block = this.#block;
    if (this.#at >= block.length) throw malformed('string is missing');
    const huffman = (block[this.#at] as number) >= 0x80;
    const bytes = this.#readInteger(0x7f);
    const start = this.#at;
    const end = start + bytes;
    if (end > block.length) throw malformed('string is cut short');
    this.#at = end;
    if (!huffman) return block.toString('latin1', start, end);
    const room = huffmanOutputBytes(bytes);
    const target = room <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafeSlow(room);
    const written = decodeHuffman(block, start, end, target);
    if (written < 0) throw malformed('huffman code is malformed');
    return target.toString('latin1', 0, written);
  }
}

function malformed(reason: string): Http2Fault {
  return new Http2Fault(ErrorCode.COMPRESSION_ERROR, 0, reason);
}

/** One header field to send; latin1 strings. `neverIndexed` keeps a literal out of every table on the way. */
export type HeaderField = readonly [name: string, value: string, neverIndexed?: boolean];

const MAX_INTEGER_BYTES = 6;

/**
 * Encodes fields without touching any dynamic table: indexed where the static table has the field, else a literal
 * without indexing, or never-indexed for credentials and fields so marked. No Huffman coding. The first `headroom`
 * bytes of the result are left for the caller (room for a frame header). Throws RangeError for a character above U+00FF.
 */
export function encodeHeaders(headers: readonly HeaderField[], headroom = 0): Buffer {
  let room = headroom;
  for (const field of headers) room += 1 + 2 * MAX_INTEGER_BYTES + field[0].length + field[1].length;
  const target = Buffer.allocUnsafe(room);
  let at = headroom;
  for (const field of headers) at = encodeField(target, at, field);
  return target.subarray(0, at);
}

/** A dynamic table size update, to stand at the start of a block (RFC 7541 section 6.3); size in bytes. */
export function encodeTableSizeUpdate(bytes: number): Buffer {
  const target = Buffer.allocUnsafe(MAX_INTEGER_BYTES);
  return target.subarray(0, encodeInteger(target, 0, 0x20, 0x1f, bytes));
}

function encodeField(target: Buffer, start: number, field: HeaderField): number {
  const name = field[0];
  const value = field[1];
  const known = STATIC_BY_NAME.get(name);
  // Credentials are never indexed, whatever the caller says (RFC 7541 section 7.1.3).
  const neverIndexed = field[2] === true || name === 'api-key' || name === 'authorization';
  if (known !== undefined && !neverIndexed) {
    for (let offset = 0; offset < known.values.length; offset++) {
      if (known.values[offset] === value) return encodeInteger(target, start, 0x80, 0x7f, known.nameIndex + offset);
    }
  }
  let at = encodeInteger(target, start, neverIndexed ? 0x10 : 0x00, 0x0f, known?.nameIndex ?? 0);
  if (known === undefined) at = encodeString(target, at, name);
  return encodeString(target, at, value);
}

function encodeInteger(target: Buffer, start: number, pattern: number, prefix: number, value: number): number {
  let at = start;
  if (value < prefix) {
    target[at++] = pattern | value;
    return at;
  }
  target[at++] = pattern | prefix;
  let rest = value - prefix;
  while (rest >= 128) {
    target[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}

function encodeString(target: Buffer, start: number, text: string): number {
  const at = encodeInteger(target, start, 0x00, 0x7f, text.length);
  let seen = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    seen |= code;
    target[at + index] = code;
  }
  // A wider character would be cut to its low byte: U+010A would become a line feed.
  if (seen > 0xff) throw new RangeError('header field holds a character above U+00FF');
  return at + text.length;
}

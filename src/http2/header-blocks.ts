import { type HeaderField, HpackDecoder, type HpackLimits } from './hpack.ts';

/** Number of cached blocks per connection, and the size of the largest one in bytes. */
const KNOWN_BLOCKS = 16;
const KNOWN_BYTES = 2048;
/** Up to this size a loop is faster than a native comparison. */
const SHORT_BYTES = 64;

/** A decoded header block of one connection. Equal blocks share one object. */
export interface HeaderBlock<T> {
  readonly fields: readonly HeaderField[];
  /** Header bytes of the fields: name + value + 32 each (RFC 9113 section 6.5.2). */
  readonly bytes: number;
  /** True = over a limit: the fields are incomplete. */
  readonly oversized: boolean;
  /** The parsed form of the fields, once the reader of the block has set it. */
  meaning: T | undefined;
}

interface KnownBlock<T> {
  readonly bytes: Buffer;
  readonly block: HeaderBlock<T>;
}

/**
 * The header blocks of one connection, in order. Clients repeat themselves: a repeated block is not decoded again.
 *
 * INVARIANT: a cached block is used only for identical bytes, while the dynamic table is the one it was decoded with,
 * and only if decoding it did not change that table. Only decoding is saved: the credential in it is checked for each
 * request.
 */
export class HeaderBlocks<T> {
  readonly #decoder: HpackDecoder;
  /** All of them were decoded with the current table. */
  #known: KnownBlock<T>[] = [];
  #next = 0;

  constructor(limits: HpackLimits) {
    this.#decoder = new HpackDecoder(limits);
  }

  /** The table limit the peer has acknowledged, in bytes. */
  setMaxTableBytes(bytes: number): void {
    this.#forget();
    this.#decoder.setMaxTableBytes(bytes);
  }

  /** Decodes the complete block `source[from, to)`. Throws as `HpackDecoder.decode`, and then on every call. */
  read(source: Buffer, from: number, to: number): HeaderBlock<T> {
    for (const { bytes, block } of this.#known) if (isSame(bytes, source, from, to)) return block;
    const bytes = from === 0 && to === source.length ? source : source.subarray(from, to);
    const decoder = this.#decoder;
    const version = decoder.tableVersion;
    const known = this.#known;
    const fields: HeaderField[] = [];
    this.#known = []; // nothing is known any more should this throw
    decoder.decode(bytes, (name, value, neverIndexed) => fields.push([name, value, neverIndexed]));
    const { headerBytes, oversized } = decoder;
    const block: HeaderBlock<T> = { fields, bytes: headerBytes, oversized, meaning: undefined };
    if (decoder.tableVersion !== version) {
      // With another table the indices have another meaning, and an evicted credential must not stay reachable.
      this.#forget();
      return block;
    }
    this.#known = known;
    if (!block.oversized && bytes.length <= KNOWN_BYTES) this.#keep(bytes, block);
    return block;
  }

  #forget(): void {
    this.#known = [];
    this.#next = 0;
  }

  #keep(bytes: Buffer, block: HeaderBlock<T>): void {
    this.#known[this.#next] = { bytes: Buffer.from(bytes), block };
    this.#next = (this.#next + 1) % KNOWN_BLOCKS;
  }
}

function isSame(known: Buffer, source: Buffer, from: number, to: number): boolean {
  const { length } = known;
  if (to - from !== length) return false;
  if (length > SHORT_BYTES) return source.compare(known, 0, length, from, to) === 0;
  for (let at = 0; at < length; at++) if (known[at] !== source[from + at]) return false;
  return true;
}

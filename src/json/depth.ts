import { KERNEL_BYTES, openDepthKernel } from './depth-kernel.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** The only bit in which `[` and `{`, `]` and `}` differ. */
const SHAPE_BIT = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** From this length on the kernel measures faster; below, copying to it costs more. */
const MANY_BYTES = 16;
const KERNEL = openDepthKernel();

/**
 * Measures the nesting of a JSON text while its bytes stream by, in chunks of any size. It only knows strings and
 * brackets: a text that is not JSON is never measured shallower than a parser sees it up to its first fault.
 */
export class DepthMeter {
  readonly #maxDepth: number;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** @param maxDepth most levels of objects and arrays */
  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth;
  }

  /** Adds bytes. `false` = the text nests deeper than allowed, which is final. */
  push(bytes: Uint8Array): boolean {
    const { length } = bytes;
    if (length < MANY_BYTES) return this.#oneByOne(bytes);
    if (length <= KERNEL_BYTES) return this.#atOnce(bytes);
    for (let at = 0; at < length; at += KERNEL_BYTES) {
      if (!this.#atOnce(bytes.subarray(at, at + KERNEL_BYTES))) return false;
    }
    return true;
  }

  #atOnce(bytes: Uint8Array): boolean {
    if (!KERNEL) return this.#oneByOne(bytes);
    KERNEL.memory.set(bytes);
    const before = (this.#depth << 2) | (this.#inString ? 2 : 0) | (this.#escaped ? 1 : 0);
    const after = KERNEL.run(bytes.length, before, this.#maxDepth);
    if (after < 0) return this.#oneByOne(bytes);
    this.#depth = after >> 2;
    this.#inString = (after & 2) !== 0;
    this.#escaped = (after & 1) !== 0;
    return true;
  }

  #oneByOne(bytes: Uint8Array): boolean {
    const { length } = bytes;
    const maxDepth = this.#maxDepth;
    let depth = this.#depth;
    let at = this.#inString ? this.#skipString(bytes, 0) : 0;
    while (at < length) {
      const byte = bytes[at++] as number;
      if (byte < BACKSLASH - 1 && byte !== QUOTE) continue;
      if (byte === QUOTE) {
        this.#inString = true;
        at = this.#skipString(bytes, at);
        continue;
      }
      const shape = byte | SHAPE_BIT;
      if (shape === OPEN) {
        depth += 1;
        if (depth > maxDepth) return false;
      } else if (shape === CLOSE && depth > 0) {
        depth -= 1;
      }
    }
    this.#depth = depth;
    return true;
  }

  /** Offset after the end of the string, or the end of the bytes. */
  #skipString(bytes: Uint8Array, start: number): number {
    const { length } = bytes;
    let at = start;
    if (this.#escaped && at < length) {
      this.#escaped = false;
      at += 1;
    }
    while (at < length) {
      const byte = bytes[at++] as number;
      if (byte === QUOTE) {
        this.#inString = false;
        return at;
      }
      if (byte === BACKSLASH) {
        if (at === length) this.#escaped = true;
        at += 1;
      }
    }
    return length;
  }
}

/** True = a complete JSON text nests at most `maxDepth` deep, as `DepthMeter` measures it. */
export function nestsWithin(bytes: Buffer, from: number, to: number, maxDepth: number): boolean {
  return new DepthMeter(maxDepth).push(bytes.subarray(from, to));
}

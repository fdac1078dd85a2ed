const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[` and `{`, `]` and `}` differ by this bit only. */
const SHAPE_BIT = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/**
 * Measures how deep a JSON text nests while its bytes stream by, in any pieces. It knows strings and brackets and nothing
 * else: a text that is no JSON is never measured shallower than a parser sees it up to its first fault.
 */
export class DepthMeter {
  readonly #maxDepth: number;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** @param maxDepth objects and arrays in each other */
  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth;
  }

  /** Takes the next bytes. `false`: the text nests deeper than allowed; ask no more. */
  push(bytes: Uint8Array): boolean {
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

  /** Behind the string's end, or the end of these bytes. */
  #skipString(bytes: Uint8Array, start: number): number {
    let at = start;
    const { length } = bytes;
    if (this.#escaped) {
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
    return at;
  }
}

/** The end-of-string symbol; it has a code but must never be decoded (RFC 7541 section 5.2). */
export const HUFFMAN_EOS = 256;

/**
 * Code length in bits of each symbol 0-255 and of the end-of-string symbol (RFC 7541 appendix B, 16 symbols a line).
 * The code is canonical, shorter codes and lower symbols first, so the lengths say everything.
 */
export const HUFFMAN_BITS: Readonly<Uint8Array> = Uint8Array.from([
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28],
  ...[28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28],
  ...[6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6],
  ...[5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10],
  ...[13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
  ...[7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6],
  ...[15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5],
  ...[6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28],
  ...[20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23],
  ...[24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24],
  ...[22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23],
  ...[21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23],
  ...[26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25],
  ...[19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27],
  ...[20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23],
  ...[26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26],
  30,
]);

const LONGEST = 30;

/** Code of each symbol, right-aligned, `HUFFMAN_BITS` bits long. */
export const HUFFMAN_CODES: Readonly<Uint32Array> = assignCodes();

function assignCodes(): Uint32Array {
  const codes = new Uint32Array(HUFFMAN_BITS.length);
  let next = 0;
  for (let bits = 1; bits <= LONGEST; bits++) {
    for (let symbol = 0; symbol <= HUFFMAN_EOS; symbol++) {
      if (HUFFMAN_BITS[symbol] === bits) codes[symbol] = next++;
    }
    next *= 2;
  }
  return codes;
}

// A binary tree of 257 leaves has 256 inner nodes, so a state (inner node) fits a byte. Node 0 is the root.
const STATES = 256;
// Fields of one transition: next state, first symbol, second symbol, symbols decoded (0-2), failure.
const FIRST = 8;
const SECOND = 16;
const COUNT = 24;
const FAIL = 1 << 26;

type Tree = { readonly child: Int16Array; readonly mayEnd: Uint8Array };

/** Child slots `2 * node + bit` hold an inner node, or `-1 - symbol` for a leaf. */
function growTree(): Tree {
  const child = new Int16Array(STATES * 2);
  let nodes = 1;
  for (let symbol = 0; symbol <= HUFFMAN_EOS; symbol++) {
    const code = HUFFMAN_CODES[symbol] as number;
    let node = 0;
    for (let bit = (HUFFMAN_BITS[symbol] as number) - 1; bit > 0; bit--) {
      const slot = node * 2 + ((code >>> bit) & 1);
      if (child[slot] === 0) child[slot] = nodes++;
      node = child[slot] as number;
    }
    child[node * 2 + (code & 1)] = -1 - symbol;
  }
  return { child, mayEnd: markEnds(child) };
}

/** Padding is at most seven bits, all ones (RFC 7541 section 5.2): the root and seven steps down the ones. */
function markEnds(child: Int16Array): Uint8Array {
  const mayEnd = new Uint8Array(STATES);
  let node = 0;
  for (let depth = 0; depth < 8; depth++) {
    mayEnd[node] = 1;
    node = child[node * 2 + 1] as number;
  }
  return mayEnd;
}

const tree = growTree();

/** One transition per state and input byte, made of two half-byte steps so that loading stays cheap. */
const transitions = composeTransitions(halfByteSteps());

function halfByteSteps(): Int32Array {
  const steps = new Int32Array(STATES * 16);
  for (let slot = 0; slot < steps.length; slot++) {
    let node = slot >> 4;
    let emitted = 0;
    for (let bit = 3; bit >= 0; bit--) {
      const next = tree.child[node * 2 + ((slot >> bit) & 1)] as number;
      if (next === -1 - HUFFMAN_EOS) emitted |= FAIL;
      // No code is shorter than five bits: a half byte ends at most one.
      else if (next < 0) emitted |= (1 << COUNT) | ((-1 - next) << FIRST);
      node = Math.max(next, 0);
    }
    steps[slot] = emitted | node;
  }
  return steps;
}

function composeTransitions(steps: Int32Array): Int32Array {
  const table = new Int32Array(STATES * 256);
  for (let slot = 0; slot < table.length; slot++) {
    const high = steps[slot >> 4] as number;
    const low = steps[((high & 0xff) << 4) | (slot & 15)] as number;
    const failed = (high | low) & FAIL;
    const highCount = (high >> COUNT) & 3;
    const lowCount = (low >> COUNT) & 3;
    const symbols =
      highCount === 0 ? low & (0xff << FIRST) : (high & (0xff << FIRST)) | (((low >> FIRST) & 0xff) << SECOND);
    table[slot] = failed | ((highCount + lowCount) << COUNT) | symbols | (low & 0xff);
  }
  return table;
}

/** Bytes the output of `decodeHuffman` may need for an input of this many bytes. */
export function huffmanOutputBytes(inputBytes: number): number {
  // The shortest code has five bits; one byte more because the second symbol is stored before it is known to count.
  return Math.floor((inputBytes * 8) / 5) + 2;
}

/**
 * Decodes `source[start, end)` into `target` from its beginning and returns the number of bytes written, or -1 when the
 * input holds the end-of-string symbol or wrong padding (RFC 7541 section 5.2). `target` must have
 * `huffmanOutputBytes(end - start)` bytes.
 */
export function decodeHuffman(source: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let state = 0;
  let written = 0;
  let seen = 0;
  for (let at = start; at < end; at++) {
    const step = transitions[(state << 8) | (source[at] as number)] as number;
    // Stored unconditionally, counted afterwards: no branch per byte. Typed arrays keep the low eight bits.
    target[written] = step >> FIRST;
    target[written + 1] = step >> SECOND;
    written += (step >> COUNT) & 3;
    seen |= step;
    state = step & 0xff;
  }
  return (seen & FAIL) !== 0 || tree.mayEnd[state] === 0 ? -1 : written;
}

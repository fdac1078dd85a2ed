const PLACES = 512;
/** Longer keys are seldom the same ones again. */
const MAX_BYTES = 32;

/**
 * The keys of bodies, which mostly come again: each is made a string once, until another one takes its place. Only for ASCII
 * without escapes, so that the bytes are the characters.
 */
export class KnownKeys {
  readonly #known: (string | undefined)[] = new Array(PLACES);

  /** The text of these bytes. */
  of(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > MAX_BYTES) return bytes.toString('latin1', start, end);
    let hash = length;
    for (let at = start; at < end; at += 1) hash = (hash * 31 + (bytes[at] as number)) | 0;
    const place = (hash ^ (hash >>> 8)) & (PLACES - 1);
    const known = this.#known[place];
    if (known !== undefined && isSame(known, bytes, start, length)) return known;
    const text = bytes.toString('latin1', start, end);
    this.#known[place] = text;
    return text;
  }
}

function isSame(text: string, bytes: Buffer, start: number, length: number): boolean {
  if (text.length !== length) return false;
  for (let at = 0; at < length; at += 1) if (text.charCodeAt(at) !== bytes[start + at]) return false;
  return true;
}

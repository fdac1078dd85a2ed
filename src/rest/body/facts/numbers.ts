import { integerOf } from '../../../json/integer.ts';
import { JsonReader } from '../../../json/reader.ts';
import { ShapeFault } from '../inspect-references.ts';

/** Longest number that a refusal repeats; of a longer one, the value. */
const SHOWN = 40;

/**
 * A whole number from 0 of at most 64 bits, written without a fraction or an exponent. Beyond 2^53 it is rounded, which keeps
 * the order. Throws a `ShapeFault` in upstream's words (serde) for anything else.
 */
export function readWhole(reader: JsonReader): number {
  const text = numberAt(reader, 'usize');
  // Upstream: `usize`, `u64`.
  const value = integerOf(text);
  if (value !== undefined && value >= 0n) return Number(value);
  const shown = text.length > SHOWN ? String(Number(text)) : text;
  const found = value === undefined ? 'invalid type: floating point' : 'invalid value: integer';
  throw new ShapeFault(`${found} \`${shown}\`, expected usize`, reader.position);
}

/** Any number; one that is too large for 64 bits is refused, as upstream does. */
export function readFloat(reader: JsonReader): number {
  const value = Number(numberAt(reader, 'f64'));
  if (!Number.isFinite(value)) throw new ShapeFault('number out of range', reader.position);
  return value;
}

export function readFlag(reader: JsonReader): boolean {
  const kind = reader.peek();
  if (kind !== 'true' && kind !== 'false')
    throw new ShapeFault(`invalid type: ${kind}, expected a boolean`, reader.position);
  return reader.readBoolean();
}

function numberAt(reader: JsonReader, expected: string): string {
  const kind = reader.peek();
  if (kind !== 'number') throw new ShapeFault(`invalid type: ${kind}, expected ${expected}`, reader.position);
  return reader.readNumberText();
}

/** Bytes that no vector of numbers has: of objects, texts, null, true and false. */
const FOREIGN = ['{', '"', 'n', 't', 'f'].map((byte) => byte.charCodeAt(0));
const OPEN_ARRAY = '['.charCodeAt(0);

/**
 * Passes over an array of numbers, or of such arrays. Any other array is refused: upstream takes one for the members of a query,
 * such as `[7, [0.5, 16384]]` for a nearest one with 16 384 candidates.
 */
export function skipVector(reader: JsonReader, body: Buffer): void {
  const { start, end } = reader.skipValue();
  const text = body.subarray(start, end);
  const none = (): ShapeFault => new ShapeFault('expected some form of vector, id, or a type of query', start);
  if (FOREIGN.some((byte) => text.includes(byte))) throw none();
  if (text.indexOf(OPEN_ARRAY, 1) < 0) return;
  const rows = new JsonReader(text);
  rows.readArray(() => {
    if (rows.peek() !== 'array') throw none();
    const row = rows.skipValue();
    if (text.subarray(row.start + 1, row.end).includes(OPEN_ARRAY)) throw none();
  });
}

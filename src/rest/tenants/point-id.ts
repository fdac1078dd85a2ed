import type { PointId } from '../../policy/tenants/rewriting.ts';
import { uuidOf } from '../../policy/tenants/uuid.ts';
import type { TenantReading } from './reading.ts';

const NUMBER = /^(?:0|[1-9]\d*)$/;
/** 2^64 - 1: numbers of the same length compare like their texts. */
const MOST = '18446744073709551615';

/**
 * Reads a point id; the result is its JSON text in one form. Upstream: an unsigned integer of 64 bits, or a UUID in one of four
 * forms (Qdrant v1.19.0, uuid 1.x).
 */
export function readPointId(reading: TenantReading): string {
  const { reader } = reading;
  const kind = reader.peek();
  if (kind === 'number') {
    const text = reader.readNumberText();
    if (isNumber(text)) return text;
  } else if (kind === 'string') {
    const uuid = uuidOf(reader.readString());
    if (uuid !== undefined) return `"${uuid}"`;
  }
  throw reading.fault('value is not a valid point ID, valid values are either an unsigned integer or a UUID');
}

/** The id of a text of `readPointId`. */
export function idOfText(text: string): PointId {
  return numberOf(text) ?? text.slice(1, -1);
}

/** An id as it stands in a path. `undefined` = it is none. */
export function pointIdOf(text: string): PointId | undefined {
  // Upstream: `u64::from_str` takes a plus sign and leading zeros.
  let digits = text.startsWith('+') ? 1 : 0;
  while (digits < text.length - 1 && text[digits] === '0') digits += 1;
  return numberOf(text.slice(digits)) ?? uuidOf(text);
}

function numberOf(text: string): bigint | undefined {
  return isNumber(text) ? BigInt(text) : undefined;
}

function isNumber(text: string): boolean {
  return (text.length < MOST.length || (text.length === MOST.length && text <= MOST)) && NUMBER.test(text);
}

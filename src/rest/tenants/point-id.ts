import type { PointId } from '../../policy/tenants/rewriting.ts';
import type { TenantReading } from './reading.ts';

const NUMBER = /^(?:0|[1-9]\d*)$/;
const MOST = 2n ** 64n - 1n;
const HEX = /^[0-9a-f]{32}$/i;
const HYPHENATED = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Reads a point id. Upstream: an unsigned integer of 64 bits, or a UUID in one of four forms (Qdrant v1.19.0, uuid 1.x). */
export function parsePointId(reading: TenantReading): PointId {
  const { reader } = reading;
  const kind = reader.peek();
  const read = kind === 'string' ? uuidOf(reader.readString()) : kind === 'number' && numberOf(reader.readNumberText());
  if (read === undefined || read === false) {
    throw reading.fault('value is not a valid point ID, valid values are either an unsigned integer or a UUID');
  }
  return read;
}

/** An id as it stands in a path. `undefined` = it is none. */
export function pointIdOf(text: string): PointId | undefined {
  // Upstream: `u64::from_str` takes a plus sign and leading zeros.
  const digits = /^\+?0*(\d+)$/.exec(text)?.[1];
  const number = digits === undefined ? undefined : numberOf(digits);
  return number ?? uuidOf(text);
}

function numberOf(text: string): bigint | undefined {
  if (!NUMBER.test(text)) return undefined;
  const id = BigInt(text);
  return id <= MOST ? id : undefined;
}

/** In small letters with hyphens. */
function uuidOf(text: string): string | undefined {
  if (HEX.test(text)) {
    const all = text.toLowerCase();
    return [all.slice(0, 8), all.slice(8, 12), all.slice(12, 16), all.slice(16, 20), all.slice(20)].join('-');
  }
  const bare = unwrapped(text);
  return HYPHENATED.test(bare) ? bare.toLowerCase() : undefined;
}

function unwrapped(text: string): string {
  if (text.startsWith('urn:uuid:')) return text.slice(9);
  return text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text;
}

/** One member of an object: its key and the text of its value. */
export type JsonMember = readonly [key: string, value: Buffer];

/** The text of an object with `members`, whose values are copied. */
export function objectOf(members: readonly JsonMember[]): Buffer {
  const parts: Buffer[] = [];
  for (const [key, value] of members) {
    parts.push(Buffer.from(`${parts.length === 0 ? '{' : ','}${JSON.stringify(key)}:`), value);
  }
  parts.push(Buffer.from(parts.length === 0 ? '{}' : '}'));
  return Buffer.concat(parts);
}

const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from(']');

/** The text of an array with `items`, which are copied. */
export function arrayOf(items: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  for (const item of items) parts.push(parts.length === 0 ? OPEN : COMMA, item);
  if (parts.length === 0) parts.push(OPEN);
  parts.push(CLOSE);
  return Buffer.concat(parts);
}

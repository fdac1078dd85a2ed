import { type ConsoleRequest, oneHeader } from '../../exchange/console-request.ts';
import { JsonReader } from '../../json/reader.ts';
import { repeatsMember } from '../../json/repeats-member.ts';

/** Deepest nesting of a body. */
const MAX_DEPTH = 32;

/**
 * The one JSON object of a request, by RFC 8259; or a text that says what it must be. INVARIANT: a member that is given twice is
 * refused: its value cannot be known.
 *
 * @param most bytes
 */
export function readJsonObject(request: ConsoleRequest, most: number): Readonly<Record<string, unknown>> | string {
  const type = oneHeader(request, 'content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json') return 'content-type: must be application/json';
  if (request.body.length > most) return `body: at most ${most} bytes`;
  try {
    const reader = new JsonReader(Buffer.from(request.body));
    const repeats = repeatsMember(reader, MAX_DEPTH);
    reader.end();
    if (repeats) return 'body: a member is given more than once; give each member once';
    const value: unknown = JSON.parse(Buffer.from(request.body).toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // The same text.
  }
  return 'body: must be one JSON object';
}

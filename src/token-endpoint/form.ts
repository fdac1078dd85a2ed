import { isUtf8 } from 'node:buffer';

/** The parameters of a form by name, each given once, without the empty ones (RFC 6749 section 3.2). */
export type Form = ReadonlyMap<string, string>;

/** More parameters than any client sends. */
const MAX_PARAMETERS = 64;
const MALFORMED = 'the body is not valid application/x-www-form-urlencoded in UTF-8';
/** Parameters that RFC 8693 lets repeat. */
const REPEATABLE: ReadonlySet<string> = new Set(['resource', 'audience']);

/** Reads a body of the type application/x-www-form-urlencoded. A text = its problem, without anything of the body. */
export function readForm(body: Uint8Array): Form | string {
  if (!isUtf8(body)) return MALFORMED;
  const pairs = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    .toString('utf8')
    .split('&', MAX_PARAMETERS + 1);
  if (pairs.length > MAX_PARAMETERS) return `the body has more than ${MAX_PARAMETERS} parameters`;
  const form = new Map<string, string>();
  const seen = new Set<string>();
  for (const pair of pairs) {
    if (pair === '') continue;
    const cut = pair.indexOf('=');
    const [name, value] = [decoded(cut < 0 ? pair : pair.slice(0, cut)), decoded(cut < 0 ? '' : pair.slice(cut + 1))];
    if (name === undefined || value === undefined) return MALFORMED;
    // INVARIANT: of a parameter that is given twice no value is taken.
    if (seen.has(name) && !REPEATABLE.has(name)) return 'a parameter is given more than once';
    seen.add(name);
    if (value !== '') form.set(name, value);
  }
  return form;
}

/** `undefined` = an escape is malformed, or its bytes are not UTF-8. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** The caller's credential, unverified. Never logged, never forwarded. */
export type Credential =
  /** A key or a token: tabs and bytes 0x20 to 0x7E only; may be empty. */
  | { readonly kind: 'given'; readonly text: string }
  /** Contains a control byte, which HTTP parsers should have refused. */
  | { readonly kind: 'malformed' };

/** The headers that a credential is read from, in lower case. */
export const CREDENTIAL_HEADERS: readonly string[] = ['api-key', 'authorization'];

const MALFORMED: Credential = Object.freeze({ kind: 'malformed' });
const PLAIN = /^[\t -~]*$/;
const BEARER = 'Bearer ';

/**
 * The credential of a request: the first `api-key`, otherwise the first `Authorization` that starts with exactly
 * `Bearer `. `undefined` = none.
 *
 * The same for every protocol: HTTP/1 parsers strip blanks around a value and HTTP/2 parsers do not; the resulting
 * difference (`Bearer ` alone, a key after a blank) is upstream's, too.
 *
 * Upstream: Qdrant v1.18.3. An empty `api-key` counts as given and hides `Authorization`; one with a byte of 0x80 or
 * more counts as absent, and a second one is ignored.
 *
 * @param rawHeaders name, value, name, value, in the order received; one character per byte, names in any case
 */
export function readCredential(rawHeaders: readonly string[]): Credential | undefined {
  let key: string | undefined;
  let authorization: string | undefined;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (key === undefined && name?.length === 7 && name.toLowerCase() === 'api-key') {
      key = rawHeaders[at + 1];
    } else if (authorization === undefined && name?.length === 13 && name.toLowerCase() === 'authorization') {
      authorization = rawHeaders[at + 1];
    }
  }
  const fromKey = key === undefined ? undefined : readValue(key);
  if (fromKey || authorization === undefined) return fromKey;
  const value = readValue(authorization);
  if (value?.kind !== 'given') return value;
  return value.text.startsWith(BEARER) ? { kind: 'given', text: value.text.slice(BEARER.length) } : undefined;
}

/** Is there a header that a credential is read from, also one that counts as none natively, as `Basic`, or `bearer` in lower case? */
export function hasCredentialHeader(rawHeaders: readonly string[]): boolean {
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if ((name.length === 7 || name.length === 13) && CREDENTIAL_HEADERS.includes(name.toLowerCase())) return true;
  }
  return false;
}

/** `undefined` = contains a byte of 0x80 or more. */
function readValue(value: string): Credential | undefined {
  if (PLAIN.test(value)) return { kind: 'given', text: value };
  for (let at = 0; at < value.length; at += 1) {
    const byte = value.charCodeAt(at);
    if (byte === 0x7f || (byte < 0x20 && byte !== 0x09)) return MALFORMED;
  }
  return undefined;
}

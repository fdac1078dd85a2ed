/**
 * Strict base64url without padding (RFC 7515 section 2). `undefined` for padding, blanks, another alphabet, an
 * impossible length, and unused low bits that are set. Node's decoder accepts all of these.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

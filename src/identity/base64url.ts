/**
 * Strict base64url without padding (RFC 7515 section 2): `undefined` for padding, blanks, any other alphabet, a length
 * that cannot be, and unused low bits that are set. Node's decoder alone lets all of these pass.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

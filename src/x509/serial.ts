import { UnreadableDer } from './der.ts';

/**
 * A serial number in hexadecimal digits, from the bytes of its INTEGER. Of several forms of a number the shortest, which DER asks for.
 * Node writes those of certificates without their sign.
 */
export function serialText(content: Buffer): string {
  const text = content.toString('hex');
  return text.replace(/^(?:00(?=[0-7].))+(?=..)/, '').replace(/^(?:ff(?=[89a-f].))+(?=..)/, '');
}

/** Tags of the elements on the way to it (RFC 5280, section 4.1): certificate, its content, version, serial number. */
const [SEQUENCE, VERSION, INTEGER] = [0x30, 0xa0, 0x02];

/**
 * The serial number of a certificate, without reading the rest of it.
 *
 * @param der of a certificate that OpenSSL has read
 */
export function serialOf(der: Buffer): string {
  let at = insideOf(der, insideOf(der, 0, SEQUENCE).begin, SEQUENCE).begin;
  if (der[at] === VERSION) at = insideOf(der, at, VERSION).end;
  const { begin, end } = insideOf(der, at, INTEGER);
  return serialText(der.subarray(begin, end));
}

/** Begin and end of the content of the element at an offset. */
function insideOf(der: Buffer, at: number, tag: number): { readonly begin: number; readonly end: number } {
  const [found, short = 0x80] = der.subarray(at, at + 2);
  const more = short > 0x80 ? short - 0x80 : 0;
  if (found !== tag || short === 0x80 || more > 4 || at + 2 + more > der.length) {
    throw new UnreadableDer('it has no serial number');
  }
  const begin = at + 2 + more;
  const end = begin + (more > 0 ? der.readUIntBE(at + 2, more) : short);
  if (end > der.length || end === begin) throw new UnreadableDer('it has no serial number');
  return { begin, end };
}

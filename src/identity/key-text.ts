import { randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

/*
 * The text of a named key: `qgw_<id>_<secret>`. A generated one has 43 characters of base62 (256 bits) and ends with `_`
 * and six characters of checksum, by which scanners of secrets tell it from chance; docs/guides/keys.md gives the regular
 * expression.
 */

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const PREFIX = 'qgw_';
const SECRET_LENGTH = 43;
const CHECK_LENGTH = 6;
const ID_DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';

/** The form of an id. */
export const KEY_ID = /^[a-z0-9]{4,32}$/;
const GENERATED = /^qgw_[a-z0-9]{4,32}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/;

/** A new id: ten characters, lower case. */
export function newKeyId(): string {
  return pick(ID_DIGITS, 10);
}

/** A new key with this id. */
export function newKeyText(id: string): string {
  const body = `${PREFIX}${id}_${pick(DIGITS, SECRET_LENGTH)}`;
  return `${body}_${checksumOf(body)}`;
}

/** The text of a chosen key with this id. */
export function chosenKeyText(id: string, secret: string): string {
  return `${PREFIX}${id}_${secret}`;
}

/** The id that a credential names, if it has the form of a named key. */
export function keyIdIn(text: string): string | undefined {
  if (!text.startsWith(PREFIX)) return undefined;
  const end = text.indexOf('_', PREFIX.length);
  return end < 0 ? undefined : text.slice(PREFIX.length, end);
}

/** True = the form of a generated key with a valid checksum. */
export function isGeneratedKey(text: string): boolean {
  if (!GENERATED.test(text)) return false;
  const end = text.length - CHECK_LENGTH - 1;
  return checksumOf(text.slice(0, end)) === text.slice(end + 1);
}

/** CRC-32 of the text, in base62 with leading zeroes. */
function checksumOf(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let at = 0; at < CHECK_LENGTH; at += 1) {
    digits = `${DIGITS[rest % DIGITS.length]}${digits}`;
    rest = Math.floor(rest / DIGITS.length);
  }
  return digits;
}

function pick(digits: string, length: number): string {
  return Array.from({ length }, () => digits[randomInt(digits.length)]).join('');
}

import { createHash, timingSafeEqual } from 'node:crypto';

/** True = a loopback address. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(address);
}

/**
 * Protects a loopback address against DNS rebinding: a web page can point its own name at 127.0.0.1 and read the answers,
 * but the browser sends that name in `Host`. True = the request may be answered.
 *
 * @param own the address that is configured
 */
export function isOwnHost(host: string | undefined, own: string): boolean {
  const [, bracketed, plain] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(host ?? '') ?? [];
  const name = (bracketed ?? plain ?? '').toLowerCase();
  return name !== '' && (name === own.toLowerCase() || isLoopback(name));
}

const BEARER = /^Bearer +([^ ]+) *$/i;

/** True = the header carries the admin token. Constant time. */
export function bearsToken(authorization: string | undefined, token: string): boolean {
  const [, presented] = BEARER.exec(authorization ?? '') ?? [];
  return presented !== undefined && timingSafeEqual(digest(presented), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'latin1').digest();
}

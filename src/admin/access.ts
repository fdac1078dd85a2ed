import { createHash, timingSafeEqual } from 'node:crypto';

/** Does an address belong to this machine alone? */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(address);
}

/**
 * May a request with this `Host` be answered on a loopback address? A page of the web can have its own name lead to
 * 127.0.0.1 and then read what is served there to everybody; but the browser says that name.
 *
 * @param own the address that is configured
 */
export function isOwnHost(host: string | undefined, own: string): boolean {
  const [, bracketed, plain] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(host ?? '') ?? [];
  const name = (bracketed ?? plain ?? '').toLowerCase();
  return name !== '' && (name === own.toLowerCase() || isLoopback(name));
}

const BEARER = /^Bearer +([^ ]+) *$/i;

/** Is this the header of whoever has the token? Takes as long for any wrong one. */
export function bearsToken(authorization: string | undefined, token: string): boolean {
  const [, presented] = BEARER.exec(authorization ?? '') ?? [];
  return presented !== undefined && timingSafeEqual(digest(presented), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'latin1').digest();
}

import { type ConsoleRequest, headerValues } from '../../exchange/console-request.ts';

/** Longest value that is looked at, in characters; a sealed session has less than half of it. */
const MAX_VALUE = 2048;

/**
 * The cookies of the console. Over TLS they have the prefix that binds them to this host (RFC 6265bis, section 4.1.3.2): no other
 * host of the domain can set one. A listener with TLS knows no other name.
 */
export const COOKIES = { session: 'qdrant-console', login: 'qdrant-console-login' } as const;
export type CookieName = keyof typeof COOKIES;

const HOST = '__Host-';

/** Its value in a request; `undefined` = none, or more than one. */
export function readCookie(request: ConsoleRequest, cookie: CookieName): string | undefined {
  const names = request.tls ? [`${HOST}${COOKIES[cookie]}`] : [`${HOST}${COOKIES[cookie]}`, COOKIES[cookie]];
  const pairs = headerValues(request.headers, 'cookie').flatMap((line) => line.split(';'));
  for (const name of names) {
    const found = pairs.flatMap((pair) => {
      const at = pair.indexOf('=');
      return at > 0 && pair.slice(0, at).trim() === name ? [pair.slice(at + 1).trim()] : [];
    });
    const [value] = found;
    if (value === undefined) continue;
    return found.length === 1 && value.length <= MAX_VALUE && /^[\w.-]+$/.test(value) ? value : undefined;
  }
  return undefined;
}

/** The line that sets it. @param secure the browser came over TLS */
export function setCookie(cookie: CookieName, value: string, seconds: number, secure: boolean): string {
  const name = secure ? `${HOST}${COOKIES[cookie]}` : COOKIES[cookie];
  // The answer of an identity provider is a navigation from its site.
  const site = cookie === 'login' ? 'Lax' : 'Strict';
  return `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=${site}${secure ? '; Secure' : ''}`;
}

/** The lines that remove it, under both names. */
export function clearCookie(cookie: CookieName): readonly string[] {
  return [setCookie(cookie, '', 0, true), setCookie(cookie, '', 0, false)];
}

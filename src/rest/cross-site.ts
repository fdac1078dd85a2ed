import type { Cors } from './cors.ts';
import { headerValues } from './exchange.ts';

/** A request as its browser would describe it. */
export interface Addressed {
  /** Name, value, name, value. */
  readonly headers: readonly string[];
  /** `Host` or `:authority`. */
  readonly host: string;
  readonly peer: { readonly scheme: 'http' | 'https' };
}

/** Values of `Sec-Fetch-Site` (Fetch Metadata, section 2.3) of requests that no other site has made. */
const OWN_SITE: ReadonlySet<string> = new Set(['same-origin', 'none']);

/** An origin leaves it out (RFC 6454, section 6.2). */
const DEFAULT_PORT = { http: /:80$/, https: /:443$/ } as const;

/**
 * Has a page of another origin made its browser send this request? A browser adds its client certificate to those. It sends
 * `Sec-Fetch-Site` with each request over TLS, and `Origin` with each that may change something. Clients that are no browsers send
 * neither. Only the origins that the operator lists are others that may.
 */
export function isCrossSite({ headers, host, peer }: Addressed, { current }: Cors): boolean {
  const origins = headerValues(headers, 'origin');
  if (origins.length > 0 && current && origins.every((origin) => current.lists(origin))) return false;
  const own = `${peer.scheme}://${host.toLowerCase().replace(DEFAULT_PORT[peer.scheme], '')}`;
  return (
    origins.some((origin) => origin !== own) ||
    headerValues(headers, 'sec-fetch-site').some((site) => !OWN_SITE.has(site))
  );
}

import { type ConsoleRequest, headerValues, oneHeader } from '../../exchange/console-request.ts';

/**
 * The header of the console's own requests. A page of another origin can only send it after a preflight, which is never answered
 * here: no form, no image, no script and no `fetch` without one carries it (Fetch, section 4.9).
 */
export const OWN_HEADER = 'x-qdrant-console';

/**
 * Why a request to the data is refused; `undefined` = a page of this origin sent it.
 *
 * INVARIANT: asked of every request that reads or changes data, before the session is looked at.
 */
export function crossSite(request: ConsoleRequest): string | undefined {
  if (oneHeader(request, OWN_HEADER) !== '1') return `the header \`${OWN_HEADER}: 1\` is needed`;
  return otherOrigin(request, request.method !== 'GET');
}

/**
 * Why a request does not come from this origin.
 *
 * @param needsOrigin true = without `Sec-Fetch-Site`, which browsers send over TLS and to loopback alone, it must have `Origin`
 */
export function otherOrigin(request: ConsoleRequest, needsOrigin: boolean): string | undefined {
  const sites = headerValues(request.headers, 'sec-fetch-site');
  if (sites.some((site) => site !== 'same-origin') || sites.length > 1) return 'sent by a page of another site';
  const origins = headerValues(request.headers, 'origin');
  const [origin] = origins;
  if (origin === undefined) return needsOrigin && sites.length === 0 ? 'the header `origin` is needed' : undefined;
  const own = request.host?.toLowerCase();
  const schemes = request.tls ? ['https'] : ['http', 'https']; // a proxy in front may end TLS
  const isOwn = own !== undefined && schemes.some((scheme) => sameOrigin(origin.toLowerCase(), scheme, own));
  return origins.length === 1 && isOwn ? undefined : 'sent by a page of another origin';
}

/** The port of a scheme is left out of an origin, and may stand in `Host`. */
function sameOrigin(origin: string, scheme: 'http' | 'https' | string, host: string): boolean {
  const port = scheme === 'https' ? ':443' : ':80';
  const bare = host.endsWith(port) ? host.slice(0, -port.length) : host;
  return origin === `${scheme}://${bare}`;
}

/** True = the browser came over TLS: to this listener, or to a proxy in front of it. */
export function isSecure(request: ConsoleRequest): boolean {
  return request.tls || (oneHeader(request, 'origin')?.toLowerCase().startsWith('https://') ?? false);
}

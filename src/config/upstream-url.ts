/** An upstream URL; the port is checked by `parseUpstreamUrl`. */
export const UPSTREAM_URL = /^(https?):\/\/(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+):([0-9]{1,5})\/?$/;

/** Address of an upstream. `host` has no brackets around an IPv6 address. */
export type UpstreamAddress = { readonly tls: boolean; readonly host: string; readonly port: number };

/**
 * Parses `http://host:port` or `https://host:port`; null for any other text. Not a URL class, which would normalise.
 */
export function parseUpstreamUrl(url: string): UpstreamAddress | null {
  const [, scheme, host, digits] = UPSTREAM_URL.exec(url) ?? [];
  const port = Number(digits);
  if (scheme === undefined || host === undefined || port < 1 || port > 65_535) return null;
  return { tls: scheme.toLowerCase() === 'https', host: host.replace(/^\[|\]$/g, ''), port };
}

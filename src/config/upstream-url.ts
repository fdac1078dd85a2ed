/** `unix:` and an absolute path in printable ASCII; a socket address of Linux holds 107 bytes of it. */
export const UNIX_ADDRESS = /^unix:(\/[!-~]{1,106})$/;

/** An upstream URL; the port is checked by `parseUpstreamUrl`. */
export const UPSTREAM_URL = /^((https?):\/\/(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+):([0-9]{1,5})\/?|unix:\/[!-~]{1,106})$/;

/**
 * Host and port of an upstream. `host` has no brackets around an IPv6 address. `serverName`: the name that its certificate has to
 * be for, where `host` is not it.
 */
export type NetworkAddress = {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly serverName?: string;
};

/** A unix socket, without TLS. `path` is absolute. */
export type UnixAddress = { readonly tls: false; readonly path: string };

/** Address of an upstream. */
export type UpstreamAddress = NetworkAddress | UnixAddress;

/**
 * Parses `http://host:port`, `https://host:port` or `unix:/path`; null for any other text. Not a URL class, which would
 * normalise.
 */
export function parseUpstreamUrl(url: string): UpstreamAddress | null {
  const path = parseUnixAddress(url);
  if (path !== null) return { tls: false, path };
  const [, , scheme, host, digits] = UPSTREAM_URL.exec(url) ?? [];
  const port = Number(digits);
  if (scheme === undefined || host === undefined || port < 1 || port > 65_535) return null;
  return { tls: scheme.toLowerCase() === 'https', host: host.replace(/^\[|\]$/g, ''), port };
}

/** The path in `unix:/path`; null for any other text. */
export function parseUnixAddress(text: string): string | null {
  return UNIX_ADDRESS.exec(text)?.[1] ?? null;
}

/** `host:port`, as in a `Host` field; `localhost` for a unix socket. */
export function authorityOf(address: UpstreamAddress): string {
  if ('path' in address) return 'localhost';
  const { host, port } = address;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

import type { Exchange } from '../exchange/exchange.ts';
import { isAddress } from './sinks/sockets.ts';

/** Trusted proxies for the client's address. */
export interface RemoteTrust {
  /** Number of proxies in front, each of which adds one entry; 0 = none. */
  readonly trustedProxies: number;
  /**
   * Upstream's setting: the first entry, without a check of its sender; `forwarded` takes precedence over
   * `x-forwarded-for`.
   */
  readonly trustForwardedHeaders: boolean;
}

/**
 * The client's address for the audit. With n trusted proxies it is the entry that the outermost of them wrote: the n-th
 * from the right, over all headers of the name. If that entry is missing or not an address, it is the address of the
 * peer.
 */
export function remoteOf({ headers, remote }: Pick<Exchange, 'headers' | 'remote'>, trust: RemoteTrust): string {
  const { trustedProxies, trustForwardedHeaders } = trust;
  if (trustedProxies === 0 && !trustForwardedHeaders) return remote;
  const entries = entriesOf(headers, 'x-forwarded-for');
  if (trustedProxies > 0) return addressOf(entries.at(-trustedProxies)) ?? remote;
  return addressOf(forParameter(entriesOf(headers, 'forwarded')[0])) ?? addressOf(entries[0]) ?? remote;
}

function entriesOf(headers: readonly string[], name: string): readonly string[] {
  const entries: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() === name) entries.push(...(headers[i + 1] ?? '').split(','));
  }
  return entries;
}

/** No two parts of it take the same blanks: many would take time that grows with their square. */
const FOR = /^(?:[^"]*;)?\s*for=(?:"([^";]*)"\s*|([^";]*))(?:;|$)/i;

/** `for=1.2.3.4;proto=http`, `For="[::1]:5"` (RFC 7239). */
function forParameter(element: string | undefined): string | undefined {
  const [, quoted, plain] = FOR.exec(element ?? '') ?? [];
  return quoted ?? plain;
}

/** `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]` or `[::1]:5`; `undefined` = any other form. */
function addressOf(entry: string | undefined): string | undefined {
  if (entry === undefined) return undefined;
  const text = entry.trim();
  const [, bracketed, dotted] = /^(?:\[([^\]]+)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? dotted ?? text;
  return isAddress(address) ? address : undefined;
}

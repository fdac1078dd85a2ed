import { LRUCache } from 'lru-cache';
import { CredentialGuessing } from '../limits/credential-guessing.ts';
import { clientNetworkOf } from '../limits/peer-address.ts';
import { AddressRanges, readAddress } from './addresses.ts';

/** The header in which proxies name the client of a request. */
export type ForwardedHeader = 'x-forwarded-for' | 'forwarded';

/** The proxies in front of the gateway: only they say which client a connection or a request comes from. */
export interface TrustedProxies {
  /** @param address of a peer */
  readonly has: (address: string) => boolean;
  /**
   * The client of one request that came from `address`, a trusted proxy: the right-most entry of the header that is no
   * trusted proxy. An entry that is no address says nothing about those to its left: the client is then the last one known.
   */
  readonly clientOf: (address: string, headers: readonly string[]) => string;
  /** The wrong credentials of a client that a proxy named: it has them wherever its requests come in. */
  readonly guessesOf: (client: string) => CredentialGuessing;
}

/** Clients whose wrong credentials are remembered; the least recently used is evicted first. */
const REMEMBERED = 10_000;

/** Most entries of the header that are looked at, which bounds the work of a client within the trusted ranges. */
const MOST_HOPS = 32;

const READERS: Readonly<Record<ForwardedHeader, (entry: string) => string | undefined>> = {
  'x-forwarded-for': nodeAddress,
  forwarded: forwardedFor,
};

/** @param entries as `AddressRanges` takes them @param header the one that these proxies write; the other is not read */
export function trustedProxies(entries: readonly string[], header: ForwardedHeader): TrustedProxies {
  const ranges = new AddressRanges(entries);
  const read = READERS[header];
  const guesses = new LRUCache<string, CredentialGuessing>({ max: REMEMBERED });
  return {
    has: (address) => ranges.has(address),
    clientOf(address, headers) {
      let client = address;
      for (const entry of entriesFromRight(headers, header)) {
        const named = read(entry);
        if (named === undefined) return client;
        client = named;
        if (!ranges.has(client)) return client;
      }
      return client;
    },
    guessesOf(client) {
      const network = clientNetworkOf(client);
      const known = guesses.get(network) ?? new CredentialGuessing();
      guesses.set(network, known);
      return known;
    },
  };
}

/** The entries of all headers of the name, the last one first. */
function* entriesFromRight(headers: readonly string[], name: ForwardedHeader): Generator<string> {
  let hops = 0;
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (headers[i]?.toLowerCase() !== name) continue;
    const value = headers[i + 1] ?? '';
    for (let end = value.length; end >= 0 && hops < MOST_HOPS; hops += 1) {
      const comma = end === 0 ? -1 : value.lastIndexOf(',', end - 1);
      yield value.slice(comma + 1, end);
      end = comma;
    }
  }
}

const PAIR = /^\s*([!#$%&'*+.^_`|~0-9a-z-]+)=(?:([!#$%&'*+.^_`|~0-9a-z:[\]-]+)|"((?:[^"\\]|\\.)*)")\s*$/i;

/**
 * The address in `for=` of one element (RFC 7239 section 4). Elements are cut at commas without a look at quotes: a piece of a
 * quoted text is no valid element, so it ends the search and names no client.
 */
function forwardedFor(element: string): string | undefined {
  let named: string | undefined;
  for (const pair of element.split(';')) {
    const [, name, token, quoted] = PAIR.exec(pair) ?? [];
    if (name === undefined) return undefined;
    if (name.toLowerCase() !== 'for') continue;
    if (named !== undefined) return undefined;
    named = token ?? quoted;
  }
  return named === undefined ? undefined : nodeAddress(named);
}

/** `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]` or `[::1]:5`; `undefined` = any other form. */
function nodeAddress(entry: string): string | undefined {
  const text = entry.trim();
  const [, bracketed, dotted] = /^(?:\[([^\]]+)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(text) ?? [];
  return readAddress(bracketed ?? dotted ?? text);
}

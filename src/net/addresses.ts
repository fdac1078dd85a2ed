import { BlockList, isIP, SocketAddress } from 'node:net';
import { plainAddress } from '../limits/peer-address.ts';

/** The address of a peer on a unix socket, which has none of its own; also the entry of `AddressRanges` for these peers. */
export const UNIX_PEER = 'unix:';

/** False = a peer on a unix socket, or one that has left. */
export function hasAddress(remote: string): boolean {
  return remote !== UNIX_PEER && remote !== '';
}

/** The node of a client in `x-forwarded-for`: its address, or `unknown` where it has none (RFC 7239 section 6.2). */
export function forwardedNode(remote: string): string {
  return hasAddress(remote) ? remote : 'unknown';
}

/**
 * An address in the one text that it has here: IPv6 in its shortest form without a zone, an IPv4 address within IPv6 as IPv4.
 * `undefined` = the text is no address.
 */
export function readAddress(text: string): string | undefined {
  const family = isIP(text);
  if (family === 4) return text;
  if (family === 0) return undefined;
  const [address = ''] = text.split('%', 1);
  return plainAddress(new SocketAddress({ address, family: 'ipv6' }).address);
}

/** Addresses and ranges of addresses. */
export class AddressRanges {
  readonly #ranges = new BlockList();
  readonly #unix: boolean;

  /** @param entries addresses, ranges as `10.0.0.0/8`, `unix:`; throws for any other text */
  constructor(entries: readonly string[]) {
    this.#unix = entries.includes(UNIX_PEER);
    for (const entry of entries) {
      if (entry === UNIX_PEER) continue;
      const [address = '', prefix] = entry.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#ranges.addAddress(address, family);
      else this.#ranges.addSubnet(address, Number(prefix), family);
    }
  }

  /** @param address of a peer, or `UNIX_PEER`; a zone counts for nothing, and a text that is no address is in no range */
  has(address: string): boolean {
    if (address === UNIX_PEER) return this.#unix;
    const known = readAddress(address);
    return known !== undefined && this.#ranges.check(known, known.includes(':') ? 'ipv6' : 'ipv4');
  }
}

import type { Socket } from 'node:net';

/** Prefix of an IPv4 address on a dual-stack socket (RFC 4291 section 2.5.5.2). */
const MAPPED = '::ffff:';

/** An IPv4 address as such, also where it is mapped into IPv6. */
export function plainAddress(address: string): string {
  return address.startsWith(MAPPED) ? address.slice(MAPPED.length) : address;
}

/** The peer's address; empty once the socket is closed. */
export function remoteOf(socket: Socket): string {
  return plainAddress(socket.remoteAddress ?? '');
}

/** The network that counts as one client: an IPv4 address, also an IPv4-mapped one, or an IPv6 /64. */
export function clientNetworkOf(address: string): string {
  const plain = plainAddress(address);
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.split('::', 2);
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeroes = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  return [...front, ...Array<string>(zeroes).fill('0'), ...back].slice(0, 4).join(':');
}

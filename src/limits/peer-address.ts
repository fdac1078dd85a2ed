import type { Socket } from 'node:net';

/** How an IPv4 client shows on a socket that listens for IPv6, too. */
const MAPPED = '::ffff:';

/** An IPv4 address as such, also where it is mapped into IPv6. */
export function plainAddress(address: string): string {
  return address.startsWith(MAPPED) ? address.slice(MAPPED.length) : address;
}

/** The address of who is at the other end; empty once the connection is gone. */
export function remoteOf(socket: Socket): string {
  return plainAddress(socket.remoteAddress ?? '');
}

/** What one client is taken to have: an IPv4 address, also one mapped into IPv6, or an IPv6 network of 64 bits. */
export function clientNetworkOf(address: string): string {
  const plain = plainAddress(address);
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.split('::', 2);
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeroes = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  return [...front, ...Array<string>(zeroes).fill('0'), ...back].slice(0, 4).join(':');
}

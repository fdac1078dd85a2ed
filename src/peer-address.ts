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

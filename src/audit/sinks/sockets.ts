import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { closeSync, constants, openSync } from 'node:fs';
import { connect, isIP, isIPv6, Socket } from 'node:net';

/* The sockets of the audit, opened here and nowhere else. */

/**
 * A stream that writes to a pipe or socket this process has been given, and never blocks it.
 *
 * A pipe is opened anew: whether it blocks belongs to the opening, which processes share.
 */
export function openPipe(fd: number): Socket {
  let own: number;
  try {
    own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // A socket cannot be opened anew, and not every system has the folder.
    return new Socket({ fd, readable: false, writable: true });
  }
  try {
    return new Socket({ fd: own, readable: false, writable: true });
  } catch (error) {
    closeSync(own);
    throw error;
  }
}

/** A TCP connection that is being made; what comes on it is thrown away. */
export function openTcp(host: string, port: number): Socket {
  const socket = connect({ host, port, noDelay: true, keepAlive: true });
  socket.resume();
  return socket;
}

/** A UDP socket that knows its receiver, so that it hears when nobody listens there. */
export async function openUdp(host: string, port: number): Promise<DatagramSocket> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('error', reject);
  socket.connect(port, host, () => resolve());
  try {
    await promise;
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.off('error', reject);
  // What a send hears comes back with that send.
  socket.on('error', () => undefined);
  return socket.unref();
}

/** Is this an IPv4 or IPv6 address, without a port? */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0;
}

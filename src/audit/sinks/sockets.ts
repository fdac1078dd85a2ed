import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { closeSync, constants, openSync } from 'node:fs';
import { connect, isIP, isIPv6, Socket } from 'node:net';

/* The audit's only owner of sockets. */

/**
 * A stream to an inherited pipe or socket that never blocks this process.
 *
 * A pipe is reopened: blocking is a property of the open file description, which processes share.
 */
export function openPipe(fd: number): Socket {
  let own: number;
  try {
    own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // A socket cannot be reopened, and not every system has /proc/self/fd.
    return new Socket({ fd, readable: false, writable: true });
  }
  try {
    return new Socket({ fd: own, readable: false, writable: true });
  } catch (error) {
    closeSync(own);
    throw error;
  }
}

/** Opens a TCP connection. Received bytes are discarded. */
export function openTcp(host: string, port: number): Socket {
  const socket = connect({ host, port, noDelay: true, keepAlive: true });
  socket.resume();
  return socket;
}

/** A connected UDP socket, so that a missing receiver is reported (ICMP). */
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
  // Errors of a send are reported by that send.
  socket.on('error', () => undefined);
  return socket.unref();
}

/** True = an IPv4 or IPv6 address without a port. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0;
}

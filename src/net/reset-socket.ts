import type { Socket } from 'node:net';

/** Ends a connection so that its peer sees a fault and not an end. A unix socket, and one that is closed, is only destroyed. */
export function resetSocket(socket: Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

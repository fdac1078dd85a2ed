import type { Server, Socket } from 'node:net';

/** Milliseconds between looks at what is still open. */
const LOOK_MS = 20;

/**
 * Takes nothing new; resolves once nothing is open any more.
 *
 * @param shared the port belongs to several processes (`node:cluster`), and another one hands connections over: one that
 *   arrives when the listener is closed already would be left hanging, so the listener ends what comes until it is idle
 */
export function closeListener(server: Server, shared: boolean): Promise<void> {
  if (!shared) return close(server);
  server.removeAllListeners('connection').on('connection', (socket: Socket) => socket.destroy());
  return new Promise((resolve) => {
    const look = setInterval(() => {
      server.getConnections((error, open) => {
        if (!error && open > 0) return;
        clearInterval(look);
        close(server).then(resolve);
      });
    }, LOOK_MS);
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

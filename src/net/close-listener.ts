import type { Server, Socket } from 'node:net';
import { Guard } from '../lifetime/guard.ts';

/** Milliseconds between checks for open connections. */
const LOOK_MS = 20;

/**
 * Stops accepting connections; resolves once all of them are closed.
 *
 * @param shared the port belongs to several processes (`node:cluster`), and another one hands connections over: one that
 *   arrives when the listener is closed already would be left hanging, so the listener ends what comes until it is idle
 */
export async function closeListener(server: Server, shared: boolean): Promise<void> {
  if (shared) await idle(server);
  await awaited((guard, done) => void server.close(guard.entry(() => done())));
}

function idle(server: Server): Promise<void> {
  return awaited((guard, done) => {
    const cut = guard.entry((socket: Socket) => void socket.destroy());
    server.removeAllListeners('connection').on('connection', cut);
    const look = guard.every(LOOK_MS, () => {
      const count = guard.entry((error: Error | null, open: number) => {
        if (!error && open > 0) return;
        clearInterval(look);
        done();
      });
      server.getConnections(count);
    });
  });
}

/** Resolves when `done` is called. An exception before that rejects; the caller reports it. */
function awaited(begin: (guard: Guard, done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    begin(new Guard({ fail: reject, cut: ignore }, 'rest_listener', ignore), resolve);
  });
}

function ignore(): void {}

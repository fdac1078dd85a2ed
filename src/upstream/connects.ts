import { Guard } from '../lifetime/guard.ts';
import { openSocket, type SocketAddress, type SocketOptions } from './sockets.ts';

/** Time limit of one try, in milliseconds. */
const PATIENCE_MS = 1_500;

/** Opens a connection and closes it, without a request. The failure; `undefined` = it was opened. Never rejects. */
export function connects(
  address: SocketAddress,
  options: SocketOptions,
): Promise<'unreachable' | 'timeout' | undefined> {
  return new Promise((resolve) => {
    const owner = { fail: () => resolve('unreachable'), cut: () => undefined };
    openSocket(
      address,
      {
        ...options,
        ca: options.ca,
        identity: options.identity,
        connectTimeoutMs: Math.min(PATIENCE_MS, options.connectTimeoutMs),
      },
      {
        guard: new Guard(owner, 'rest_upstream', () => undefined),
        opened: (socket) => {
          socket.destroy();
          resolve(undefined);
        },
        failed: (reason) => resolve(reason),
      },
    );
  });
}

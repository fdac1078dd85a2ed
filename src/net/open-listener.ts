import type { Server } from 'node:net';
import { Guard } from '../lifetime/guard.ts';

/** Address of a listener. */
export interface ListenerAddress {
  readonly host: string;
  readonly port: number;
}

/** Listens and resolves with the address; port 0 = any free port. Rejects when the port cannot be bound. */
export function openListener(
  server: Server,
  { host, port }: ListenerAddress,
  more: { readonly backlog?: number } = {},
): Promise<ListenerAddress> {
  return new Promise((resolve, reject) => {
    // An exception here rejects the promise; the caller reports it.
    const guard = new Guard({ fail: reject, cut: ignore }, 'rest_listener', ignore);
    const failed = guard.entry((error: Error) => reject(error));
    const opened = guard.entry(() => {
      server.off('error', failed);
      // Accepting can fail for want of descriptors; the listener goes on.
      server.on('error', ignore);
      resolve(addressOf(server));
    });
    server.once('error', failed);
    server.listen({ host, port, ...more }, opened);
  });
}

function addressOf(server: Server): ListenerAddress {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the listener has no network address');
  return { host: address.address, port: address.port };
}

function ignore(): void {}

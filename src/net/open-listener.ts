import type { Server } from 'node:net';
import { Guard } from '../lifetime/guard.ts';

/** Where a listener listens. */
export interface ListenerAddress {
  readonly host: string;
  readonly port: number;
}

/** Listens, and tells where; port 0 takes a free one. Rejects when the port cannot be had. */
export function openListener(
  server: Server,
  { host, port }: ListenerAddress,
  more: { readonly backlog?: number } = {},
): Promise<ListenerAddress> {
  return new Promise((resolve, reject) => {
    // What goes wrong here is the rejection, which is reported where that is waited for.
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

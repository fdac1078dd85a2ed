import { chmodSync } from 'node:fs';
import type { Server } from 'node:net';
import { Guard } from '../lifetime/guard.ts';

/** Address of a listener: of a unix socket the host is `unix:` with its path, and the port 0. */
export interface ListenerAddress {
  readonly host: string;
  readonly port: number;
}

/** Where to listen; port 0 = any free port. */
export interface ListenAt extends ListenerAddress {
  /** A unix socket in place of host and port, with its permission bits. Default: none. */
  readonly unix?: { readonly path: string; readonly mode: number } | undefined;
}

/** Listens and resolves with the address. Rejects when it cannot be bound. Node removes a unix socket when it is closed. */
export function openListener(
  server: Server,
  { host, port, unix }: ListenAt,
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
      // Until then the umask of the process holds, which lets its user connect at most.
      if (unix) chmodSync(unix.path, unix.mode);
      resolve(unix ? { host: `unix:${unix.path}`, port: 0 } : addressOf(server));
    });
    server.once('error', failed);
    server.listen({ ...(unix ? { path: unix.path } : { host, port }), ...more }, opened);
  });
}

function addressOf(server: Server): ListenerAddress {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the listener has no network address');
  return { host: address.address, port: address.port };
}

function ignore(): void {}

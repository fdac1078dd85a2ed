import type { Server } from 'node:net';

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
    server.once('error', reject);
    server.listen({ host, port, ...more }, () => {
      server.off('error', reject);
      // Accepting can fail for want of descriptors; the listener goes on.
      server.on('error', () => undefined);
      resolve(addressOf(server));
    });
  });
}

function addressOf(server: Server): ListenerAddress {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the listener has no network address');
  return { host: address.address, port: address.port };
}

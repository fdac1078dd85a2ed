import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';

/** What a load is aimed at. `credential` is the value of the `api-key` header. */
export type Target = {
  readonly port: number;
  readonly ca: Buffer;
  readonly credential: string;
};

/** A place for one request at a time, on a connection that is open. */
export interface Slot {
  /** Sends the next request. Not again before its answer is in. */
  send(): void;
}

/** What happens to clients. */
export interface ClientEvents {
  /** An answer is in; `fault` says what is wrong with it. The slot may send again. */
  readonly answered: (slot: Slot, fault: string | null) => void;
  /** A connection is gone with everything that was open on it. */
  readonly lost: (why: string) => void;
}

/** Open connections with slots to send on. */
export interface Clients {
  readonly slots: readonly Slot[];
  /** Says who is told; before the first request. */
  listen(events: ClientEvents): void;
  /** Ends all connections; nothing is told any more. */
  close(): void;
}

/** Where clients tell what happens, until they are closed. */
export class Told {
  events: ClientEvents = { answered: () => undefined, lost: () => undefined };
}

const MOST_HANDSHAKES = 64;

/** One cipher suite and one curve for every client connection, so that no gateway is measured on cheaper ones. */
const CLIENT_TLS = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256', ecdhCurve: 'X25519' } as const;

/** The TLS side of all connections to a target. */
export function secureContextOf({ ca }: Pick<Target, 'ca'>): SecureContext {
  return createSecureContext({ ...CLIENT_TLS, ca });
}

/** Opens one TLS connection. Rejects when it fails or the protocol is not agreed on. @param session to be resumed; default: none is */
export function openConnection(
  port: number,
  secureContext: SecureContext,
  alpn: string | null,
  session?: Buffer,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const offered = alpn === null ? {} : { ALPNProtocols: [alpn] };
    const known = session === undefined ? {} : { session };
    const socket = connect({ secureContext, ...offered, ...known, host: '127.0.0.1', servername: 'localhost', port });
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.removeListener('error', reject);
      if (alpn === null || socket.alpnProtocol === alpn) resolve(socket);
      else reject(new Error(`\`${alpn}\` was not agreed on`));
    });
  });
}

/** Opens TLS connections to a target, some at a time; rejects when one of them fails. */
export async function openConnections(target: Target, count: number, alpn: string | null): Promise<TLSSocket[]> {
  const context = secureContextOf(target);
  const sockets: TLSSocket[] = [];
  while (sockets.length < count) {
    const batch = Math.min(MOST_HANDSHAKES, count - sockets.length);
    const opened = Array.from({ length: batch }, () => openConnection(target.port, context, alpn));
    sockets.push(...(await Promise.all(opened)));
  }
  return sockets;
}

/** Clients over open connections; `slotsOn` makes the slots of one. A lost connection is told until they are closed. */
export function clientsOn(sockets: readonly TLSSocket[], told: Told, slotsOn: (socket: TLSSocket) => Slot[]): Clients {
  let closing = false;
  for (const socket of sockets) {
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (!closing) told.events.lost('a connection was closed');
    });
  }
  return {
    slots: sockets.flatMap(slotsOn),
    listen: (events) => {
      told.events = events;
    },
    close: () => {
      closing = true;
      told.events = { answered: () => undefined, lost: () => undefined };
      for (const socket of sockets) socket.destroy();
    },
  };
}

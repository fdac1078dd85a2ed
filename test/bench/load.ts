import { connect, type TLSSocket } from 'node:tls';

/** What a load is aimed at. `credential` is the value of the `api-key` header. */
export type Target = {
  readonly port: number;
  readonly ca: Buffer;
  readonly credential: string;
};

/** A load that runs until it is closed. Counters only grow; each request in flight is sent after the answer before it. */
export interface Load {
  /** Requests answered as they must be. */
  readonly completed: number;
  /** Requests answered otherwise, and connections lost. */
  readonly failed: number;
  /** What went wrong first; null while nothing has. */
  readonly firstFailure: string | null;
  /** Ends all connections. */
  close(): void;
}

/** The counters of a load. */
export class Tally {
  completed = 0;
  failed = 0;
  firstFailure: string | null = null;

  /** Counts a failure; the first one is kept as text. */
  fail(what: string): void {
    this.failed++;
    this.firstFailure ??= what;
  }
}

/** One cipher suite for every client connection, so that no gateway is measured on a cheaper one. */
const CLIENT_TLS = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256', servername: 'localhost' } as const;

function openConnection({ port, ca }: Target, alpn: string | null): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const offered = alpn === null ? {} : { ALPNProtocols: [alpn] };
    const socket = connect({ ...CLIENT_TLS, ...offered, host: '127.0.0.1', port, ca });
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.removeListener('error', reject);
      if (alpn === null || socket.alpnProtocol === alpn) resolve(socket);
      else reject(new Error(`\`${alpn}\` was not agreed on`));
    });
  });
}

/** Opens TLS connections to a target; rejects when one of them fails or does not agree on the protocol. */
export function openConnections(target: Target, count: number, alpn: string | null): Promise<TLSSocket[]> {
  return Promise.all(Array.from({ length: count }, () => openConnection(target, alpn)));
}

/** Calls `drive` for each connection and counts lost ones as failures, until the load is closed. */
export function loadOn(sockets: readonly TLSSocket[], tally: Tally, drive: (socket: TLSSocket) => void): Load {
  let closing = false;
  for (const socket of sockets) {
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (!closing) tally.fail('a connection was closed');
    });
    drive(socket);
  }
  const close = (): void => {
    closing = true;
    for (const socket of sockets) socket.destroy();
  };
  return Object.assign(tally, { close });
}

import type { Socket } from 'node:net';
import { clientNetworkOf } from '../limits/peer-address.ts';

/** An open connection. */
interface Admitted {
  readonly socket: Socket;
  readonly network: string;
  /** Open requests with the token. */
  trusted: number;
}

/**
 * The connections of the admin port. A full port does not refuse a new connection, or clients that send nothing would keep probes
 * and operators out: it ends an old one, without an open request that carries the token, of the network with most of them. Of
 * these it is the one that was opened, or began a request, longest ago.
 */
export class AdmittedConnections {
  readonly #most: number;
  /** By the client's address and port, the oldest first. */
  readonly #open = new Map<string, Admitted>();

  /** @param most connections at once */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#open.size;
  }

  /** A new connection: it is ended at once only if every other one has an open request with the token. */
  admit(socket: Socket): void {
    const key = keyOf(socket);
    if (key === undefined || (this.#open.size >= this.#most && !this.#makeRoom())) {
      socket.destroy();
      return;
    }
    const admitted = { socket, network: clientNetworkOf(socket.remoteAddress ?? ''), trusted: 0 };
    this.#open.set(key, admitted);
    socket.once('close', () => {
      if (this.#open.get(key) === admitted) this.#open.delete(key);
    });
  }

  /** A request began on it. With TLS the socket is another one, of the same client. */
  began(socket: Socket): void {
    const key = keyOf(socket);
    const admitted = key === undefined ? undefined : this.#open.get(key);
    if (key === undefined || !admitted) return;
    this.#open.delete(key);
    this.#open.set(key, admitted);
  }

  /** Its open request carries the token. Returns what to call, once, at the end of the request. */
  trust(socket: Socket): () => void {
    const key = keyOf(socket);
    const admitted = key === undefined ? undefined : this.#open.get(key);
    if (!admitted) return ignore;
    admitted.trusted += 1;
    return () => {
      admitted.trusted -= 1;
    };
  }

  #makeRoom(): boolean {
    const counts = new Map<string, number>();
    for (const { network, trusted } of this.#open.values()) {
      if (trusted === 0) counts.set(network, (counts.get(network) ?? 0) + 1);
    }
    const most = Math.max(0, ...counts.values());
    for (const [key, { socket, network, trusted }] of this.#open) {
      if (trusted > 0 || counts.get(network) !== most) continue;
      this.#open.delete(key);
      socket.destroy();
      return true;
    }
    return false;
  }
}

/** One connection of a client to this port; `undefined` = it has gone. */
function keyOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort}`;
}

function ignore(): void {}

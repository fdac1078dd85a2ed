import type { Socket } from 'node:net';
import { type FaultReport, Guard } from '../lifetime/guard.ts';
import { clientAddressOf } from './client-address.ts';

/** One client connection. */
export interface ClientConnection {
  readonly remote: string;
  readonly protocol: 'http/1.1' | 'http/2' | 'grpc';
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Number of requests so far, and of open ones. */
  readonly requests: number;
  readonly open: number;
  /** TLS version, `undefined` without TLS. */
  readonly tls: string | undefined;
}

const PROXY_FAULTS = ['proxy_header', 'proxy_untrusted'] as const;

/**
 * Client faults that are refused without an exchange, or that end the connection. The complete list per protocol.
 * - `not_tls`, `not_http2`: another protocol than the port's
 * - `handshake_size`: it sent more certificates than a handshake may have
 * - `tls_records`: its records of TLS carry next to nothing, such as KeyUpdates one after the other
 * - `head`: the head of a request is malformed or ambiguous; `head_size`: it is too large, or (HTTP/2) finds no
 *   room beside those of the connection's open streams
 * - `body`: the bytes after the head of a request are not a valid body
 * - `timeout`: no complete head, or no byte at all, in time
 * - `stream`: HTTP/2, one stream was reset for it; `connection`: the whole connection ended for it
 * - `flood`: HTTP/2, frames that cost more than they carry
 * - `proxy_header`: a trusted proxy sent a malformed PROXY header, or none although one is required; `proxy_untrusted`: a
 *   peer that is no trusted proxy sent one
 * - `preflight`: a CORS preflight for a method that upstream does not allow, or of an origin that is not allowed
 *
 * Used as `code` of a log line and `fault` of a metric.
 */
export const CLIENT_FAULTS = {
  rest: [
    ...(['not_tls', 'handshake_size', 'tls_records', 'head', 'head_size', 'body', 'timeout'] as const),
    ...(['stream', 'connection', 'flood', 'preflight'] as const),
    ...PROXY_FAULTS,
  ],
  grpc: [
    ...(['not_tls', 'handshake_size', 'tls_records', 'not_http2', 'head_size', 'timeout'] as const),
    ...(['stream', 'connection', 'flood'] as const),
    ...PROXY_FAULTS,
  ],
} as const;

export type ClientFault = (typeof CLIENT_FAULTS)['rest' | 'grpc'][number];

/** Connections of one listener since it was opened. */
export interface ConnectionCounts {
  readonly accepted: number;
  readonly open: number;
  /** Over the limit. */
  readonly refused: number;
  readonly failedHandshakes: number;
  readonly faults: Readonly<Partial<Record<ClientFault, number>>>;
}

/** The connections of one listener: counters, and a list for the admin port. */
export class Connections {
  #accepted = 0;
  #open = 0;
  #refused = 0;
  #failedHandshakes = 0;
  readonly #faults: Partial<Record<ClientFault, number>> = {};
  readonly #faulted: (fault: ClientFault, remote?: string) => void;
  readonly #clients = new Set<ClientConnection>();
  /** An exception while counting ends no connection. */
  readonly #guard: Guard;

  /** @param report called with internal errors @param faulted called with each client fault. Must not throw */
  constructor(report: FaultReport, faulted: (fault: ClientFault, remote?: string) => void = ignore) {
    this.#faulted = faulted;
    this.#guard = new Guard({ fail: ignore, cut: ignore }, 'rest_listener', report);
  }

  /** Counts an accepted connection; `closed` follows. */
  accepted(): void {
    this.#accepted += 1;
    this.#open += 1;
  }

  closed(): void {
    this.#open -= 1;
  }

  refused(): void {
    this.#refused += 1;
  }

  failedHandshake(): void {
    this.#failedHandshakes += 1;
  }

  /** Counts a client fault. @param remote the peer's address where the fault is about it */
  readonly fault = (fault: ClientFault, remote?: string): void => {
    this.#faults[fault] = (this.#faults[fault] ?? 0) + 1;
    this.#faulted(fault, remote);
  };

  /** Lists a connection in use until its socket closes. */
  list(client: ClientConnection, socket: Socket): void {
    this.#clients.add(client);
    socket.on(
      'close',
      this.#guard.entry(() => void this.#clients.delete(client)),
    );
  }

  counts(): ConnectionCounts {
    return {
      accepted: this.#accepted,
      open: this.#open,
      refused: this.#refused,
      failedHandshakes: this.#failedHandshakes,
      faults: { ...this.#faults },
    };
  }

  /** Requests that are open. */
  inFlight(): number {
    let open = 0;
    for (const client of this.#clients) open += client.open;
    return open;
  }

  /** The first `max` connections in use, oldest first, as plain data; and their total. */
  listed(max: number): { readonly total: number; readonly connections: readonly ClientConnection[] } {
    const connections: ClientConnection[] = [];
    for (const { remote, protocol, since, requests, open, tls } of this.#clients) {
      if (connections.length >= max) break;
      connections.push({ remote, protocol, since, requests, open, tls });
    }
    return { total: this.#clients.size, connections };
  }
}

/** A connection whose requests are counted by its transport. */
export class CountedClient implements ClientConnection {
  readonly remote: string;
  readonly since: number;
  readonly tls: string | undefined;
  readonly protocol: 'http/1.1' | 'http/2';
  requests = 0;
  open = 0;

  constructor(socket: Socket, now: number) {
    this.remote = clientAddressOf(socket).address;
    this.since = now;
    this.tls = tlsVersion(socket);
    this.protocol = 'alpnProtocol' in socket && socket.alpnProtocol === 'h2' ? 'http/2' : 'http/1.1';
  }

  begun(): void {
    this.requests += 1;
    this.open += 1;
  }

  ended(): void {
    this.open -= 1;
  }

  /** Removes one request from the count: another transport handles and counts it. */
  handedOver(): void {
    this.requests -= 1;
    this.open -= 1;
  }
}

/** `TLSv1.3`, for example; `undefined` without TLS. */
export function tlsVersion(socket: Socket): string | undefined {
  if (!('getProtocol' in socket) || typeof socket.getProtocol !== 'function') return undefined;
  const version: unknown = socket.getProtocol();
  return typeof version === 'string' ? version : undefined;
}

function ignore(): void {}

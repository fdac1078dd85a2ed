import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { CredentialGuessing } from '../limits/credential-guessing.ts';
import { remoteOf } from '../limits/peer-address.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

/**
 * The client of a connection, for everything that asks who it is: limits, audit, log, metrics, upstream. A proxy's connection
 * carries the requests of many clients, so a request asks `clientOf`.
 */
export interface ClientAddress {
  /** The peer's address, or the one that a trusted proxy gave for it in a PROXY header. Empty once the socket is closed. */
  readonly address: string;
  /** Set if `address` is a trusted proxy: its requests name their clients. */
  readonly proxies: TrustedProxies | undefined;
}

/** Connections whose client is another than their peer, or that requests name it on. Others have no entry. */
const noted = new WeakMap<object, ClientAddress>();
const carriers = new WeakMap<object, Socket>();

/** Keeps the client of a connection, as it was found when the connection was accepted. */
export function noteClient(socket: Socket, client: ClientAddress): void {
  noted.set(socket, client);
}

/** A TLS connection has the client of the connection that carries it. To be called once its handshake is done. */
export function inheritClient(socket: TLSSocket): void {
  const client = noted.get(carrierOf(socket) ?? socket);
  if (client) noted.set(socket, client);
}

/** Keeps the connection below a TLS connection whose bytes pass through JavaScript, and its client: Node knows neither. */
export function noteCarrier(socket: TLSSocket, carrier: Socket): void {
  carriers.set(socket, carrier);
  noted.set(socket, clientAddressOf(carrier));
}

/** The client of a connection. */
export function clientAddressOf(socket: Socket): ClientAddress {
  return noted.get(socket) ?? { address: remoteOf(socket), proxies: undefined };
}

/** The client of one request. @param headers name, value, name, value */
export function clientOf({ address, proxies }: ClientAddress, headers: readonly string[]): string {
  return proxies === undefined ? address : proxies.clientOf(address, headers);
}

/**
 * The wrong credentials that count for one request: those of its connection, or of the client that a proxy named.
 *
 * @param remote the client of the request @param own those of the connection
 */
export function guessesFor(
  { address, proxies }: ClientAddress,
  remote: string,
  own: CredentialGuessing,
): CredentialGuessing {
  return proxies === undefined || remote === address ? own : proxies.guessesOf(remote);
}

/** The socket below TLS. Node keeps it under this name only (`lib/_tls_wrap.js`); a test holds that it still does. */
export function carrierOf(socket: object): object | undefined {
  const carrier = carriers.get(socket);
  if (carrier) return carrier;
  const parent: unknown = '_parent' in socket ? socket._parent : undefined;
  return typeof parent === 'object' && parent !== null ? parent : undefined;
}

import type { Socket } from 'node:net';
import { certificateOn, type PresentedCertificate } from '../identity/certificates/presented.ts';
import type { Guard } from '../lifetime/guard.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { type Standing, standingOf } from '../lifetime/standing.ts';
import { type ClientAddress, clientAddressOf } from '../net/client-address.ts';
import type { HeldBody } from './body/held-body.ts';
import type { ClientRequest, ClientResponse, ClientStream } from './message.ts';
import type { RestRequest } from './request.ts';

/** The connection a request came on: its client, and how it came. */
export interface Peer extends ClientAddress {
  /** `https` where the listener ended TLS. */
  readonly scheme: 'http' | 'https';
  /** The client certificate, if the listener asks for one as an identity. */
  readonly certificate?: PresentedCertificate | undefined;
  readonly standing: Standing;
}

const peers = new WeakMap<Socket, Peer>();

/** The peer of a connection. */
export function peerOn(socket: Socket): Peer {
  const known = peers.get(socket);
  if (known) return known;
  const peer = newPeer(socket);
  peers.set(socket, peer);
  return peer;
}

function newPeer(socket: Socket): Peer {
  const { address, proxies } = clientAddressOf(socket);
  const scheme = 'encrypted' in socket ? 'https' : 'http';
  return { address, proxies, scheme, certificate: certificateOn(socket), standing: standingOf(socket) };
}

/** One REST request and its response, carried by the server transport. */
export interface RestExchange extends RestRequest {
  readonly request: ClientRequest;
  readonly response: ClientResponse;
  /** HTTP/2 only. */
  readonly stream: ClientStream | undefined;
  /** Sends the head of the answer; see `writeHead`. */
  readonly sendHead: (status: number, headers: readonly string[], ends: boolean) => void;
  /** Ends when the answer is complete or the client has left. Everything that has to be given back then hangs on it. */
  readonly life: Lifetime;
  /** Wraps every callback of this exchange. An exception denies it. */
  readonly guard: Guard;
  readonly method: string;
  /** Name, value, name, value, in order, without HTTP/2's pseudo-headers. */
  readonly headers: readonly string[];
  /** `Host` or `:authority`; empty = none. */
  readonly host: string;
  readonly peer: Peer;
  /** The client waits for `100 Continue` before it sends its body. */
  readonly awaitsContinue: boolean;
  /** The body as it came, once it had to be read whole. */
  body: HeldBody | undefined;
  /** Reads the body from the client. INVARIANT: nothing else does before it has been stopped. */
  upload: { readonly stop: () => void } | undefined;
  /** Levels that the body may nest, where it is measured while it passes. */
  measuredTo: number | undefined;
  /** Bytes of the request body and of the answer's body so far. */
  received: number;
  sent: number;
  /** The answer's head has been written or the client has left: there is nothing more to say. */
  answered: boolean;
}

/** All values of a header, in order. `name` is in lower case. */
export function headerValues(headers: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const candidate = headers[i] ?? '';
    if (candidate.length === name.length && candidate.toLowerCase() === name) values.push(headers[i + 1] ?? '');
  }
  return values;
}

/** Is this exchange carried by HTTP/2? */
export function isHttp2(exchange: RestExchange): boolean {
  return exchange.stream !== undefined;
}

import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from 'node:tls';
import { type ClientTrust, Handshakes } from '../identity/certificates/handshakes.ts';
import { Guard } from '../lifetime/guard.ts';
import { HandshakeBudget } from '../limits/handshake-budget.ts';
import { carrierOf, inheritClient } from '../net/client-address.ts';
import { closeListener } from '../net/close-listener.ts';
import { type ClientConnection, type Connections, tlsVersion } from '../net/connections.ts';
import { identifyClient, type ProxiesInFront } from '../net/identify-client.ts';
import { type ListenAt, openListener } from '../net/open-listener.ts';
import { preferring } from '../net/tls/alpn.ts';
import { readingTls } from '../net/tls/reading.ts';
import { type BeginHandshake, sniffTls } from '../net/tls-sniff.ts';
import type { GrpcRelayOptions } from './relay/options.ts';
import { GrpcRelay } from './relay/relay.ts';

/** Milliseconds between checks for idle connections and calls. */
const TICK_MS = 1000;

export interface GrpcListenerOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** In place of host and port. Default: none. */
  readonly unix?: ListenAt['unix'];
  /** `undefined` = cleartext (HTTP/2 with prior knowledge). ALPN is set here. */
  readonly tls: TlsOptions | undefined;
  /** True = several processes listen on the port. */
  readonly shared: boolean;
  readonly relay: Omit<GrpcRelayOptions, 'tls'>;
  /** The trusted proxies. Default: none is. */
  readonly proxies?: ProxiesInFront | undefined;
  /** Set if client certificates are identities. */
  readonly clientTrust?: ClientTrust | undefined;
  /** The observer of connections; optional. */
  readonly connections?: Connections;
}

export interface GrpcListener {
  readonly address: { readonly host: string; readonly port: number };
  /** Replaces the certificates for new connections. Throws and keeps the old ones if they cannot be used. */
  setSecureContext(options: TlsOptions): void;
  /** Replaces the keys of session tickets. Without TLS it does nothing. @param keys 48 bytes */
  setTicketKeys(keys: Buffer): void;
  /** Goes on as before, and asks the connections that are open to move, by GOAWAY. */
  depart(): void;
  /** Stops accepting connections and calls; open calls have `graceMs` to finish. */
  close(graceMs: number): Promise<void>;
}

/** Socket, TLS and ALPN for gRPC: one relay per connection. Rejects if the port is not available. */
export async function createGrpcListener(options: GrpcListenerOptions): Promise<GrpcListener> {
  const relays = new Set<GrpcRelay>();
  const { connections } = options;
  const relay: GrpcRelayOptions = { ...options.relay, tls: options.tls !== undefined, connections };
  /** Guards the way to a relay: an exception ends only its own connection. */
  const guarded = (socket: Socket | undefined): Guard => {
    const cut = (): void => void socket?.destroy();
    return new Guard({ fail: cut, cut }, 'grpc_listener', (error, place) =>
      options.relay.parts.fault(error, undefined, place),
    );
  };
  const own = guarded(undefined);
  const accept = (socket: Socket): void =>
    guarded(socket).run(() => {
      const one = new GrpcRelay(socket, relay, (closed) => relays.delete(closed));
      relays.add(one);
      options.connections?.list(clientOf(one, socket), socket);
    });
  const tls = options.tls ? openTls(options, options.tls, { guard: own, accept }) : undefined;
  const { scheduler, limits } = options.relay;
  const server = createServer({ noDelay: true });
  const begin = (socket: Socket): void => {
    connections?.accepted();
    const guard = guarded(socket);
    socket.on(
      'error',
      guard.entry(() => void socket.destroy()),
    );
    socket.on(
      'close',
      guard.entry(() => connections?.closed()),
    );
    const sniffing = { timeoutMs: limits.tls_handshake_timeout_ms, scheduler, faulted: connections?.fault, guard };
    identifyClient(socket, { ...sniffing, proxies: options.proxies, unix: options.unix !== undefined }, () => {
      if (tls) sniffTls(socket, tls.begin, sniffing);
      else accept(socket);
    });
  };
  server.on(
    'connection',
    own.entry((socket: Socket) => guarded(socket).run(() => begin(socket))),
  );
  server.maxConnections = limits.max_connections;
  server.on(
    'drop',
    own.entry(() => options.connections?.refused()),
  );
  tls?.server.on(
    'tlsClientError',
    own.entry(() => options.connections?.failedHandshake()),
  );
  const address = await openListener(server, options, { backlog: 4096 });
  // A guard per relay: a fault of one does not stop the checks of the others.
  const ticker = own.every(TICK_MS, () => {
    const now = options.relay.clock();
    for (const one of relays) one.tick(now);
  });
  ticker.unref();
  return {
    address,
    setSecureContext: (context) => tls?.server.setSecureContext(context),
    setTicketKeys: (keys) => tls?.server.setTicketKeys(keys),
    depart() {
      for (const one of [...relays]) one.drain();
    },
    async close(graceMs) {
      await drain(server, options.shared, relays, graceMs, own);
      clearInterval(ticker);
    },
  };
}

function clientOf({ peer, streams }: GrpcRelay, socket: Socket): ClientConnection {
  return {
    remote: peer.address,
    protocol: 'grpc',
    since: Date.now(),
    tls: tlsVersion(socket),
    get requests() {
      return streams.added;
    },
    get open() {
      return streams.size;
    },
  };
}

interface Opening {
  /** Of the listener. */
  readonly guard: Guard;
  readonly accept: (socket: Socket) => void;
}

function openTls(
  options: GrpcListenerOptions,
  tls: TlsOptions,
  { guard, accept }: Opening,
): { readonly server: TlsServer; readonly begin: BeginHandshake } {
  const { limits } = options.relay;
  const server = createTlsServer({
    ...tls,
    ALPNCallback: preferring(['h2']),
  });
  const handshakes = options.clientTrust && new Handshakes(options.clientTrust);
  const bounds = {
    timeoutMs: limits.tls_handshake_timeout_ms,
    maxBytes: limits.tls_handshake_bytes,
    budget: new HandshakeBudget(),
    now: () => performance.now(),
    faulted: options.connections?.fault,
    scheduler: options.relay.scheduler,
  };
  server.on(
    'secureConnection',
    guard.entry((socket: TLSSocket) => {
      socket.disableRenegotiation();
      handshakes?.done(socket, carrierOf(socket));
      if (options.proxies || options.unix) inheritClient(socket);
      accept(socket);
    }),
  );
  return { server, begin: readingTls(server, { ...bounds, begun: (socket) => handshakes?.begun(socket) }) };
}

async function drain(
  server: Server,
  shared: boolean,
  relays: ReadonlySet<GrpcRelay>,
  graceMs: number,
  guard: Guard,
): Promise<void> {
  const closed = closeListener(server, shared);
  for (const relay of [...relays]) relay.drain();
  const cut = guard.after(graceMs, () => {
    for (const relay of [...relays]) relay.destroy();
  });
  await closed;
  clearTimeout(cut);
}

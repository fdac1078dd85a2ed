import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type ClientTrust, Handshakes } from '../identity/certificates/handshakes.ts';
import { type FaultReport, Guard } from '../lifetime/guard.ts';
import { HandshakeBudget } from '../limits/handshake-budget.ts';
import { inheritClient } from '../net/client-address.ts';
import { closeListener } from '../net/close-listener.ts';
import { type Connections, CountedClient } from '../net/connections.ts';
import { identifyClient, type ProxiesInFront } from '../net/identify-client.ts';
import { type ListenAt, openListener } from '../net/open-listener.ts';
import type { ReadingBounds } from '../net/tls/reading.ts';
import { type BeginHandshake, sniffTls } from '../net/tls-sniff.ts';
import { gateOf, openGate, type RequestGate } from './http1/request-gate.ts';
import { createHttp2Connections, type Http2Figures } from './http2/connections.ts';
import type { LaneOptions } from './options.ts';
import type { HandOver } from './relay/context.ts';
import type { RelayNodes } from './relay/nodes/pool.ts';
import { createRelay } from './relay/relay.ts';
import type { RelayUpstream } from './relay/upstream.ts';
import { AnswerWatch } from './response/watch.ts';
import { createFastifyLane } from './server/fastify-lane.ts';
import { createRestLane, type LaneFigures, type RestLane } from './server/lane.ts';
import { createHttp1, reportTo, serveWith } from './server/node-servers.ts';
import { createTls, type ListenerTls, secureContext } from './tls/listener-tls.ts';
import { ACME_TLS, createValidationTls, type Validations } from './tls/validation-tls.ts';

export interface RestListenerOptions extends LaneOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** In place of host and port. Default: none. */
  readonly unix?: ListenAt['unix'];
  /** Without it the listener speaks plain HTTP/1.1. */
  readonly tls?: ListenerTls;
  /** Connections to upstream for plain requests over HTTP/2. */
  readonly upstreamConnections: number;
  /** The port belongs to several processes. */
  readonly shared: boolean;
  /** The trusted proxies. Default: none is. */
  readonly proxies?: ProxiesInFront | undefined;
  /** Set if client certificates are identities. */
  readonly clientTrust?: ClientTrust | undefined;
  /** Proofs for a certificate authority. Default: there are never any. */
  readonly validations?: Validations | undefined;
  /** Plain requests are relayed to it at socket level; without it Fastify takes them all. */
  readonly relay?: RelayUpstream | RelayNodes;
}

export interface RestListener {
  readonly address: { readonly host: string; readonly port: number };
  /** New connections get this certificate; the ones there are keep theirs. Throws when it cannot be used. */
  readonly setSecureContext: (tls: ListenerTls) => void;
  /** Replaces the keys of session tickets. Without TLS it does nothing. @param keys 48 bytes */
  readonly setTicketKeys: (keys: Buffer) => void;
  readonly figures: () => ListenerFigures;
  /** Goes on as before, and asks clients to move: answers of HTTP/1.1 end their connections, those of HTTP/2 get GOAWAY. */
  readonly depart: () => void;
  /** Takes no more connections, lets what is running end, cuts the rest after `graceMs`. */
  readonly close: (graceMs: number) => Promise<void>;
}

/** Work in progress. All are 0 while no client is connected. */
export interface ListenerFigures extends LaneFigures, Http2Figures {
  readonly sockets: number;
  /** Connections of the relay, and of HTTP/2. */
  readonly relayed: number;
  readonly http2: number;
}

/** Milliseconds between looks at answers that are not taken. */
const TICK_MS = 1_000;

/** Opens the REST port: `socket -> (TLS) -> transport`. Resolves once it listens. */
export async function createRestListener(options: RestListenerOptions): Promise<RestListener> {
  const transports = await createTransports(options);
  const sockets = new Set<Socket>();
  const guard = listenerGuard(options);
  const report = reportTo(options);
  const tcp = createTcpServer({ noDelay: true, keepAlive: true, allowHalfOpen: true });
  const bounds = {
    timeoutMs: options.limits.tls_handshake_timeout_ms,
    maxBytes: options.limits.tls_handshake_bytes,
    budget: new HandshakeBudget(),
    now: () => performance.now(),
    faulted: options.connections?.fault,
    scheduler: options.scheduler,
  };
  const tls = options.tls
    ? createTls(options.tls, {
        bounds,
        toLane: transports.take,
        report,
        handshakes: options.clientTrust && new Handshakes(options.clientTrust),
      })
    : undefined;
  const choose = tls && options.validations && chooserOf(options, options.validations, { begin: tls.begin, bounds });
  const take = createAcceptor(options, { sockets, begin: tls?.begin, choose, toTransport: transports.take });
  tcp.on(
    'connection',
    guard.entry((socket: Socket) => {
      const own = guardOf(report, () => void socket.destroy());
      own.run(() => take(socket, own));
    }),
  );
  tcp.maxConnections = options.limits.max_connections;
  tcp.on(
    'drop',
    guard.entry(() => options.connections?.refused()),
  );
  tls?.server.on(
    'tlsClientError',
    guard.entry(() => options.connections?.failedHandshake()),
  );
  const address = await openListener(tcp, options);
  return {
    address,
    figures: () => ({ ...transports.figures(), sockets: sockets.size }),
    setSecureContext: (next) => tls?.server.setSecureContext(secureContext(next)),
    setTicketKeys: (keys) => tls?.server.setTicketKeys(keys),
    depart: transports.depart,
    async close(graceMs) {
      transports.drain();
      const closed = closeListener(tcp, options.shared);
      transports.closeIdle();
      const cut = guard.after(graceMs, () => {
        for (const socket of sockets) socket.destroy();
      });
      await closed;
      clearTimeout(cut);
      await transports.close();
    },
  };
}

/**
 * Chooses between the listener's TLS and that of validations, while there is one: RFC 8737 section 3 has a validator offer
 * `acme-tls/1` alone.
 */
function chooserOf(
  options: RestListenerOptions,
  validations: Validations,
  { begin, bounds }: { readonly begin: BeginHandshake; readonly bounds: ReadingBounds },
): Accepting['choose'] {
  const validate = createValidationTls(validations, bounds, reportTo(options));
  const choose = (protocols: readonly string[]): BeginHandshake =>
    protocols.length === 1 && protocols[0] === ACME_TLS ? validate : begin;
  return () => (validations.pending ? choose : undefined);
}

/** A listener's connections on their way to its transports. */
interface Accepting {
  /** The open ones. */
  readonly sockets: Set<Socket>;
  /** Without it the listener speaks plain HTTP/1.1. */
  readonly begin: BeginHandshake | undefined;
  /** Gives the server for the protocols that a client offers; `undefined` = it is `begin`, whatever they are. */
  readonly choose: (() => ((protocols: readonly string[]) => BeginHandshake) | undefined) | undefined;
  readonly toTransport: (socket: Socket) => void;
}

/** Takes each new connection: counts it, and passes it on, through TLS if the listener has it. */
function createAcceptor(
  options: RestListenerOptions,
  { sockets, begin, choose, toTransport }: Accepting,
): (socket: Socket, guard: Guard) => void {
  const { connections, limits, scheduler } = options;
  const timeoutMs = limits.tls_handshake_timeout_ms;
  const passOn = (socket: Socket, guard: Guard): void => {
    const sniffing = { timeoutMs, scheduler, faulted: connections?.fault, guard };
    identifyClient(socket, { ...sniffing, proxies: options.proxies, unix: options.unix !== undefined }, () => {
      if (begin) sniffTls(socket, begin, { ...sniffing, choose: choose?.() });
      else toTransport(socket);
    });
  };
  return (socket, guard) => {
    sockets.add(socket);
    connections?.accepted();
    socket.on(
      'error',
      guard.entry(() => void socket.destroy()),
    );
    socket.on(
      'close',
      guard.entry(() => {
        sockets.delete(socket);
        connections?.closed();
      }),
    );
    passOn(socket, guard);
  };
}

/** The transports of a listener's requests: the byte relay, HTTP/2, and the server. */
interface Transports {
  /** Takes a socket whose bytes are the client's HTTP. */
  readonly take: (socket: Socket) => void;
  readonly figures: () => Omit<ListenerFigures, 'sockets'>;
  readonly depart: () => void;
  readonly drain: () => void;
  /** Ends connections of HTTP/1 on which nothing is under way. */
  readonly closeIdle: () => void;
  readonly close: () => Promise<void>;
}

async function createTransports(options: RestListenerOptions): Promise<Transports> {
  const clients = createClients(options.connections);
  const lane = createRestLane(options);
  const http1 = await openHttp1(options, lane, clients);
  const http2 = createHttp2Connections({
    options,
    lane,
    relay: options.relay && { upstream: options.relay, connections: options.upstreamConnections },
  });
  const relay = options.relay
    ? createRelay({
        options,
        upstream: options.relay,
        facts: lane.facts,
        scheduler: options.scheduler,
        handOver: handOverTo(http1.take),
      })
    : undefined;
  return {
    take(socket) {
      if ((options.proxies || options.unix) && socket instanceof TLSSocket) inheritClient(socket);
      const client = clients.add(socket);
      // Over HTTP/2 a client that has closed its half has left; over HTTP/1 it still gets its answer.
      const isHttp2 = socket instanceof TLSSocket && socket.alpnProtocol === 'h2';
      socket.allowHalfOpen = !isHttp2;
      if (isHttp2) http2.take(socket, client);
      else if (relay) relay.take(socket, client);
      else http1.take(socket);
    },
    figures: () => ({ ...lane.figures(), ...http2.figures(), relayed: relay?.size() ?? 0, http2: http2.size() }),
    depart() {
      lane.drain();
      relay?.depart();
      http2.drain();
    },
    drain() {
      lane.drain();
      relay?.drain();
      http2.drain();
    },
    closeIdle: http1.closeIdle,
    async close() {
      relay?.close();
      http2.close();
      await http1.close();
      await lane.close();
    },
  };
}

/** The server transport for HTTP/1. */
interface Http1Server {
  readonly take: (socket: Socket) => RequestGate;
  readonly closeIdle: () => void;
  readonly close: () => Promise<void>;
}

async function openHttp1(options: RestListenerOptions, lane: RestLane, clients: Clients): Promise<Http1Server> {
  const server = createHttp1(options);
  const fastify = await createFastifyLane(options, lane, server);
  const guard = listenerGuard(options);
  const report = reportTo(options);
  const answers = new AnswerWatch(options.limits.stream_idle_timeout_ms, guard, () => performance.now());
  serveWith(server, guard, (request, response) => {
    const own = guardOf(report, () => void response.destroy());
    own.run(() => {
      clients.begun(request, response, own);
      answers.add(request, response);
      fastify.handle(request, response);
      // Registered after the server's own listeners: the next request begins when all of them have seen the end of this one.
      gateOf(request.socket)?.begun(response);
    });
  });
  // The HTTP server never listens itself, but only a listening one looks after its time limits.
  server.emit('listening');
  const ticker = guard.every(TICK_MS, () => answers.tick()).unref();
  return {
    take: (socket) =>
      openGate(socket, () => server.emit('connection', socket), {
        maxHeadBytes: options.limits.header_bytes,
        scheduler: options.scheduler,
        report,
      }),
    closeIdle: () => server.closeIdleConnections(),
    async close() {
      clearInterval(ticker);
      server.close();
      await fastify.close();
    },
  };
}

/** Gives on a socket of which something has been read already: `unread` comes before what is still to come. */
function handOverTo(toParser: (socket: Socket) => RequestGate): HandOver {
  return (socket, unread, ended) => {
    const gate = toParser(socket);
    socket.resume();
    if (unread.length > 0) gate.take(unread);
    if (ended) gate.end();
  };
}

/** Guards work that belongs to no connection. An exception ends only that work. */
function listenerGuard(options: RestListenerOptions): Guard {
  return new Guard({ fail: () => undefined, cut: () => undefined }, 'rest_listener', reportTo(options));
}

/** For what belongs to one connection or answer: an exception ends it. */
function guardOf(report: FaultReport, end: () => void): Guard {
  return new Guard({ fail: end, cut: end }, 'rest_listener', report);
}

/** Counts requests of the server transport for the connection they came on. */
interface Clients {
  readonly add: (socket: Socket) => CountedClient | undefined;
  readonly begun: (request: IncomingMessage, response: ServerResponse, guard: Guard) => void;
}

function createClients(connections: Connections | undefined): Clients {
  if (!connections) return { add: () => undefined, begun: () => undefined };
  const carriers = new WeakMap<object, CountedClient>();
  return {
    add(socket) {
      const client = new CountedClient(socket, Date.now());
      carriers.set(socket, client);
      connections.list(client, socket);
      return client;
    },
    begun(request, response, guard) {
      const client = carriers.get(request.socket);
      client?.begun();
      if (!client) return;
      response.once(
        'close',
        guard.entry(() => client.ended()),
      );
    },
  };
}

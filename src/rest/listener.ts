import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { createServer as createTcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { closeListener } from '../close-listener.ts';
import { type Connections, CountedClient } from '../connections.ts';
import { admit, type Suspects } from '../fairness/suspects.ts';
import type { Turns } from '../fairness/turns.ts';
import type { HeaderWatch } from '../http2/header-watch.ts';
import { type FaultReport, Guard } from '../lifetime/guard.ts';
import { openListener } from '../open-listener.ts';
import { sniffTls } from '../tls-sniff.ts';
import { AnswerWatch } from './answer-watch.ts';
import { createRestLane, type LaneFigures } from './fastify-lane.ts';
import { sessionFault, WatchedConnection } from './http2-connection.ts';
import { guardWrites } from './http2-writes.ts';
import type { LaneOptions } from './lane-options.ts';
import { createTls, type ListenerTls, secureContext } from './listener-tls.ts';
import { answerParserFaults, answerRaw } from './parser-fault.ts';
import { createRelay } from './relay.ts';
import type { HandOver } from './relay-context.ts';
import type { RelayUpstream } from './relay-upstream.ts';
import { gateOf, openGate, type RequestGate } from './request-gate.ts';

/** Times in milliseconds, sizes in bytes. */
export interface ListenerLimits {
  readonly maxConnections: number;
  /** Size of a request head. */
  readonly maxHeaderBytes: number;
  readonly handshakeTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** HTTP/2 streams a connection may have open. */
  readonly maxConcurrentStreams: number;
}

export interface RestListenerOptions extends LaneOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Without it the listener speaks plain HTTP/1.1. */
  readonly tls?: ListenerTls;
  readonly limits: ListenerLimits;
  /** The port belongs to several processes. */
  readonly shared: boolean;
  /** Addresses that flooded lately, on either port. */
  readonly suspects: Suspects;
  /** Of the thread, shared by all connections. */
  readonly turns: Turns;
  /** Makes what looks at the header fields of one HTTP/2 connection. */
  readonly watchHttp2: (address: string) => HeaderWatch;
  /** Plain requests are relayed to it at socket level; without it Fastify takes them all. */
  readonly relay?: RelayUpstream;
}

export interface RestListener {
  readonly address: { readonly host: string; readonly port: number };
  /** New connections get this certificate; the ones there are keep theirs. Throws when it cannot be used. */
  readonly setSecureContext: (tls: ListenerTls) => void;
  readonly figures: () => ListenerFigures;
  /** Takes no more connections, lets what is running end, cuts the rest after `graceMs`. */
  readonly close: (graceMs: number) => Promise<void>;
}

/** What the listener has on hand now. All are 0 while no client is connected. */
export interface ListenerFigures extends LaneFigures {
  readonly sockets: number;
  /** Connections of the relay, and of HTTP/2. */
  readonly relayed: number;
  readonly http2: number;
}

const CHECK_INTERVAL_MS = 1_000;
const WINDOW = 65_535;
const MAX_PSEUDO_HEADERS = 4;

/** Opens the REST port: `socket -> (TLS) -> lane`. Resolves once it listens. */
export async function createRestListener(options: RestListenerOptions): Promise<RestListener> {
  const sockets = new Set<Socket>();
  const watched = new Set<WatchedConnection>();
  const clients = createClients(options.connections);
  const faulted = options.connections?.fault;
  const http1 = createHttp1(options);
  const lane = await createRestLane(options, http1);
  const http2 = options.tls ? createHttp2(options, clients) : undefined;
  const guard = listenerGuard(options);
  const answers = new AnswerWatch(options.answerIdleMs, guard, () => performance.now());
  const handle: Handle = (request, response) =>
    guardOf(options, () => void response.destroy()).run(() => {
      clients.begun(request, response);
      answers.add(request, response);
      lane.handle(request, response);
      // Behind the lane's own listeners: the next request begins when this one is over for everybody.
      gateOf(request.socket)?.begun(response);
    });
  serveWith(http1, handle);
  if (http2) serveWith(http2, handle);

  // A socket whose bytes are the client's HTTP: this is where it is given to a lane.
  const toLane = (socket: Socket): void => {
    // A client of HTTP/1 that has closed its half still gets its answer.
    socket.allowHalfOpen = true;
    const client = clients.add(socket);
    if (http2 && socket instanceof TLSSocket && socket.alpnProtocol === 'h2') {
      const connection = new WatchedConnection(
        socket,
        { watch: options.watchHttp2(socket.remoteAddress ?? ''), turns: options.turns, report: reportTo(options) },
        faulted,
      );
      watched.add(connection);
      connection.once(
        'close',
        guard.entry(() => void watched.delete(connection)),
      );
      http2.once(
        'session',
        guard.entry((session: ServerHttp2Session) => connection.belongsTo(session)),
      );
      // Over HTTP/2 a client that has closed its half has left.
      socket.allowHalfOpen = false;
      http2.emit('connection', connection);
    } else if (relay) relay.take(socket, client);
    else toParser(socket);
  };
  const toParser = (socket: Socket): RequestGate =>
    openGate(socket, () => http1.emit('connection', socket), {
      maxHeadBytes: options.limits.maxHeaderBytes,
      turns: options.turns,
      report: (error, place) => options.parts.fault(error, undefined, place),
    });
  const relay = options.relay
    ? createRelay({
        options,
        limits: options.limits,
        upstream: options.relay,
        turns: options.turns,
        handOver: handOverTo(toParser),
      })
    : undefined;
  const tls = options.tls ? createTls(options.tls, options.limits.handshakeTimeoutMs, toLane) : undefined;
  const tcp = createTcpServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    options.connections?.accepted(socket);
    const own = guardOf(options, () => void socket.destroy());
    socket.on(
      'error',
      own.entry(() => void socket.destroy()),
    );
    socket.once(
      'close',
      own.entry(() => void sockets.delete(socket)),
    );
    const go = own.entry((): void => {
      if (tls) sniffTls(socket, tls, { timeoutMs: options.limits.handshakeTimeoutMs, turns: options.turns, faulted });
      else toLane(socket);
    });
    own.run(() => admit(socket, options.suspects, go));
  });
  tcp.maxConnections = options.limits.maxConnections;
  tcp.on(
    'drop',
    guard.entry(() => options.connections?.refused()),
  );
  tls?.on(
    'tlsClientError',
    guard.entry(() => options.connections?.failedHandshake()),
  );
  // The HTTP server never listens itself, but only a listening one looks after its time limits.
  http1.emit('listening');
  const address = await openListener(tcp, options);
  const tick = (): void => {
    const now = performance.now();
    for (const one of watched) one.drainIfIdle(now, options.limits.keepAliveTimeoutMs);
    answers.tick();
  };
  const ticker = guard.every(CHECK_INTERVAL_MS, tick).unref();

  return {
    address,
    figures: () => ({
      ...lane.figures(),
      sockets: sockets.size,
      relayed: relay?.size() ?? 0,
      http2: watched.size,
    }),
    setSecureContext: (next) => tls?.setSecureContext(secureContext(next)),
    async close(graceMs) {
      lane.drain();
      relay?.drain();
      const closed = closeListener(tcp, options.shared);
      for (const one of watched) one.drain();
      http1.closeIdleConnections();
      const cut = guard.after(graceMs, () => {
        for (const socket of sockets) socket.destroy();
      });
      await closed;
      clearTimeout(cut);
      clearInterval(ticker);
      relay?.close();
      http1.close();
      http2?.close();
      await lane.close();
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

/** What the listener does for none of its connections: an exception ends nothing but what was being done. */
function listenerGuard(options: RestListenerOptions): Guard {
  return new Guard({ fail: () => undefined, cut: () => undefined }, 'rest_listener', reportTo(options));
}

/** For what belongs to one connection or answer: an exception ends it. */
function guardOf(options: RestListenerOptions, end: () => void): Guard {
  return new Guard({ fail: end, cut: end }, 'rest_listener', reportTo(options));
}

function createHttp1(options: RestListenerOptions): Server {
  const { limits, connections } = options;
  const report = reportTo(options);
  const server = createHttpServer({
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    insecureHTTPParser: false,
    // The lane asks for it, so that every request is counted there.
    requireHostHeader: false,
    joinDuplicateHeaders: false,
  });
  // INVARIANT: no header is ever left out of sight; the lane counts them and refuses.
  server.maxHeadersCount = 0;
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    // Node takes its parser back.
    gateOf(request.socket)?.stop();
    connections?.fault('head');
    answerRaw(socket, 405, '', report);
  });
  answerParserFaults(server, report, connections?.fault);
  return server;
}

function reportTo({ parts }: Pick<RestListenerOptions, 'parts'>): FaultReport {
  return (error, place) => parts.fault(error, undefined, place);
}

/** Tells requests of the other lanes to the connection they came on. */
interface Clients {
  readonly add: (socket: Socket) => CountedClient | undefined;
  readonly session: (session: ServerHttp2Session) => void;
  readonly begun: (request: IncomingMessage, response: ServerResponse) => void;
}

function createClients(connections: Connections | undefined): Clients {
  if (!connections) return { add: () => undefined, session: () => undefined, begun: () => undefined };
  const carriers = new WeakMap<object, CountedClient>();
  let newest: CountedClient | undefined;
  return {
    add(socket) {
      newest = new CountedClient(socket, Date.now());
      carriers.set(socket, newest);
      connections.list(newest, socket);
      return newest;
    },
    // Node makes the session while it is given the socket; what the session shows of that is a stand-in.
    session: (session) => {
      if (newest) carriers.set(session, newest);
    },
    begun(request, response) {
      const client = carriers.get(carrierOf(request));
      client?.begun();
      if (client) response.once('close', () => client.ended());
    },
  };
}

function carrierOf(request: IncomingMessage): object {
  if (!('stream' in request)) return request.socket;
  const { stream } = request;
  const session = typeof stream === 'object' && stream !== null && 'session' in stream ? stream.session : undefined;
  return typeof session === 'object' && session !== null ? session : request;
}

function createHttp2({ limits, maxHeaders, connections, parts }: RestListenerOptions, clients: Clients): Http2Server {
  const server = createHttp2Server({
    maxHeaderListPairs: maxHeaders + MAX_PSEUDO_HEADERS,
    maxSessionMemory: 16,
    settings: {
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxHeaderListSize: limits.maxHeaderBytes,
      initialWindowSize: WINDOW,
      enablePush: false,
    },
  });
  server.on('session', (session) => {
    clients.session(session);
    const cut = (): void => session.destroy();
    guardWrites(
      session,
      new Guard({ fail: cut, cut }, 'rest_http2', (error, place) => parts.fault(error, undefined, place)),
    );
    session.on('error', (error) => {
      const fault = sessionFault(error);
      if (fault) connections?.fault(fault);
      session.destroy();
    });
  });
  server.on('sessionError', () => undefined);
  return server;
}

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

/** `100 Continue` and odd expectations are ordinary requests here: what is said to them is decided later. */
function serveWith(server: Server | Http2Server, handle: Handle): void {
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, handle);
}

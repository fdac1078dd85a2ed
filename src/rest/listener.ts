import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { HeaderWatch } from '../http2/header-watch.ts';
import { Guard } from '../lifetime/guard.ts';
import { closeListener } from '../net/close-listener.ts';
import { type Connections, CountedClient } from '../net/connections.ts';
import { openListener } from '../net/open-listener.ts';
import { sniffTls } from '../net/tls-sniff.ts';
import { gateOf, openGate, type RequestGate } from './http1/request-gate.ts';
import { createTls, type ListenerTls, secureContext } from './listener-tls.ts';
import type { LaneOptions } from './options.ts';
import type { HandOver } from './relay/context.ts';
import { createRelay } from './relay/relay.ts';
import type { RelayUpstream } from './relay/upstream.ts';
import { AnswerWatch } from './response/watch.ts';
import { createRestLane, type LaneFigures } from './server/fastify-lane.ts';
import { WatchedConnection } from './server/http2-connection.ts';
import {
  createHttp1,
  createHttp2,
  type Handle,
  type ListenerLimits,
  reportTo,
  serveWith,
} from './server/node-servers.ts';

export interface RestListenerOptions extends LaneOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Without it the listener speaks plain HTTP/1.1. */
  readonly tls?: ListenerTls;
  readonly limits: ListenerLimits;
  /** The port belongs to several processes. */
  readonly shared: boolean;
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

/** Work in progress. All are 0 while no client is connected. */
export interface ListenerFigures extends LaneFigures {
  readonly sockets: number;
  /** Connections of the relay, and of HTTP/2. */
  readonly relayed: number;
  readonly http2: number;
}

/** Milliseconds between looks at connections that are idle and answers that are not taken. */
const TICK_MS = 1_000;

/** Opens the REST port: `socket -> (TLS) -> lane`. Resolves once it listens. */
export async function createRestListener(options: RestListenerOptions): Promise<RestListener> {
  const sockets = new Set<Socket>();
  const watched = new Set<WatchedConnection>();
  const clients = createClients(options.connections);
  const faulted = options.connections?.fault;
  const http1 = createHttp1(options);
  const lane = await createRestLane(options, http1);
  const http2 = options.tls ? createHttp2(options, (session) => clients.session(session)) : undefined;
  const guard = listenerGuard(options);
  const answers = new AnswerWatch(options.answerIdleMs, guard, () => performance.now());
  const handle: Handle = (request, response) => {
    const own = guardOf(options, () => void response.destroy());
    own.run(() => {
      clients.begun(request, response, own);
      answers.add(request, response);
      lane.handle(request, response);
      // Registered after the server's own listeners: the next request begins when all of them have seen the end of this one.
      gateOf(request.socket)?.begun(response);
    });
  };
  serveWith(http1, guard, handle);
  if (http2) serveWith(http2, guard, handle);

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
      report: reportTo(options),
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
  const tls = options.tls
    ? createTls(options.tls, options.limits.handshakeTimeoutMs, toLane, reportTo(options))
    : undefined;
  const tcp = createTcpServer({ noDelay: true, keepAlive: true, allowHalfOpen: true });
  const take = (socket: Socket): void => {
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
    const timeoutMs = options.limits.handshakeTimeoutMs;
    if (tls) sniffTls(socket, tls, { timeoutMs, turns: options.turns, faulted, guard: own });
    else toLane(socket);
  };
  tcp.on(
    'connection',
    guard.entry((socket: Socket) => guardOf(options, () => void socket.destroy()).run(() => take(socket))),
  );
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
  const ticker = guard.every(TICK_MS, tick).unref();

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

/** Guards work that belongs to no connection. An exception ends only that work. */
function listenerGuard(options: RestListenerOptions): Guard {
  return new Guard({ fail: () => undefined, cut: () => undefined }, 'rest_listener', reportTo(options));
}

/** For what belongs to one connection or answer: an exception ends it. */
function guardOf(options: RestListenerOptions, end: () => void): Guard {
  return new Guard({ fail: end, cut: end }, 'rest_listener', reportTo(options));
}

/** Tells requests of the other lanes to the connection they came on. */
interface Clients {
  readonly add: (socket: Socket) => CountedClient | undefined;
  readonly session: (session: ServerHttp2Session) => void;
  readonly begun: (request: IncomingMessage, response: ServerResponse, guard: Guard) => void;
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
    begun(request, response, guard) {
      const client = carriers.get(carrierOf(request));
      client?.begun();
      if (!client) return;
      response.once(
        'close',
        guard.entry(() => client.ended()),
      );
    },
  };
}

function carrierOf(request: IncomingMessage): object {
  if (!('stream' in request)) return request.socket;
  const { stream } = request;
  const session = typeof stream === 'object' && stream !== null && 'session' in stream ? stream.session : undefined;
  return typeof session === 'object' && session !== null ? session : request;
}

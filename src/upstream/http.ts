import type { buildConnector as connectors, Dispatcher } from 'undici';
import buildConnector from 'undici/lib/core/connect.js';
import errors from 'undici/lib/core/errors.js';
import Pool from 'undici/lib/dispatcher/pool.js';
import {
  type Denial,
  INTERNAL_FAULT,
  UPSTREAM_BROKEN,
  UPSTREAM_BUSY,
  UPSTREAM_TIMEOUT,
  UPSTREAM_UNREACHABLE,
} from '../policy/denial.ts';
import type { NodeFailure } from './nodes/node.ts';
import type { NodeRoute } from './nodes/route.ts';
import { readOnWhenClosed } from './read-on.ts';
import { type Share, Shares } from './shares.ts';
import type { ClientIdentity } from './sockets.ts';

/** Address and limits of the unsecured Qdrant on REST. Times in milliseconds. */
export interface RestUpstreamOptions {
  /** `http://host:port`; HTTP/1.1. */
  readonly origin: string;
  /** The unix socket to connect to instead of the host of `origin`. */
  readonly socketPath: string | undefined;
  /** Most connections. */
  readonly connections: number;
  /** Most requests that wait for a connection; one more is refused at once. */
  readonly maxWaiting: number;
  readonly connectTimeoutMs: number;
  /** Idle time after which a connection is closed. Upstream closes its own after 5 s, so this must be shorter. */
  readonly idleMs: number;
  /** Time limit from the written request to the head of the answer; 0 = no limit. */
  readonly headersTimeoutMs: number;
  /** Longest pause within the body of the answer; 0 = no limit. */
  readonly bodyTimeoutMs: number;
  /** CA certificates for an `https` upstream, read for each new connection. */
  readonly ca?: () => Buffer | undefined;
  /** Shown to an `https` upstream that asks for it, read for each new connection. Default: none. */
  readonly identity?: () => ClientIdentity | undefined;
  /** The name that the certificate of an `https` upstream has to be for. Default: the host of `origin`. */
  readonly serverName?: string | undefined;
}

/** An outgoing request. `path` is sent unchanged: no URL is built from it. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: string[];
  readonly body: NonNullable<Dispatcher.DispatchOptions['body']> | null;
  /** Lower bound for the time limits, in milliseconds. Default: 0. */
  readonly leastMs?: number;
  /** The owner of the request, which may use a quarter of the connections at once. Default: no limit per owner. */
  readonly share?: Omit<Share, 'most'> | undefined;
  /** Among several nodes. Default: any of them. */
  readonly route?: NodeRoute | undefined;
  /** The whole body once more, where it is a stream; `undefined` = it is not kept. Default: it is not. */
  readonly again?: () => Buffer | undefined;
}

/** The connections to upstream's REST port. */
export interface RestUpstream {
  /**
   * Sends once; with several nodes as its route permits. Ends in the handler's `onResponseEnd` or `onResponseError`. A
   * denial = not sent, for example without a free connection or queue space.
   */
  readonly send: (request: UpstreamRequest, handler: Dispatcher.DispatchHandler) => Denial | undefined;
  /** With several nodes: moves reads that wait at a node which has been ejected. To be called a few times each second. */
  readonly look?: () => void;
  /** Pending requests, including those that wait for a connection. */
  readonly size: () => number;
  /** Waits for pending requests, then closes. */
  readonly close: () => Promise<void>;
  /** Aborts all requests and closes. */
  readonly destroy: () => Promise<void>;
}

const MAX_ANSWER_HEAD = 65_536;
/** One owner may use this part of the connections. */
const SHARES = 4;

/** Opens no connection: the first request does. */
export function createRestUpstream(options: RestUpstreamOptions): RestUpstream {
  const capacity = options.connections + options.maxWaiting;
  const { headersTimeoutMs, bodyTimeoutMs } = options;
  const pool = new Pool(options.origin, {
    connections: options.connections,
    pipelining: 1,
    keepAliveTimeout: options.idleMs,
    keepAliveMaxTimeout: options.idleMs,
    headersTimeout: headersTimeoutMs,
    bodyTimeout: bodyTimeoutMs,
    maxHeaderSize: MAX_ANSWER_HEAD,
    allowH2: false,
    connect: connector(options),
  });
  const shares = new Shares();
  const most = Math.max(1, Math.floor(options.connections / SHARES));
  const inPool = (): number => pool.stats.running + pool.stats.pending;
  const size = (): number => inPool() + shares.waiting;
  return {
    size,
    send({ leastMs = 0, share, route: _route, again: _again, ...request }, handler) {
      // A request that waits for another one of its owner takes no place of the pool.
      if (inPool() >= capacity) return UPSTREAM_BUSY;
      // INVARIANT: no request is retried, not even an idempotent one.
      const times = {
        headersTimeout: atLeast(headersTimeoutMs, leastMs),
        bodyTimeout: atLeast(bodyTimeoutMs, leastMs),
      };
      const options = { ...request, ...(leastMs > 0 ? times : {}), idempotent: false, blocking: false };
      if (!share) {
        pool.dispatch(options, handler);
        return undefined;
      }
      const entered = shares.enter({ ...share, most }, () => void pool.dispatch(options, handler));
      return entered ? undefined : UPSTREAM_BUSY;
    },
    close: () => pool.close(),
    destroy: () => pool.destroy(),
  };
}

/** @param ms 0 = no limit */
function atLeast(ms: number, least: number): number {
  return ms === 0 ? 0 : Math.max(ms, least);
}

/**
 * Connects with the CA and the identity in force at that time. A change of them also discards the TLS sessions that were made with
 * the former ones.
 */
function connector(options: RestUpstreamOptions): connectors.connector {
  const { connectTimeoutMs, socketPath, serverName } = options;
  const build = (ca: Buffer | undefined, identity: ClientIdentity | undefined) => ({
    ...{ ca, identity },
    connect: buildConnector({
      ...{ timeout: connectTimeoutMs, allowH2: false, socketPath: socketPath ?? null },
      ...(ca ? { ca } : {}),
      ...identity,
    }),
  });
  let built = build(options.ca?.(), options.identity?.());
  return (wanted, callback) => {
    const [ca, identity] = [options.ca?.(), options.identity?.()];
    const isSame =
      sameBytes(built.ca, ca) &&
      sameBytes(built.identity?.cert, identity?.cert) &&
      sameBytes(built.identity?.key, identity?.key);
    if (!isSame) built = build(ca, identity);
    const named = serverName === undefined ? wanted : { ...wanted, servername: serverName };
    built.connect(named, (...connected) => {
      if (connected[1]) readOnWhenClosed(connected[1]);
      callback(...connected);
    });
  };
}

function sameBytes(left: Buffer | undefined, right: Buffer | undefined): boolean {
  return left === right || (left !== undefined && right !== undefined && left.equals(right));
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);
const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT']);

/** The denial for a failed upstream request. The cause is not sent to the client. */
export function toUpstreamDenial(error: unknown): Denial {
  const code = codeOf(error);
  if (UNREACHABLE.has(code)) return UPSTREAM_UNREACHABLE;
  if (TIMEOUTS.has(code)) return UPSTREAM_TIMEOUT;
  if (error instanceof errors.InvalidArgumentError || error instanceof errors.NotSupportedError) return INTERNAL_FAULT;
  if (error instanceof errors.ClientDestroyedError || error instanceof errors.ClientClosedError) return UPSTREAM_BUSY;
  return UPSTREAM_BROKEN;
}

/** The error of a request that is given up for want of an answer. */
export function noAnswer(): Error {
  return new errors.HeadersTimeoutError();
}

/** Broken connections, in the words of Node and undici. */
const BROKEN = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'UND_ERR_CLOSED', 'HPE_INVALID_CONSTANT']);

/** The failure of a node behind a failed request; `undefined` = none of the node's. */
export function toNodeFailure(error: unknown): NodeFailure | undefined {
  const code = codeOf(error);
  if (UNREACHABLE.has(code)) return 'unreachable';
  if (TIMEOUTS.has(code)) return 'timeout';
  return BROKEN.has(code) ? 'broken' : undefined;
}

function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

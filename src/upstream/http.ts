import { buildConnector, type Dispatcher, errors, Pool } from 'undici';
import {
  type Denial,
  INTERNAL_FAULT,
  UPSTREAM_BROKEN,
  UPSTREAM_BUSY,
  UPSTREAM_TIMEOUT,
  UPSTREAM_UNREACHABLE,
} from '../policy/denial.ts';

/** Where the unsecured Qdrant listens for REST, and how much is asked of it at once. Times in milliseconds. */
export interface RestUpstreamOptions {
  /** `http://host:port`; HTTP/1.1 is spoken. */
  readonly origin: string;
  /** Connections at once. */
  readonly connections: number;
  /** Requests that wait for a connection; beyond that a request is refused at once. */
  readonly maxWaiting: number;
  readonly connectTimeoutMs: number;
  /** An idle connection is closed after this. Upstream closes its own after 5 s, so ours have to be gone before. */
  readonly idleMs: number;
  /** From the request written to the answer's head; 0 = no limit. */
  readonly headersTimeoutMs: number;
  /** Between two pieces of the answer's body; 0 = no limit. */
  readonly bodyTimeoutMs: number;
  /** CA certificates for an `https` upstream, asked for each new connection. */
  readonly ca?: () => Buffer | undefined;
}

/** One request as it goes out. `path` is written as it is: no URL is made of it. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: string[];
  readonly body: NonNullable<Dispatcher.DispatchOptions['body']> | null;
  /** The limits of time are not below this, in milliseconds; by default 0. */
  readonly leastMs?: number;
}

/** The connections to upstream's REST port. */
export interface RestUpstream {
  /** Sends once, never again. Ends in the handler's `onResponseEnd` or `onResponseError`. `false` = no room, not sent. */
  readonly send: (request: UpstreamRequest, handler: Dispatcher.DispatchHandler) => boolean;
  /** Requests that are under way, those included that wait for a connection. */
  readonly size: () => number;
  /** Lets what is running end, then closes. */
  readonly close: () => Promise<void>;
  /** Ends everything now. */
  readonly destroy: () => Promise<void>;
}

const MAX_ANSWER_HEAD = 65_536;

/** Opens nothing yet: a connection is made with the first request. */
export function createRestUpstream(options: RestUpstreamOptions): RestUpstream {
  const room = options.connections + options.maxWaiting;
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
  const size = (): number => pool.stats.running + pool.stats.pending;
  return {
    size,
    send({ leastMs = 0, ...request }, handler) {
      if (size() >= room) return false;
      // INVARIANT: not idempotent, whatever the method: what was written once is never written again.
      const times = {
        headersTimeout: atLeast(headersTimeoutMs, leastMs),
        bodyTimeout: atLeast(bodyTimeoutMs, leastMs),
      };
      pool.dispatch({ ...request, ...(leastMs > 0 ? times : {}), idempotent: false, blocking: false }, handler);
      return true;
    },
    close: () => pool.close(),
    destroy: () => pool.destroy(),
  };
}

/** @param ms 0 = no limit */
function atLeast(ms: number, least: number): number {
  return ms === 0 ? 0 : Math.max(ms, least);
}

/** Connects by the CA that is in force then; a changed one also forgets the TLS sessions of the one before. */
function connector({ ca: current, connectTimeoutMs }: RestUpstreamOptions): buildConnector.connector {
  const build = (ca: Buffer | undefined) => ({
    ca,
    connect: buildConnector({ timeout: connectTimeoutMs, allowH2: false, ...(ca ? { ca } : {}) }),
  });
  let built = build(current?.());
  return (options, callback) => {
    const ca = current?.();
    if (!sameBytes(built.ca, ca)) built = build(ca);
    built.connect(options, callback);
  };
}

function sameBytes(left: Buffer | undefined, right: Buffer | undefined): boolean {
  return left === right || (left !== undefined && right !== undefined && left.equals(right));
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);
const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT']);

/** What a failed request upstream is to the client. The cause stays here. */
export function toUpstreamDenial(error: unknown): Denial {
  const code = codeOf(error);
  if (UNREACHABLE.has(code)) return UPSTREAM_UNREACHABLE;
  if (TIMEOUTS.has(code)) return UPSTREAM_TIMEOUT;
  if (error instanceof errors.InvalidArgumentError || error instanceof errors.NotSupportedError) return INTERNAL_FAULT;
  if (error instanceof errors.ClientDestroyedError || error instanceof errors.ClientClosedError) return UPSTREAM_BUSY;
  return UPSTREAM_BROKEN;
}

function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

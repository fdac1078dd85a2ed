import type { TlsOptions } from 'node:tls';
import { watchCertificates } from './config/certificates.ts';
import { ConfigError } from './config/problem.ts';
import { type Config, parseUpstreamUrl, type UpstreamAddress } from './config/schema.ts';
import type { Secrets, TlsMaterial } from './config/secrets.ts';
import { TLS_PROFILE } from './config/tls-profile.ts';
import type { ExchangeParts } from './exchange.ts';
import { createGrpcListener, type GrpcListener } from './grpc/listener.ts';
import { createAuthenticator } from './identity/authenticate.ts';
import { createKeyRing } from './identity/key-ring.ts';
import { createValueExists } from './identity/value-exists.ts';
import { createLog, createThrottle, describeFault, type Log } from './observability/log.ts';
import { createRestListener, type RestListener } from './rest/listener.ts';
import type { ListenerTls } from './rest/listener-tls.ts';
import type { RelayUpstream } from './rest/relay-upstream.ts';
import { createGrpcAsker, type GrpcAsker } from './upstream/ask-grpc.ts';
import { createRestUpstream, type RestUpstream } from './upstream/http.ts';
import { createUpstreamLookup, type UpstreamLookup } from './upstream/lookup.ts';

/** Milliseconds the start waits for upstream to tell its release; it starts without, too. */
const VERSION_TIMEOUT_MS = 2000;
/** Upstream connections for the gateway's own questions (`value_exists`, names, release). */
const OWN_CONNECTIONS = 32;
/** Requests that wait for an upstream connection, per connection. */
const WAITING_PER_CONNECTION = 8;
/** Log lines about faults in any second. */
const FAULT_LINES_PER_SECOND = 10;
/** Largest upstream answer that is held to be filtered. */
const MAX_FILTERED_BYTES = 64 * 1_048_576;

export interface Listening {
  readonly host: string;
  readonly port: number;
}

/** A gateway built from one configuration. */
export interface Gateway {
  /** Listens on both ports. Rejects, and listens on none, when one cannot be had. */
  start(): Promise<{ readonly rest: Listening; readonly grpc: Listening | null }>;
  /** Takes nothing new, lets what is open finish within `graceMs`, cuts the rest. */
  stop(graceMs: number): Promise<void>;
}

/** Puts the parts together. Nothing listens and no upstream is asked before `start`. */
export async function createGateway(config: Config, secrets: Secrets): Promise<Gateway> {
  const log = createLog(config.log_level);
  const rest = addressOf(config.gateway.upstream.rest_url, 'gateway.upstream.rest_url');
  const { max_connections: connections } = config.gateway.upstream;
  const upstream = openRestUpstream(config, secrets, rest, connections);
  // INVARIANT: what clients ask never keeps the gateway's own questions waiting.
  const own = openRestUpstream(config, secrets, rest, Math.min(connections, OWN_CONNECTIONS));
  const lookup = createUpstreamLookup(own);
  const parts = createParts(config, secrets, lookup, log);
  let restListener: RestListener | undefined;
  let stopWatching = (): void => undefined;
  let grpc: { listener: GrpcListener; asker: GrpcAsker } | undefined;

  return {
    async start() {
      try {
        await refuseSecuredUpstream(lookup);
        restListener = await createRestListener(restOptions(config, secrets, parts, { upstream, lookup }));
        grpc = await openGrpc(config, secrets, parts);
      } catch (error) {
        await restListener?.close(0);
        await Promise.all([upstream.destroy(), own.destroy()]);
        throw error;
      }
      stopWatching = watchCertificates(config, {
        changed(tls) {
          restListener?.setSecureContext(restTls(tls));
          grpc?.listener.setSecureContext(grpcTls(tls));
        },
        warn: (warning) => log.warn(warning),
        failed: (problems) => log.error({ problems }, 'certificates could not be read again; the old ones stay'),
      });
      await sayVersion(lookup, log);
      return { rest: restListener.address, grpc: grpc?.listener.address ?? null };
    },
    async stop(graceMs) {
      stopWatching();
      await Promise.all([restListener?.close(graceMs), grpc?.listener.close(graceMs)]);
      grpc?.asker.close();
      await Promise.all([upstream.destroy(), own.destroy()]);
    },
  };
}

function createParts(config: Config, secrets: Secrets, lookup: UpstreamLookup, log: Log): ExchangeParts {
  const ring = createKeyRing({ ...secrets, jwtRbac: config.service.jwt_rbac }, 1);
  const { authenticate } = createAuthenticator({
    ring,
    cacheEntries: config.gateway.limits.token_cache_entries,
    now: Date.now,
    valueExists: createValueExists({ scroll: lookup.scroll, timeoutMs: config.gateway.value_exists.timeout_ms }),
  });
  const mayLog = createThrottle(FAULT_LINES_PER_SECOND, Date.now);
  return {
    authenticate,
    record: () => undefined,
    fault: (error, exchange) => {
      const missed = mayLog();
      if (missed === undefined) return;
      const operation = exchange?.resolution?.operation.name;
      log.error(
        { ...describeFault(error), protocol: exchange?.protocol, operation, ...(missed > 0 ? { missed } : {}) },
        'a request failed closed',
      );
    },
  };
}

function openRestUpstream(
  config: Config,
  secrets: Secrets,
  address: UpstreamAddress,
  connections: number,
): RestUpstream {
  const { upstream, limits } = config.gateway;
  return createRestUpstream({
    origin: `${address.tls ? 'https' : 'http'}://${authorityOf(address)}`,
    connections,
    maxWaiting: upstream.max_connections * WAITING_PER_CONNECTION,
    connectTimeoutMs: upstream.connect_timeout_ms,
    idleMs: upstream.keep_alive_ms,
    headersTimeoutMs: upstream.response_header_timeout_ms,
    bodyTimeoutMs: limits.stream_idle_timeout_ms,
    ...(secrets.upstreamCa ? { ca: secrets.upstreamCa } : {}),
  });
}

function restOptions(
  config: Config,
  secrets: Secrets,
  parts: ExchangeParts,
  { upstream, lookup }: { readonly upstream: RestUpstream; readonly lookup: UpstreamLookup },
): Parameters<typeof createRestListener>[0] {
  const { service } = config;
  const { limits } = config.gateway;
  const { tls } = secrets;
  return {
    host: service.host,
    port: service.http_port,
    ...(tls ? { tls: restTls(tls) } : {}),
    limits: {
      maxConnections: limits.max_connections,
      maxHeaderBytes: limits.header_bytes,
      handshakeTimeoutMs: limits.tls_handshake_timeout_ms,
      headersTimeoutMs: limits.header_timeout_ms,
      keepAliveTimeoutMs: limits.keep_alive_timeout_ms,
      maxConcurrentStreams: limits.http2_max_concurrent_streams,
    },
    parts,
    upstream,
    lookup,
    cors: service.enable_cors,
    staticContent: service.enable_static_content,
    maxInspectedBytes: limits.inspected_body_bytes,
    snapshotUrlRecovery: service.enable_snapshot_url_recovery,
    nestingGuard: limits.nesting_guard,
    inspection: { maxDepth: limits.json_depth },
    maxFilteredBytes: MAX_FILTERED_BYTES,
    bodyIdleMs: limits.body_idle_timeout_ms,
    answerIdleMs: limits.stream_idle_timeout_ms,
    maxHeaders: limits.header_count,
    ...(config.gateway.rest.relay ? { relay: relayUpstream(config, secrets) } : {}),
    telemetry: {
      jwtRbac: service.jwt_rbac ?? undefined,
      hideJwtDashboard: service.hide_jwt_dashboard ?? undefined,
    },
  };
}

function relayUpstream({ gateway: { upstream, limits } }: Config, secrets: Secrets): RelayUpstream {
  const address = addressOf(upstream.rest_url, 'gateway.upstream.rest_url');
  return {
    address,
    authority: authorityOf(address),
    socket: {
      connectTimeoutMs: upstream.connect_timeout_ms,
      ca: secrets.upstreamCa ?? undefined,
      alpn: ['http/1.1'],
    },
    headersTimeoutMs: upstream.response_header_timeout_ms,
    bodyTimeoutMs: limits.stream_idle_timeout_ms,
    keepAliveMs: upstream.keep_alive_ms,
  };
}

async function openGrpc(
  config: Config,
  secrets: Secrets,
  parts: ExchangeParts,
): Promise<{ listener: GrpcListener; asker: GrpcAsker } | undefined> {
  const { service } = config;
  const { limits, upstream } = config.gateway;
  if (service.grpc_port === null) return undefined;
  const address = addressOf(upstream.grpc_url, 'gateway.upstream.grpc_url');
  const ca = secrets.upstreamCa ?? undefined;
  const asker = createGrpcAsker(address, ca);
  const listener = await createGrpcListener({
    host: service.host,
    port: service.grpc_port,
    tls: secrets.tls ? grpcTls(secrets.tls) : undefined,
    tlsHandshakeTimeoutMs: limits.tls_handshake_timeout_ms,
    maxConnections: limits.max_connections,
    relay: {
      parts,
      upstream: {
        address,
        authority: authorityOf(address),
        socket: { connectTimeoutMs: upstream.connect_timeout_ms, ca, alpn: ['h2'] },
      },
      limits: {
        maxStreams: limits.http2_max_concurrent_streams,
        headerBytes: limits.header_bytes,
        headerCount: limits.header_count,
        headerTimeoutMs: limits.header_timeout_ms,
        streamIdleMs: limits.stream_idle_timeout_ms,
        bodyIdleMs: limits.body_idle_timeout_ms,
        connectionIdleMs: limits.stream_idle_timeout_ms,
      },
      nestingGuard: limits.nesting_guard,
      messageLimits: { compressedBytes: limits.inspected_body_bytes, inflatedBytes: limits.inspected_body_bytes },
      ask: asker,
      clock: Date.now,
    },
  }).catch((error: unknown) => {
    asker.close();
    throw error;
  });
  return { listener, asker };
}

function restTls({ cert, key, clientCa }: TlsMaterial): ListenerTls {
  return { cert, key, ...(clientCa ? { ca: clientCa, requestClientCert: true } : {}) };
}

function grpcTls({ cert, key }: TlsMaterial): TlsOptions {
  return { ...TLS_PROFILE, cert, key };
}

/** A key left on Qdrant would have it refuse everything the gateway permits. Unreachable is no reason not to start. */
async function refuseSecuredUpstream(lookup: UpstreamLookup): Promise<void> {
  if (!(await lookup.asksForKey(AbortSignal.timeout(VERSION_TIMEOUT_MS)))) return;
  const message = 'the upstream asks for a key itself: take the keys off qdrant, the gateway checks them now';
  throw new ConfigError([{ place: 'gateway.upstream.rest_url', message }]);
}

/** Tells which release is behind. */
async function sayVersion(lookup: UpstreamLookup, log: Log): Promise<void> {
  const version = await lookup.version(AbortSignal.timeout(VERSION_TIMEOUT_MS));
  if (typeof version === 'string') log.info({ version }, 'upstream answers');
  else log.warn({ reason: version.message }, 'upstream does not answer yet; requests are refused until it does');
}

function addressOf(url: string | null, option: string): UpstreamAddress {
  const address = url === null ? null : parseUpstreamUrl(url);
  if (address === null) throw new TypeError(`\`${option}\` is not an address`);
  return address;
}

function authorityOf({ host, port }: UpstreamAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

import type { TlsOptions } from 'node:tls';
import { isAudited } from '../audit/audit.ts';
import type { Config } from '../config/schema.ts';
import type { TlsMaterial } from '../config/secrets.ts';
import type { State } from '../config/state.ts';
import { textList } from '../config/text-list.ts';
import { TLS_PROFILE } from '../config/tls-profile.ts';
import { listedNodes } from '../config/upstream/rules.ts';
import { authorityOf, parseUpstreamUrl, type UpstreamAddress } from '../config/upstream-url.ts';
import type { ConsolePort } from '../exchange/console-request.ts';
import type { ExchangeParts } from '../exchange/exchange.ts';
import type { GrpcListenerOptions } from '../grpc/listener.ts';
import { createGrpcNodes, type GrpcNodes } from '../grpc/nodes/node-choice.ts';
import { createGrpcAsker, type GrpcAsker } from '../grpc/unary/asker.ts';
import { createNodesAsker } from '../grpc/unary/nodes-asker.ts';
import type { GrpcUpstream } from '../grpc/unary/unary-call.ts';
import type { ClientTrust } from '../identity/certificates/handshakes.ts';
import { turnClock } from '../lifetime/turn-clock.ts';
import type { MemoryBudget } from '../limits/memory-budget.ts';
import type { WorkScheduler } from '../limits/work-scheduler.ts';
import type { ProxiesInFront } from '../net/identify-client.ts';
import { trustedProxies } from '../net/trusted-proxies.ts';
import { type AllowedOrigins, allowedOrigins } from '../rest/allowed-origins.ts';
import { type Cors, NO_CORS } from '../rest/cors.ts';
import type { RestListenerOptions } from '../rest/listener.ts';
import type { RelayNodes } from '../rest/relay/nodes/pool.ts';
import type { RelayUpstream } from '../rest/relay/upstream.ts';
import type { TelemetryAudit } from '../rest/response/telemetry-settings.ts';
import type { ListenerTls } from '../rest/tls/listener-tls.ts';
import type { Validations } from '../rest/tls/validation-tls.ts';
import type { TokenEndpoint } from '../token-endpoint/endpoint.ts';
import { liveCredential, type UpstreamCredential } from '../upstream/credential.ts';
import type { RestUpstream, RestUpstreamOptions } from '../upstream/http.ts';
import type { UpstreamLookup } from '../upstream/lookup.ts';
import type { NodeSet } from '../upstream/nodes/node-set.ts';
import type { ClientIdentity, SocketOptions } from '../upstream/sockets.ts';
import { listBlocks } from '../x509/revocation-list.ts';
import { unixSocketOf } from './unix-listeners.ts';

/* Options of listeners and upstream connections, derived from one configuration. */

/** Requests in the queue per upstream connection. */
const WAITING_PER_CONNECTION = 8;
/** Largest upstream answer that is buffered for a filter, in bytes. */
const MAX_FILTERED_BYTES = 64 * 1_048_576;

/** The state in force, which a reload replaces. */
type Current = () => State;

const caOf = (current: Current): Buffer | undefined => current().secrets.upstreamCa ?? undefined;
const identityOf = (current: Current): ClientIdentity | undefined => current().secrets.upstreamIdentity;

/** The one REST address; throws when none is configured. */
function restAddress({ gateway: { upstream } }: Config): UpstreamAddress {
  return addressOf(upstream.rest_url, 'gateway.upstream.rest_url');
}

/** The credential that upstream is shown under the state in force. */
export function credentialOf(current: Current): () => UpstreamCredential {
  return liveCredential(() => {
    const { secrets, config } = current();
    return { key: secrets.upstreamKey, callers: config.gateway.upstream.compare };
  });
}

/** Options of a pool of REST connections to upstream. @param address default: the one that is configured */
export function restUpstreamOptions(
  current: Current,
  connections: number,
  address: UpstreamAddress = restAddress(current().config),
): RestUpstreamOptions {
  const { upstream, limits } = current().config.gateway;
  return {
    origin: `${address.tls ? 'https' : 'http'}://${authorityOf(address)}`,
    socketPath: 'path' in address ? address.path : undefined,
    connections,
    maxWaiting: upstream.max_connections * WAITING_PER_CONNECTION,
    connectTimeoutMs: upstream.connect_timeout_ms,
    idleMs: upstream.keep_alive_ms,
    headersTimeoutMs: upstream.response_header_timeout_ms,
    bodyTimeoutMs: limits.stream_idle_timeout_ms,
    ca: () => caOf(current),
    identity: () => identityOf(current),
    serverName: 'path' in address ? undefined : address.serverName,
  };
}

/** State that the REST listener shares with the rest of the process. */
export interface RestShared {
  readonly upstream: RestUpstream;
  /** Several nodes; `undefined` = one address. */
  readonly nodes: NodeSet | undefined;
  readonly lookup: UpstreamLookup;
  readonly tokens: TokenEndpoint;
  readonly console: ConsolePort | undefined;
  /** Presence of upstream's web UI. */
  readonly webUi: { readonly present: boolean };
  readonly scheduler: WorkScheduler;
  /** Of both listeners. */
  readonly answerMemory: MemoryBudget;
  readonly proxies: ProxiesInFront | undefined;
  /** True = several processes listen on the ports. */
  readonly shared: boolean;
  /** The trust in client certificates; `undefined` = they are no identities. */
  readonly clientTrust: ClientTrust | undefined;
  readonly validations: Validations;
}

/** Options of the REST listener. */
export function restListenerOptions(
  current: Current,
  parts: ExchangeParts,
  {
    upstream,
    nodes,
    lookup,
    tokens,
    console: pages,
    webUi,
    scheduler,
    answerMemory,
    shared,
    proxies,
    clientTrust,
    validations,
  }: RestShared,
): RestListenerOptions {
  const { config, secrets } = current();
  const { service } = config;
  const { limits } = config.gateway;
  const { tls } = secrets;
  return {
    host: service.host,
    port: service.http_port,
    unix: unixSocketOf(config, 'rest'),
    ...(tls ? { tls: restTls(tls) } : {}),
    limits,
    upstreamConnections: config.gateway.upstream.max_connections,
    parts,
    upstream,
    nodes,
    credential: credentialOf(current),
    lookup,
    tokens,
    console: config.gateway.console.on_rest_port ? pages : undefined,
    scheduler,
    answerMemory,
    ...{ shared, proxies, clientTrust, validations },
    cors: corsOf(current),
    webUi,
    maxFilteredBytes: MAX_FILTERED_BYTES,
    upstreamWaitMs: config.gateway.upstream.response_header_timeout_ms,
    ...(config.gateway.rest.relay ? { relay: nodes ? relayNodes(current, nodes) : relayUpstream(current) } : {}),
    telemetry: {
      get jwtRbac() {
        return current().config.service.jwt_rbac ?? undefined;
      },
      get hideJwtDashboard() {
        return current().config.service.hide_jwt_dashboard ?? undefined;
      },
      audit: telemetryAudit(config),
      get hidesOthers() {
        const { secrets: now, config: next } = current();
        return now.upstreamKey !== null && !next.gateway.upstream.compare;
      },
    },
  };
}

/** CORS is on or off from the start; a reload may change the origins. */
function corsOf(current: Current): Cors {
  if (!current().config.service.enable_cors) return NO_CORS;
  let text: string | null | undefined;
  let origins: AllowedOrigins | undefined;
  return {
    get current() {
      const { allowed_origins: next } = current().config.gateway.cors;
      if (!origins || next !== text) origins = allowedOrigins(textList(next));
      text = next;
      return origins;
    },
  };
}

/** Audit settings in telemetry, in upstream's order. Files are opened at start, so a reload changes nothing. */
function telemetryAudit({ audit }: Config): TelemetryAudit | undefined {
  if (!audit.enabled) return undefined;
  const { dir, rotation, max_log_files, trust_forwarded_headers, log_api } = audit;
  return { dir, rotation, max_log_files, trust_forwarded_headers, log_api };
}

/** Socket options of both relays to upstream. A reload may change CA and identity. */
export function upstreamSocket(current: Current, protocol: 'http/1.1' | 'h2'): SocketOptions {
  return {
    connectTimeoutMs: current().config.gateway.upstream.connect_timeout_ms,
    get ca() {
      return caOf(current);
    },
    get identity() {
      return identityOf(current);
    },
    alpn: [protocol],
  };
}

function relayNodes(current: Current, nodes: NodeSet): RelayNodes {
  return { nodes, of: (node) => relayUpstream(current, node.rest.address) };
}

function relayUpstream(current: Current, address = restAddress(current().config)): RelayUpstream {
  const { upstream, limits } = current().config.gateway;
  return {
    address,
    authority: authorityOf(address),
    credential: credentialOf(current),
    socket: upstreamSocket(current, 'http/1.1'),
    headersTimeoutMs: upstream.response_header_timeout_ms,
    bodyTimeoutMs: limits.stream_idle_timeout_ms,
    keepAliveMs: upstream.keep_alive_ms,
  };
}

/** The proxies that both listeners trust; `undefined` = none. */
export function proxiesInFront({ gateway }: Config): ProxiesInFront | undefined {
  const entries = textList(gateway.trusted_proxies);
  if (entries.length === 0) return undefined;
  return { trusted: trustedProxies(entries, gateway.forwarded_header), protocol: gateway.proxy_protocol };
}

/** Where gRPC goes; throws when no address is configured. */
function grpcAddress(config: Config): UpstreamAddress {
  const [node] = listedNodes(config);
  if (node?.grpc) return node.grpc;
  return addressOf(config.gateway.upstream.grpc_url, 'gateway.upstream.grpc_url');
}

function grpcUpstream(current: Current): GrpcUpstream {
  const address = grpcAddress(current().config);
  const socket = upstreamSocket(current, 'h2');
  return { address, authority: authorityOf(address), credential: credentialOf(current), socket };
}

/** The gateway's own gRPC calls; throws when there are neither nodes nor an address. Nothing is connected yet. */
export function grpcAsker(current: Current, nodes?: NodeSet): GrpcAsker {
  return nodes ? createNodesAsker(grpcNodes(current, nodes)) : createGrpcAsker(grpcUpstream(current));
}

function grpcNodes(current: Current, nodes: NodeSet): GrpcNodes {
  return createGrpcNodes(nodes, { credential: credentialOf(current), socket: upstreamSocket(current, 'h2') });
}

/** The parts of the process that the gRPC listener shares. */
export type GrpcShared = Pick<
  RestShared,
  'scheduler' | 'answerMemory' | 'shared' | 'proxies' | 'nodes' | 'clientTrust'
> & {
  readonly ask: GrpcAsker;
};

/** Options of the gRPC listener. */
export function grpcListenerOptions(
  current: Current,
  parts: ExchangeParts,
  { ask, nodes, scheduler, answerMemory, shared, proxies, clientTrust }: GrpcShared,
): GrpcListenerOptions {
  const { config, secrets } = current();
  const { service } = config;
  const { limits } = config.gateway;
  return {
    ...{ shared, proxies, clientTrust },
    host: service.host,
    port: service.grpc_port ?? 0,
    unix: unixSocketOf(config, 'grpc'),
    tls: secrets.tls ? grpcTls(secrets.tls) : undefined,
    relay: {
      parts,
      upstream: nodes ? grpcNodes(current, nodes) : grpcUpstream(current),
      limits,
      noteNames: isAudited(config),
      messageLimits: { compressedBytes: limits.inspected_body_bytes, inflatedBytes: limits.inspected_body_bytes },
      ask,
      scheduler,
      answerMemory,
      clock: turnClock.wall,
    },
  };
}

/** Certificate, key and client CA as the REST listener takes them. */
export function restTls({ cert, key, clientCa, identities, ticketKeys }: TlsMaterial): ListenerTls {
  return {
    cert,
    key,
    ...(ticketKeys ? { ticketKeys } : {}),
    ...(identities && identityTls(identities)),
    ...(clientCa ? { ca: clientCa, clientCert: 'required' } : identities ? { clientCert: 'asked' } : {}),
  };
}

/** Certificate, key and client CA as the gRPC listener takes them. Its sessions resume on this listener only. */
export function grpcTls({ cert, key, grpcClientCa, identities, ticketKeys }: TlsMaterial): TlsOptions {
  return {
    ...TLS_PROFILE,
    sessionIdContext: 'grpc',
    ...(cert && key ? { cert, key } : {}),
    ...(ticketKeys ? { ticketKeys } : {}),
    // INVARIANT: where a handshake lets others in, their certificates are no identities: `VerifiedCertificate` looks.
    ...(identities && { ...identityTls(identities), requestCert: true, rejectUnauthorized: false }),
    ...(grpcClientCa ? { ca: grpcClientCa, requestCert: true, rejectUnauthorized: true } : {}),
  };
}

/** CAs and revocation lists for OpenSSL. */
function identityTls({ ca, crl }: NonNullable<TlsMaterial['identities']>): Pick<ListenerTls, 'ca' | 'crl'> {
  return { ca, ...(crl && { crl: [...listBlocks(crl)] }) };
}

function addressOf(url: string | null, option: string): UpstreamAddress {
  const address = url === null ? null : parseUpstreamUrl(url);
  if (address === null) throw new TypeError(`\`${option}\` is not an address`);
  return address;
}

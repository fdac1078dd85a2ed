import { z } from 'zod';
import { bareLevel } from './log-level.ts';
import {
  choice,
  DAY_MS,
  flag,
  key,
  live,
  MIB,
  MILLISECONDS,
  optionalFlag,
  optionalText,
  optionalWhole,
  PORT,
  SECONDS,
  text,
  texts,
  unixAddress,
  whole,
} from './option-kinds.ts';
import { acme, certs, devCerts, ownFiles, settleCertificates } from './sections/certificates.ts';
import { admin, audit, auditMore, consoleSection, log, revocation, shared, tracing } from './sections/operation.ts';
import { listText } from './text-list.ts';
import { settleUpstream, upstream } from './upstream/schema.ts';

/*
 * The only declaration of each option: type, default, range and one line of documentation. Option names, environment
 * names (`options.ts`), the JSON schema and the documentation table (`document.ts`) are derived from it.
 *
 * `service`, `tls` and `log_level` have Qdrant's names and meaning, so that the environment of a Qdrant can be moved
 * over unchanged; the gateway's own options are below `gateway`.
 */

const service = z.object({
  api_key: live(key('admin key (also a JWT secret)')),
  api_key_file: live(optionalText('file with the admin key; one newline at its end is ignored')),
  alt_api_key: live(key('second admin key, for rotation (also a JWT secret)')),
  alt_api_key_file: live(optionalText('file with the second admin key')),
  read_only_api_key: live(key('key with read access to everything; never a JWT secret')),
  read_only_api_key_file: live(optionalText('file with the read-only key')),
  jwt_rbac: live(optionalFlag('accept HS256 JWTs; unset is off, and telemetry then omits the field')),
  hide_jwt_dashboard: live(optionalFlag('hide the token page of the Web UI; unset leaves the field out of telemetry')),
  enable_tls: flag(false, 'TLS on both ports'),
  host: text('0.0.0.0', 'address to listen on'),
  http_port: whole(PORT, 6333, 'REST port; 0: any free port'),
  grpc_port: z
    .int()
    .min(PORT[0])
    .max(PORT[1])
    .nullable()
    .default(6334)
    .meta({ description: 'gRPC port; 0: any free port; null (in the environment: empty) turns gRPC off' }),
  enable_cors: flag(true, 'answer browsers of any origin (`gateway.cors.allowed_origins`); preflights need no key'),
  max_request_size_mb: whole([1, 4096], 32, 'largest JSON body in MiB; uploads and gRPC have no limit'),
  http_keep_alive_timeout_sec: optionalWhole(
    SECONDS,
    'time an idle REST connection is kept open, in seconds; unset: `gateway.limits.keep_alive_timeout_ms`',
  ),
  http_client_request_timeout_sec: optionalWhole(
    SECONDS,
    'time limit for the head of a request, in seconds; unset: `gateway.limits.header_timeout_ms`',
  ),
  enable_static_content: flag(true, 'serve the Web UI of the upstream under /dashboard, without a key, as Qdrant does'),
  verify_https_client_certificate: flag(false, 'require a certificate signed by `tls.ca_cert` from REST clients'),
  enable_snapshot_url_recovery: flag(true, 'allow snapshot recovery from a URL'),
});

const tls = z.object({
  cert: live(text('./tls/cert.pem', 'certificate chain, PEM')),
  key: live(text('./tls/key.pem', 'private key, PEM (PKCS#8, PKCS#1 or SEC1)')),
  ca_cert: live(
    text('./tls/cacert.pem', 'CA of client certificates, PEM; read only if client certificates are required'),
  ),
  cert_ttl: live(
    z
      .int()
      .min(0)
      .max(31_536_000)
      .nullable()
      .default(3600)
      .meta({ description: 'seconds after which certificate files are read again; 0 or null: never' }),
  ),
});

const limits = z.strictObject({
  header_bytes: whole([1024, 1_048_576], 65_536, 'largest header block, in bytes'),
  header_count: whole([8, 2000], 100, 'most headers of one request'),
  tls_handshake_timeout_ms: whole(MILLISECONDS, 10_000, 'time limit for the TLS handshake, and for a PROXY header'),
  tls_handshake_bytes: whole(
    [4096, 102_400],
    16_384,
    'most bytes of a client in a TLS handshake that asks for its certificate, certificates included',
  ),
  header_timeout_ms: optionalWhole(
    MILLISECONDS,
    'time limit for the head of a request; unset: `service.http_client_request_timeout_sec`, else 10000',
  ),
  body_idle_timeout_ms: whole(
    MILLISECONDS,
    300_000,
    'longest pause within a request body; at most 30000 without a valid credential',
  ),
  stream_idle_timeout_ms: whole(
    MILLISECONDS,
    300_000,
    'longest pause of a gRPC stream, of a gRPC connection without one, or of an answer',
  ),
  keep_alive_timeout_ms: optionalWhole(
    MILLISECONDS,
    'idle client connections are closed after this; unset: `service.http_keep_alive_timeout_sec`, else 60000',
  ),
  http2_max_concurrent_streams: whole(
    [1, 10_000],
    100,
    'concurrent streams of one HTTP/2 connection; ten times as many with a valid credential',
  ),
  inspected_body_bytes: optionalWhole(
    [1024, 4096 * MIB],
    'largest body that is inspected, in bytes; unset: `service.max_request_size_mb`',
  ),
  json_depth: whole([8, 64], 64, 'deepest nesting of a JSON body; the limit of a gRPC message is always 100'),
  nesting_guard: z
    .enum(['below_manage', 'all'])
    .default('below_manage')
    .meta({ description: 'callers whose bodies have a nesting limit: those without global manage, or all' }),
  max_connections: whole([1, 1_000_000], 8192, 'concurrent client connections, per port'),
  token_cache_entries: whole([0, 1_000_000], 10_000, 'size of the cache of verified tokens; 0: no cache'),
});

const clientCertificates = z.strictObject({
  mode: choice(
    ['off', 'identity', 'beside_key'],
    'off',
    'client certificates of CAs in `tls.ca_cert` on both ports: identity takes one where a request has no key or token, beside_key requires both; off leaves them to `service.verify_https_client_certificate` and `gateway.grpc_client_certificates`',
  ),
  crl: live(
    optionalText(
      'revocation lists for certificates as identities, PEM: one of each CA in `tls.ca_cert`; a reload counts on open connections, too',
    ),
  ),
});

const gateway = z.strictObject({
  upstream: upstream.prefault({}),
  trusted_proxies: texts(
    'addresses, ranges as 10.0.0.0/8, and `unix:` for peers on a unix socket',
    'proxies in front of the gateway: only they say which client a connection or a request comes from',
  ),
  forwarded_header: choice(
    ['x-forwarded-for', 'forwarded'],
    'x-forwarded-for',
    'header in which the trusted proxies name the client of a request; the other one is not read',
  ),
  proxy_protocol: choice(
    ['off', 'accept', 'require'],
    'off',
    'PROXY protocol (v1, v2) on the REST and gRPC ports, from trusted proxies: off reads none, accept reads one if it comes, require closes connections without one',
  ),
  policy_file: live(optionalText('policy file (YAML): signing keys, rules, guards, limits and requirements on tokens')),
  keys_file: live(optionalText('file with named keys (YAML or JSON), written by `qdrant-gateway key`')),
  mode: live(
    choice(
      ['enforce', 'shadow', 'learn'],
      'enforce',
      'shadow forwards and counts requests that enforce would refuse; learn also writes the smallest policy for them: neither protects',
    ),
  ),
  learn_file: live(text('./learned-policy.yaml', 'file that learn mode writes the policy to')),
  reload: z
    .strictObject({
      watch: live(flag(true, 'apply changed files (configuration, policy, keys, certificates) without a signal')),
    })
    .prefault({}),
  workers: z
    .union([z.int().min(1).max(256), z.literal('auto')])
    .default(1)
    .meta({ description: 'worker processes; auto: one per core' }),
  drain_delay_ms: whole(
    [0, DAY_MS],
    0,
    'time after SIGTERM in which the gateway still accepts connections, is not ready, and asks clients to move; a second signal ends it',
  ),
  shutdown_grace_ms: whole(
    [0, DAY_MS],
    30_000,
    'time limit for open exchanges after SIGTERM, counted from the end of `gateway.drain_delay_ms`',
  ),
  log: log.prefault({}),
  audit: auditMore.prefault({}),
  admin: admin.prefault({}),
  console: consoleSection.prefault({}),
  metrics: z
    .strictObject({
      per_key: flag(false, 'also count requests by key id and subject'),
      max_labels: whole(
        [1, 100_000],
        200,
        'most key ids and subjects with a label of their own; others are counted as `other`',
      ),
    })
    .prefault({}),
  tracing: tracing.prefault({}),
  revocation: revocation.prefault({}),
  shared: shared.prefault({}),
  grpc_client_certificates: flag(false, 'also require a certificate signed by `tls.ca_cert` from gRPC clients'),
  client_certificates: clientCertificates.prefault({}),
  certs,
  acme: acme.prefault({}),
  dev_certs: devCerts.prefault({}),
  insecure_allow_no_key: live(flag(false, 'start without any key: every caller has full access')),
  listen: z
    .strictObject({
      rest: unixAddress('unix socket for REST, in place of `service.host` and `service.http_port`'),
      grpc: unixAddress('unix socket for gRPC, in place of `service.host` and `service.grpc_port`'),
      mode: z
        .string()
        .regex(/^0?[0-7]{3}$/)
        .default('0660')
        .meta({ description: 'permissions of these sockets', 'x-allowed': 'octal digits, for example 0660' }),
    })
    .prefault({}),
  compatibility: z
    .strictObject({
      create_existing: flag(
        false,
        'creating a collection that exists is 409, as for an admin, for callers that may write it and not create it; off: 403',
      ),
    })
    .prefault({}),
  cors: z
    .strictObject({
      allowed_origins: live(
        texts(
          'origins, `https://a.example.com` or `https://*.example.com`',
          'origins whose pages may read answers over REST, while `service.enable_cors` is on; `*.` stands for one label or more; unset: every origin',
        ),
      ),
    })
    .prefault({}),
  rest: z
    .strictObject({
      relay: flag(
        true,
        'pass plain REST requests as bytes, over HTTP/1.1 and HTTP/2; off: the server takes all requests',
      ),
    })
    .prefault({}),
  limits: limits.prefault({}),
  value_exists: z
    .strictObject({ timeout_ms: whole(MILLISECONDS, 2000, 'time limit for the look-up of a `value_exists` claim') })
    .prefault({}),
});

/** The declaration in its external form (YAML file, JSON schema): nested sections, snake_case names. */
export const settingsSchema = z.object({
  log_level: live(
    z.string().default('INFO').meta({
      description: 'lowest level that is written to the log',
      'x-allowed': 'one of trace, debug, info, warn, error, off',
    }),
  ),
  service: service.prefault({}),
  tls: tls.prefault({}),
  audit: audit.prefault({}),
  gateway: gateway.prefault({}),
});

type Settings = z.output<typeof settingsSchema>;

function settleConsole({ oidc, ...pages }: Settings['gateway']['console']) {
  return { ...pages, oidc: { ...oidc, full: listText(oidc.full), read: listText(oidc.read) } };
}

function settleLimits(settings: Settings) {
  const { limits: own } = settings.gateway;
  const { service: native } = settings;
  const milliseconds = (seconds: number | null) => (seconds === null ? null : seconds * 1000);
  return {
    ...own,
    header_timeout_ms: own.header_timeout_ms ?? milliseconds(native.http_client_request_timeout_sec) ?? 10_000,
    keep_alive_timeout_ms: own.keep_alive_timeout_ms ?? milliseconds(native.http_keep_alive_timeout_sec) ?? 60_000,
    inspected_body_bytes: own.inspected_body_bytes ?? native.max_request_size_mb * MIB,
  };
}

/** Settings (some optional) to Config (every limit a number): resolves options that default to another option. */
export const configSchema = settingsSchema.transform((settings) => ({
  ...settings,
  log_level: bareLevel(settings.log_level) ?? 'info',
  service: {
    ...settings.service,
    // A certificate that the gateway gets itself is for nothing but TLS.
    enable_tls: settings.service.enable_tls || ownFiles(settings.gateway) !== undefined,
  },
  tls: { ...settings.tls, ...ownFiles(settings.gateway), cert_ttl: settings.tls.cert_ttl ?? 0 },
  gateway: {
    ...settings.gateway,
    ...settleCertificates(settings.gateway),
    trusted_proxies: listText(settings.gateway.trusted_proxies),
    console: settleConsole(settings.gateway.console),
    cors: { allowed_origins: listText(settings.gateway.cors.allowed_origins) },
    upstream: settleUpstream(settings.gateway.upstream),
    limits: settleLimits(settings),
  },
}));

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/**
 * The whole configuration, deeply frozen. The name of a time carries its unit (`_ms`, `_sec`); sizes are bytes unless
 * the name says `_mb` (MiB). May contain keys: output it only through `redact` of `document.ts`, and take keys from
 * `Secrets`.
 */
export type Config = DeepReadonly<z.output<typeof configSchema>>;

/** `gateway.limits`. A folder that keeps a limit reads it from here, by its own name. */
export type Limits = Config['gateway']['limits'];

import { z } from 'zod';

/*
 * Every option once: type, default, range and one line of documentation. Option names, environment names
 * (`options.ts`), the JSON schema and the documentation table (`document.ts`) are all read from here.
 *
 * `service`, `tls` and `log_level` carry Qdrant's own names and meaning, so that its environment block moves over
 * unchanged; what only the gateway has stands under `gateway`.
 */

const DAY_MS = 86_400_000;
const MIB = 1_048_576;

const flag = (fallback: boolean, doc: string) => z.boolean().default(fallback).meta({ description: doc });

const whole = (range: readonly [min: number, max: number], fallback: number, doc: string) =>
  z.int().min(range[0]).max(range[1]).default(fallback).meta({ description: doc });

const optionalWhole = (range: readonly [min: number, max: number], doc: string) =>
  z.int().min(range[0]).max(range[1]).nullable().default(null).meta({ description: doc });

const text = (fallback: string, doc: string) => z.string().min(1).default(fallback).meta({ description: doc });

const optionalText = (doc: string) => z.string().min(1).nullable().default(null).meta({ description: doc });

const key = (doc: string) => z.string().min(1).nullable().default(null).meta({ description: doc, 'x-secret': true });

/** An option that a running gateway takes as it changes; any other needs a restart. */
const live = <T extends z.ZodType>(option: T): T => option.meta({ ...option.meta(), 'x-live': true });

const UPSTREAM_URL = /^(https?):\/\/(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+):([0-9]{1,5})\/?$/;

const upstreamUrl = (doc: string) =>
  z
    .string()
    .regex(UPSTREAM_URL)
    .refine((url) => parseUpstreamUrl(url) !== null)
    .nullable()
    .default(null)
    .meta({ description: doc, 'x-allowed': 'http://host:port or https://host:port' });

const HOST_AND_PORT = '(\\[[0-9a-fA-F:.]+\\]|[a-zA-Z0-9._-]+):[0-9]{1,5}';

const optionalUrl = (form: RegExp, allowed: string, doc: string, secret = false) =>
  z
    .string()
    .regex(new RegExp(form.source.replace('HOST', HOST_AND_PORT)))
    .nullable()
    .default(null)
    .meta({ description: doc, 'x-allowed': allowed, ...(secret ? { 'x-secret': true } : {}) });

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const;

const PORT = [0, 65_535] as const;
const MILLISECONDS = [1, DAY_MS] as const;
const SECONDS = [1, 86_400] as const;

const service = z.object({
  api_key: live(key('admin key (also a JWT secret)')),
  api_key_file: live(optionalText('file that holds the admin key; one newline at its end is not part of the key')),
  alt_api_key: live(key('second admin key, for rotation (also a JWT secret)')),
  alt_api_key_file: live(optionalText('file that holds the second admin key')),
  read_only_api_key: live(key('key with read access to everything; never a JWT secret')),
  read_only_api_key_file: live(optionalText('file that holds the read-only key')),
  jwt_rbac: live(
    z
      .boolean()
      .nullable()
      .default(null)
      .meta({ description: 'accept HS256 JWTs; unset is off, and telemetry then omits the field' }),
  ),
  hide_jwt_dashboard: live(
    z
      .boolean()
      .nullable()
      .default(null)
      .meta({ description: 'hide the token page of the Web UI; unset leaves the field out of telemetry' }),
  ),
  enable_tls: flag(false, 'TLS on both ports'),
  host: text('0.0.0.0', 'address to listen on'),
  http_port: whole(PORT, 6333, 'REST port; 0 takes a free one'),
  grpc_port: z
    .int()
    .min(PORT[0])
    .max(PORT[1])
    .nullable()
    .default(6334)
    .meta({ description: 'gRPC port; 0 takes a free one; null (in the environment: empty) turns gRPC off' }),
  enable_cors: flag(true, 'answer browsers of any origin; preflights need no key'),
  max_request_size_mb: whole([1, 4096], 32, 'largest JSON body in MiB; uploads and gRPC have no limit'),
  http_keep_alive_timeout_sec: optionalWhole(
    SECONDS,
    'seconds an idle REST connection is kept; unset: `gateway.limits.keep_alive_timeout_ms`',
  ),
  http_client_request_timeout_sec: optionalWhole(
    SECONDS,
    'seconds a client has for the head of a request; unset: `gateway.limits.header_timeout_ms`',
  ),
  enable_static_content: flag(true, 'serve the Web UI of the upstream under /dashboard, open as Qdrant has it'),
  verify_https_client_certificate: flag(false, 'ask REST clients for a certificate signed by `tls.ca_cert`'),
  enable_snapshot_url_recovery: flag(true, 'allow snapshot recovery from a URL'),
});

const tls = z.object({
  cert: live(text('./tls/cert.pem', 'certificate chain, PEM')),
  key: live(text('./tls/key.pem', 'private key, PEM (PKCS#8, PKCS#1 or SEC1)')),
  ca_cert: live(text('./tls/cacert.pem', 'CA of client certificates, PEM; read only when they are asked for')),
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

const upstream = z.strictObject({
  rest_url: upstreamUrl('REST address of the unsecured Qdrant'),
  grpc_url: upstreamUrl('gRPC address of the unsecured Qdrant'),
  connect_timeout_ms: whole(MILLISECONDS, 2000, 'time to connect'),
  response_header_timeout_ms: whole(MILLISECONDS, 300_000, 'time until the head of the answer'),
  keep_alive_ms: whole(MILLISECONDS, 4000, 'idle connections are closed after this; Qdrant closes its own after 5 s'),
  max_connections: whole([1, 65_535], 256, 'pooled REST connections'),
  tls_ca: live(optionalText('CA to trust for https upstreams, PEM; unset: the CAs of the runtime')),
});

const limits = z.strictObject({
  header_bytes: whole([1024, 1_048_576], 65_536, 'largest header block'),
  header_count: whole([8, 2000], 100, 'most headers of one request'),
  tls_handshake_timeout_ms: whole(MILLISECONDS, 10_000, 'time for the TLS handshake'),
  header_timeout_ms: optionalWhole(
    MILLISECONDS,
    'time for the head of a request; unset: `service.http_client_request_timeout_sec`, else 10000',
  ),
  body_idle_timeout_ms: whole(
    MILLISECONDS,
    300_000,
    'longest pause inside a request body; never more than 30000 where no credential is known',
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
    'streams open at once on one HTTP/2 connection; over gRPC ten times as many where a credential is known',
  ),
  inspected_body_bytes: optionalWhole(
    [1024, 4096 * MIB],
    'largest body that is inspected; unset: `service.max_request_size_mb`',
  ),
  json_depth: whole([8, 64], 64, 'deepest nesting of a JSON body; of a gRPC message it is 100'),
  nesting_guard: z
    .enum(['below_manage', 'all'])
    .default('below_manage')
    .meta({ description: 'whose bodies may not nest deeper than that: everybody below global manage, or all' }),
  max_connections: whole([1, 1_000_000], 8192, 'client connections open at once, per port'),
  token_cache_entries: whole([0, 1_000_000], 10_000, 'verified tokens that are remembered'),
});

const choice = <const T extends readonly [string, ...string[]]>(allowed: T, fallback: T[number], doc: string) =>
  z.enum(allowed).default(fallback).meta({ description: doc });

/** Upstream: the section of the same name, Qdrant v1.17.0. */
const audit = z.object({
  enabled: flag(false, 'write an audit log to files in `audit.dir`'),
  dir: text('./storage/audit', 'folder of the audit files'),
  rotation: choice(['daily', 'hourly'], 'daily', 'when a new audit file is begun (UTC)'),
  max_log_files: whole([1, 10_000], 7, 'audit files that are kept, the current one included'),
  trust_forwarded_headers: flag(
    false,
    'take the client of `remote` from `forwarded` or `x-forwarded-for` as they come; prefer `gateway.audit.trusted_proxies`',
  ),
  log_api: flag(true, 'name the REST path or gRPC method in each entry; where a credential was refused it always is'),
});

const auditMore = z.strictObject({
  stdout: flag(false, 'write the audit log to standard output'),
  syslog_url: optionalUrl(
    /^(udp|tcp):\/\/HOST$/,
    'udp://host:port or tcp://host:port',
    'send the audit log to a syslog server (RFC 5424)',
  ),
  otlp_url: optionalUrl(
    /^https?:\/\/HOST(\/[\w./-]*)?$/,
    'http://host:port/v1/logs',
    'send the audit log to an OpenTelemetry collector (OTLP over HTTP)',
  ),
  max_file_mb: optionalWhole(
    [1, 1_048_576],
    'size in MiB at which a new audit file is begun, too; unset: by time only',
  ),
  buffer_entries: whole([16, 10_000_000], 10_000, 'entries that wait for a sink that does not take them'),
  when_full: choice(
    ['drop', 'deny', 'block'],
    'drop',
    'what happens when the buffer is full: the entry is dropped and counted, the request is refused, or it waits',
  ),
  hash_chain: flag(false, 'link the entries of a file by hashes, for `qdrant-gateway audit verify`'),
  trusted_proxies: whole(
    [0, 32],
    0,
    'proxies in front whose `x-forwarded-for` entries are believed, counted from the gateway',
  ),
});

const admin = z.strictObject({
  port: z.int().min(0).max(65_535).nullable().default(null).meta({
    description: 'port for metrics, probes and administration; 0 takes a free one; unset: none',
  }),
  host: text('127.0.0.1', 'address the admin port listens on'),
  token: live(key('bearer token for the admin port; without one it shows and changes nothing but metrics and probes')),
  token_file: live(optionalText('file that holds the bearer token')),
  protect_metrics: flag(false, 'ask for the bearer token on `/metrics`, too'),
  enable_tls: flag(false, 'TLS on the admin port, with the certificate of the listeners'),
});

const revocation = z.strictObject({
  file: optionalText('file with what is revoked (YAML); revocations of the admin port are added to it'),
  redis_url: optionalUrl(
    /^rediss?:\/\/([^@/\s]*@)?HOST(\/\d{1,3})?$/,
    'redis://host:port or rediss://host:port',
    'Redis server that shares revocations between gateways',
    true,
  ),
  redis_ca: optionalText('CA to trust for rediss addresses, PEM; unset: the CAs of the runtime'),
  redis_prefix: text('qdrant-gateway:', 'what the names of keys and channels in Redis begin with'),
  refresh_ms: whole([100, DAY_MS], 10_000, 'time between full readings from Redis, beside what is published'),
  unavailable_after_ms: whole([100, DAY_MS], 5000, 'time Redis may be out of reach before `when_unavailable` applies'),
  when_unavailable: choice(
    ['closed', 'open'],
    'closed',
    'tokens while Redis cannot be reached: refused, or judged by what was known last',
  ),
});

const tracing = z.strictObject({
  otlp_url: optionalUrl(
    /^https?:\/\/HOST(\/[\w./-]*)?$/,
    'http://host:port/v1/traces',
    'send spans to an OpenTelemetry collector (OTLP over HTTP); unset: no spans',
  ),
  sample_percent: whole([0, 100], 100, 'share of requests without a sampled parent that get a span'),
});

const gateway = z.strictObject({
  upstream: upstream.prefault({}),
  policy_file: live(optionalText('file with signing keys and rules (YAML)')),
  mode: live(
    choice(
      ['enforce', 'shadow', 'learn'],
      'enforce',
      'shadow lets pass what would be refused and counts it, learn also writes the smallest policy for it: neither protects',
    ),
  ),
  learn_file: live(text('./learned-policy.yaml', 'where learn mode writes the policy')),
  reload: z
    .strictObject({
      watch: live(flag(true, 'apply changed files by themselves: configuration, policy, keys, certificates')),
    })
    .prefault({}),
  workers: z
    .union([z.int().min(1).max(256), z.literal('auto')])
    .default(1)
    .meta({ description: 'processes that serve; auto: one for each core' }),
  shutdown_grace_ms: whole([0, DAY_MS], 30_000, 'time that open exchanges have to finish after SIGTERM'),
  audit: auditMore.prefault({}),
  admin: admin.prefault({}),
  metrics: z
    .strictObject({
      per_key: flag(false, 'count requests by key id and subject, too'),
      max_labels: whole(
        [1, 100_000],
        200,
        'key ids and subjects that are counted by name; the rest is counted as `other`',
      ),
    })
    .prefault({}),
  tracing: tracing.prefault({}),
  revocation: revocation.prefault({}),
  grpc_client_certificates: flag(false, 'ask gRPC clients for a certificate signed by `tls.ca_cert`, too'),
  insecure_allow_no_key: live(flag(false, 'start with no key at all: everybody may do everything')),
  rest: z
    .strictObject({ relay: flag(true, 'relay plain REST requests at socket level; off: Fastify takes them all') })
    .prefault({}),
  limits: limits.prefault({}),
  value_exists: z
    .strictObject({ timeout_ms: whole(MILLISECONDS, 2000, 'time for the look-up of a `value_exists` claim') })
    .prefault({}),
});

/** The declaration as the outside sees it (YAML file, JSON schema): nested sections, snake_case names. */
export const settingsSchema = z.object({
  log_level: live(
    z
      .string()
      .default('INFO')
      .meta({ description: 'lowest level that is logged', 'x-allowed': 'one of trace, debug, info, warn, error, off' }),
  ),
  service: service.prefault({}),
  tls: tls.prefault({}),
  audit: audit.prefault({}),
  gateway: gateway.prefault({}),
});

type Settings = z.output<typeof settingsSchema>;

/** Spellings of levels that logging libraries have beside the names. */
const SPELLINGS: Readonly<Record<string, (typeof LEVELS)[number]>> = {
  warning: 'warn',
  err: 'error',
  critical: 'error',
  fatal: 'error',
  none: 'off',
  '0': 'off',
  '1': 'error',
  '2': 'warn',
  '3': 'info',
  '4': 'debug',
  '5': 'trace',
};

// Upstream: Qdrant takes a filter of its logging library here (`info,raft=debug`); only the bare level means us.
function bareLevel(filter: string): (typeof LEVELS)[number] | undefined {
  const bare = filter.split(',').map((part) => part.trim().toLowerCase());
  const level = bare.filter((part) => part !== '' && !part.includes('=')).at(-1);
  if (level === undefined) return 'info';
  return LEVELS.find((name) => name === level) ?? (Object.hasOwn(SPELLINGS, level) ? SPELLINGS[level] : undefined);
}

/** Does a text for `log_level` say a level, or nothing that is meant for us? */
export function isLevelFilter(filter: string): boolean {
  return bareLevel(filter) !== undefined;
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

/** Settings (some optional) to Config (every limit a number): what one option takes from another is settled here. */
export const configSchema = settingsSchema.transform((settings) => ({
  ...settings,
  log_level: bareLevel(settings.log_level) ?? 'info',
  tls: { ...settings.tls, cert_ttl: settings.tls.cert_ttl ?? 0 },
  gateway: { ...settings.gateway, limits: settleLimits(settings) },
}));

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/**
 * The whole configuration, deeply frozen. Times carry their unit in the name (`_ms`, `_sec`), sizes are bytes unless
 * the name says `_mb` (MiB). Keys may stand in it: print it only through `redact` of `document.ts`, and take keys from
 * `Secrets`.
 */
export type Config = DeepReadonly<z.output<typeof configSchema>>;

/** Where an upstream listens. `host` has no brackets around an IPv6 address. */
export type UpstreamAddress = { readonly tls: boolean; readonly host: string; readonly port: number };

/** Reads `http://host:port` or `https://host:port`; null for anything else. Never a URL class: nothing is normalised. */
export function parseUpstreamUrl(url: string): UpstreamAddress | null {
  const [, scheme, host, digits] = UPSTREAM_URL.exec(url) ?? [];
  const port = Number(digits);
  if (scheme === undefined || host === undefined || port < 1 || port > 65_535) return null;
  return { tls: scheme.toLowerCase() === 'https', host: host.replace(/^\[|\]$/g, ''), port };
}

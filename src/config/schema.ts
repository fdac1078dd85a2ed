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

const UPSTREAM_URL = /^(https?):\/\/(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+):([0-9]{1,5})\/?$/;

const upstreamUrl = (doc: string) =>
  z
    .string()
    .regex(UPSTREAM_URL)
    .refine((url) => parseUpstreamUrl(url) !== null)
    .nullable()
    .default(null)
    .meta({ description: doc, 'x-allowed': 'http://host:port or https://host:port' });

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const;

const PORT = [0, 65_535] as const;
const MILLISECONDS = [1, DAY_MS] as const;
const SECONDS = [1, 86_400] as const;

const service = z.object({
  api_key: key('admin key (also a JWT secret)'),
  api_key_file: optionalText('file that holds the admin key; one newline at its end is not part of the key'),
  alt_api_key: key('second admin key, for rotation (also a JWT secret)'),
  alt_api_key_file: optionalText('file that holds the second admin key'),
  read_only_api_key: key('key with read access to everything; never a JWT secret'),
  read_only_api_key_file: optionalText('file that holds the read-only key'),
  jwt_rbac: z
    .boolean()
    .nullable()
    .default(null)
    .meta({ description: 'accept HS256 JWTs; unset is off, and telemetry then omits the field' }),
  hide_jwt_dashboard: z
    .boolean()
    .nullable()
    .default(null)
    .meta({ description: 'hide the token page of the Web UI; unset leaves the field out of telemetry' }),
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
  cert: text('./tls/cert.pem', 'certificate chain, PEM'),
  key: text('./tls/key.pem', 'private key, PEM (PKCS#8, PKCS#1 or SEC1)'),
  ca_cert: text('./tls/cacert.pem', 'CA of client certificates, PEM; read only when they are asked for'),
  cert_ttl: z
    .int()
    .min(0)
    .max(31_536_000)
    .nullable()
    .default(3600)
    .meta({ description: 'seconds after which certificate files are read again; 0 or null: never' }),
});

const upstream = z.strictObject({
  rest_url: upstreamUrl('REST address of the unsecured Qdrant'),
  grpc_url: upstreamUrl('gRPC address of the unsecured Qdrant'),
  connect_timeout_ms: whole(MILLISECONDS, 2000, 'time to connect'),
  response_header_timeout_ms: whole(MILLISECONDS, 300_000, 'time until the head of the answer'),
  keep_alive_ms: whole(MILLISECONDS, 4000, 'idle connections are closed after this; Qdrant closes its own after 5 s'),
  max_connections: whole([1, 65_535], 256, 'pooled REST connections'),
  tls_ca: optionalText('CA to trust for https upstreams, PEM; unset: the CAs of the runtime'),
});

const limits = z.strictObject({
  header_bytes: whole([1024, 1_048_576], 65_536, 'largest header block'),
  header_count: whole([8, 2000], 100, 'most headers of one request'),
  tls_handshake_timeout_ms: whole(MILLISECONDS, 10_000, 'time for the TLS handshake'),
  header_timeout_ms: optionalWhole(
    MILLISECONDS,
    'time for the head of a request; unset: `service.http_client_request_timeout_sec`, else 10000',
  ),
  body_idle_timeout_ms: whole(MILLISECONDS, 30_000, 'longest pause inside a request body'),
  stream_idle_timeout_ms: whole(MILLISECONDS, 300_000, 'longest pause of a gRPC stream or an answer'),
  keep_alive_timeout_ms: optionalWhole(
    MILLISECONDS,
    'idle client connections are closed after this; unset: `service.http_keep_alive_timeout_sec`, else 60000',
  ),
  http2_max_concurrent_streams: whole([1, 10_000], 100, 'streams open at once on one HTTP/2 connection'),
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

const gateway = z.strictObject({
  upstream: upstream.prefault({}),
  insecure_allow_no_key: flag(false, 'start with no key at all: everybody may do everything'),
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
  log_level: z
    .string()
    .refine((filter) => bareLevel(filter) !== undefined)
    .default('INFO')
    .meta({ description: 'lowest level that is logged', 'x-allowed': 'one of trace, debug, info, warn, error, off' }),
  service: service.prefault({}),
  tls: tls.prefault({}),
  gateway: gateway.prefault({}),
});

type Settings = z.output<typeof settingsSchema>;

// Upstream: Qdrant takes a filter of its logging library here (`info,raft=debug`); only the bare level means us.
function bareLevel(filter: string): (typeof LEVELS)[number] | undefined {
  const bare = filter.split(',').map((part) => part.trim().toLowerCase());
  const level = bare.filter((part) => !part.includes('=')).at(-1);
  if (level === undefined) return 'info';
  return LEVELS.find((name) => name === level);
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

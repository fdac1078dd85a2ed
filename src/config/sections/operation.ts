import { z } from 'zod';
import {
  choice,
  DAY_MS,
  flag,
  key,
  live,
  MILLISECONDS,
  optionalText,
  optionalUrl,
  optionalWhole,
  PORT,
  text,
  texts,
  whole,
} from '../option-kinds.ts';

/* Sections about how a gateway is operated: the audit log, the admin port, revocation, spans. */

/** Upstream: the section of the same name, Qdrant v1.17.0. */
export const audit = z.object({
  enabled: flag(false, 'write an audit log to files in `audit.dir`'),
  dir: text('./storage/audit', 'folder of the audit files'),
  rotation: choice(['daily', 'hourly'], 'daily', 'period of one audit file (UTC)'),
  max_log_files: whole([1, 10_000], 7, 'audit files that are kept, including the current one'),
  trust_forwarded_headers: flag(
    false,
    'take `remote` from `forwarded` or `x-forwarded-for` without a check, unless `gateway.trusted_proxies` is set, which is preferred',
  ),
  log_api: flag(true, 'name the REST path or gRPC method in each entry; entries of refused credentials always name it'),
});

/** `gateway.log`. */
export const log = z.strictObject({
  format: choice(
    ['auto', 'pretty', 'json'],
    'auto',
    'form of the log: auto is pretty on a terminal, and one JSON object a line elsewhere',
  ),
  access: flag(false, 'also write a line for every request'),
  slow_request_ms: optionalWhole(MILLISECONDS, 'write a line for each request that takes longer; unset: none'),
});

/** `gateway.audit`. */
export const auditMore = z.strictObject({
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
  max_file_mb: optionalWhole([1, 1_048_576], 'largest audit file, in MiB; unset: a new file by time only'),
  buffer_entries: whole([16, 10_000_000], 10_000, 'entries queued for a sink that does not accept them'),
  when_full: choice(
    ['drop', 'deny', 'block'],
    'drop',
    'action when the queue is full: drop the entry and count it, deny the request, or block the request until there is room',
  ),
  hash_chain: flag(false, 'link the entries of a file by hashes, for `qdrant-gateway audit verify`'),
  trusted_proxies: whole(
    [0, 32],
    0,
    'number of trusted proxies in front of the gateway, whose `x-forwarded-for` entries give `remote`; `gateway.trusted_proxies` names them instead, for everything',
  ),
});

/** `gateway.admin`. */
export const admin = z.strictObject({
  port: optionalWhole(PORT, 'port for metrics, probes and administration; 0: any free port; unset: none'),
  host: text('127.0.0.1', 'address the admin port listens on'),
  token: live(key('bearer token for the admin port; without a token only metrics and probes are served')),
  token_file: live(optionalText('file with the bearer token')),
  protect_metrics: flag(false, 'require the bearer token for `/metrics`, too'),
  enable_tls: flag(false, 'TLS on the admin port, with the certificate of the listeners'),
});

/** `gateway.console`. */
export const consoleSection = z.strictObject({
  enabled: flag(false, 'serve the console at `/-/console/` of the admin port'),
  on_rest_port: flag(false, 'serve the console at `/-/console/` of the REST port, too'),
  session_minutes: live(whole([1, 1440], 60, 'time after which a login ends, used or not')),
  oidc: z
    .strictObject({
      issuer: live(
        optionalUrl(
          /^https?:\/\/HOST(\/[\w./~-]*)?$/,
          'https://host, with a port or path; http:// only for loopback',
          'identity provider that people sign in with (OpenID Connect); unset: with a key alone',
        ),
      ),
      client_id: live(optionalText('client that is registered there')),
      client_secret: live(key('its secret; unset: a public client')),
      client_secret_file: live(optionalText('file with its secret')),
      public_url: live(
        optionalUrl(
          /^https?:\/\/HOST$/,
          'https://host or http://host, with a port if it is another one',
          'origin at which browsers find the console; the redirect URI is `/-/console/oidc/callback` of it',
        ),
      ),
      ca: live(optionalText('CA of the identity provider, PEM; unset: the CAs of the runtime')),
      scope: live(text('openid', 'scopes that are asked for, with a blank between')),
      claim: live(text('groups', 'claim of the ID token whose values give the role: a text, or a list of texts')),
      full: live(texts('values', 'values of the claim that give every right')),
      read: live(texts('values', 'values of the claim that give reading')),
    })
    .prefault({}),
});

/** `gateway.revocation`. */
export const revocation = z.strictObject({
  file: optionalText('file of revocations (YAML); revocations made through the admin port are added to it'),
  redis_url: optionalUrl(
    /^rediss?:\/\/([^@/\s]*@)?HOST(\/\d{1,3})?$/,
    'redis://host:port or rediss://host:port',
    'Redis server that shares revocations between gateways',
    true,
  ),
  redis_ca: optionalText('CA to trust for rediss addresses, PEM; unset: the CAs of the runtime'),
  redis_prefix: text('qdrant-gateway:', 'prefix of keys and channels in Redis'),
  refresh_ms: whole([100, DAY_MS], 10_000, 'time between full reads from Redis, in addition to published changes'),
  unavailable_after_ms: whole([100, DAY_MS], 5000, 'time without Redis before `when_unavailable` applies'),
  when_unavailable: choice(
    ['closed', 'open'],
    'closed',
    'tokens while Redis cannot be reached: closed refuses them, open uses the last known revocations',
  ),
});

/** `gateway.shared`. */
export const shared = z.strictObject({
  keys: flag(false, 'keep named keys in the Redis server of `gateway.revocation.redis_url`, shared by all gateways'),
  keys_unavailable_after_ms: whole(
    [100, DAY_MS],
    300_000,
    'time without Redis during which named keys keep their last known state; then they are refused until Redis answers',
  ),
  limits: flag(false, 'count the limits of the policy for all gateways together, through the same Redis server'),
  certificates: flag(
    false,
    'share the account and the certificate of `gateway.acme` through the same Redis server, encrypted with `gateway.acme.shared_secret_file`',
  ),
});

/** `gateway.tracing`. */
export const tracing = z.strictObject({
  otlp_url: optionalUrl(
    /^https?:\/\/HOST(\/[\w./-]*)?$/,
    'http://host:port/v1/traces',
    'send spans to an OpenTelemetry collector (OTLP over HTTP); unset: no spans',
  ),
  sample_percent: whole([0, 100], 100, 'share of requests without a sampled parent that get a span'),
});

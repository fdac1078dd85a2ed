import { ACME_FAULTS } from '../../acme/fault.ts';
import { PLACES } from '../../lifetime/places.ts';
import { CLIENT_FAULTS } from '../../net/connections.ts';
import { AGREEMENTS } from '../comparison.ts';
import { EXCHANGE_RESULTS } from '../snapshot.ts';
import { DECISIONS, VERDICTS } from '../verdict.ts';
import { CERTIFICATES } from './certificate-expiry.ts';
import { GROUPS } from './operation-group.ts';
import { GATEWAY_BUCKETS, PROTOCOLS, SETTLEMENTS, SLOWED, STATUS_CLASSES, UPSTREAM_BUCKETS } from './tally.ts';

/** Prefix of every metric name. */
export const PREFIX = 'qdrant_gateway_';

/** One metric: a row of `docs/reference/metrics.md`. */
export interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram, in seconds. */
  readonly buckets?: readonly number[];
}

/** All values of each label; `undefined` = depends on the configuration, which bounds it. */
export const LABEL_VALUES: Readonly<Record<string, readonly string[] | undefined>> = {
  protocol: PROTOCOLS,
  group: GROUPS,
  decision: DECISIONS,
  reason: [...new Set(VERDICTS.map(({ reason }) => reason))],
  code: [...new Set(VERDICTS.map(({ code }) => code))],
  fault: [...new Set(Object.values(CLIENT_FAULTS).flat())],
  cause: SLOWED,
  place: PLACES,
  agreement: AGREEMENTS,
  status: STATUS_CLASSES,
  settled: SETTLEMENTS,
  outcome: ['hit', 'miss'],
  result: ['ok', 'failed'],
  issuer: undefined,
  exchange: EXCHANGE_RESULTS,
  certificate: CERTIFICATES,
  problem: ACME_FAULTS,
  statistic: ['p50', 'p99', 'max'],
  mode: ['user', 'system'],
  source: ['redis', 'file'],
  sink: undefined,
  key: undefined,
  subject: undefined,
  worker: undefined,
  version: undefined,
  node: undefined,
  upstream_node: undefined,
  limit: undefined,
};

/** All metrics, by name without the prefix. The only declaration of metrics. */
export const METRICS = {
  requests_total: {
    type: 'counter',
    help: 'Requests that have ended, by decision, reason and code',
    labels: ['protocol', 'group', 'decision', 'reason', 'code', 'status'],
  },
  gateway_seconds: {
    type: 'histogram',
    help: 'Time of the gateway itself: from the head of the request until it was forwarded or refused',
    labels: ['protocol', 'settled'],
    buckets: GATEWAY_BUCKETS,
  },
  upstream_seconds: {
    type: 'histogram',
    help: 'Time of the upstream: from the forwarded request to the head of its answer',
    labels: ['protocol', 'group'],
    buckets: UPSTREAM_BUCKETS,
  },
  request_seconds: {
    type: 'histogram',
    help: 'Whole time of a request: from its head to the end of the answer',
    labels: ['protocol', 'group'],
    buckets: UPSTREAM_BUCKETS,
  },
  received_bytes_total: { type: 'counter', help: 'Bytes of request bodies', labels: ['protocol'] },
  sent_bytes_total: { type: 'counter', help: 'Bytes of answer bodies', labels: ['protocol'] },
  requests_in_flight: { type: 'gauge', help: 'Requests that are open', labels: ['protocol'] },
  requests_slowed_total: {
    type: 'counter',
    help: 'Requests delayed because of earlier requests of their caller',
    labels: ['protocol', 'cause'],
  },
  limit_reached_total: {
    type: 'counter',
    help: 'Requests over a limit of the policy, refused or, in shadow, let pass',
    labels: ['limit', 'decision'],
  },
  break_glass_requests_total: {
    type: 'counter',
    help: 'Requests with break-glass keys, also with those that may not be used',
    labels: ['decision'],
  },
  token_exchanges_total: {
    type: 'counter',
    help: 'Requests to exchange a credential for a token',
    labels: ['exchange'],
  },
  principal_requests_total: {
    type: 'counter',
    help: 'Requests by key id and subject; only with gateway.metrics.per_key',
    labels: ['key', 'subject', 'decision'],
  },
  connections_accepted_total: { type: 'counter', help: 'Client connections accepted', labels: ['protocol'] },
  connections_open: { type: 'gauge', help: 'Client connections that are open', labels: ['protocol'] },
  connections_refused_total: {
    type: 'counter',
    help: 'Client connections refused over the limit',
    labels: ['protocol'],
  },
  tls_handshake_failures_total: {
    type: 'counter',
    help: 'TLS handshakes of clients that failed',
    labels: ['protocol'],
  },
  client_faults_total: {
    type: 'counter',
    help: 'Faults of clients that never became a request, or that ended a connection',
    labels: ['protocol', 'fault'],
  },
  internal_faults_total: {
    type: 'counter',
    help: 'Unexpected exceptions that ended a connection or an exchange, by place; anything above 0 is a bug',
    labels: ['place'],
  },
  token_cache_entries: { type: 'gauge', help: 'Verified tokens in the cache', labels: [] },
  token_cache_lookups_total: {
    type: 'counter',
    help: 'Look-ups of tokens in the cache',
    labels: ['outcome'],
  },
  reloads_total: { type: 'counter', help: 'Reloads, by result', labels: ['result'] },
  last_reload_ok: { type: 'gauge', help: 'Whether the last reload succeeded; 1 before the first', labels: [] },
  last_reload_success_timestamp_seconds: {
    type: 'gauge',
    help: 'When the state in force was applied, seconds since 1970',
    labels: [],
  },
  generation: { type: 'gauge', help: 'Generation of the state in force; grows with each reload', labels: [] },
  certificate_expires_in_seconds: {
    type: 'gauge',
    help: 'Time until a certificate in force expires; negative once it has',
    labels: ['certificate'],
  },
  acme_orders_total: {
    type: 'counter',
    help: 'Certificates that were ordered by ACME, by result, of this gateway',
    labels: ['result'],
  },
  acme_leader: {
    type: 'gauge',
    help: 'Whether this gateway orders certificates for all that share them',
    labels: [],
  },
  acme_problem: {
    type: 'gauge',
    help: 'Why the last attempt to get a certificate failed; no series if it did not',
    labels: ['problem'],
  },
  acme_renewal_timestamp_seconds: {
    type: 'gauge',
    help: 'When the certificate got by ACME is renewed, in Unix time',
    labels: [],
  },
  protecting: {
    type: 'gauge',
    help: 'Whether requests are refused at all; 0 without any key and in shadow or learn mode',
    labels: [],
  },
  rules_in_shadow: { type: 'gauge', help: 'Rules that only count what they would refuse', labels: [] },
  upstream_up: { type: 'gauge', help: 'Whether the upstream answers the gateway', labels: ['protocol'] },
  upstream_outages_total: {
    type: 'counter',
    help: 'Times the upstream went down, where it is one address',
    labels: ['protocol'],
  },
  upstream_node_up: {
    type: 'gauge',
    help: 'Whether every process sends requests to the node; only with several nodes',
    labels: ['upstream_node'],
  },
  upstream_node_drained: {
    type: 'gauge',
    help: 'Whether an operator has taken the node out through the admin port',
    labels: ['upstream_node'],
  },
  upstream_node_open: { type: 'gauge', help: 'Requests that are open on the node', labels: ['upstream_node'] },
  upstream_node_weight: { type: 'gauge', help: 'Configured weight of the node', labels: ['upstream_node'] },
  upstream_node_info: {
    type: 'gauge',
    help: 'Always 1; the release that the node reported last',
    labels: ['upstream_node', 'version'],
  },
  upstream_node_requests_total: { type: 'counter', help: 'Requests sent to the node', labels: ['upstream_node'] },
  upstream_node_failures_total: {
    type: 'counter',
    help: 'Requests and probes that got no answer of the node',
    labels: ['upstream_node'],
  },
  upstream_node_ejections_total: {
    type: 'counter',
    help: 'Times the node was left out after failures',
    labels: ['upstream_node'],
  },
  upstream_key_accepted: {
    type: 'gauge',
    help: 'Whether the upstream accepts the key of the gateway; only with gateway.upstream.api_key',
    labels: [],
  },
  compared_total: {
    type: 'counter',
    help: 'Decisions compared with those of the upstream; only with gateway.upstream.compare',
    labels: ['agreement'],
  },
  revocations: { type: 'gauge', help: 'Revocations in force', labels: [] },
  revocations_unknown: {
    type: 'gauge',
    help: 'Whether the revocations are unknown, so that every token is refused',
    labels: [],
  },
  revocation_source_up: {
    type: 'gauge',
    help: 'Whether a source of revocations can be read',
    labels: ['source'],
  },
  revocation_source_read_timestamp_seconds: {
    type: 'gauge',
    help: 'When a source of revocations was last read as a whole, seconds since 1970',
    labels: ['source'],
  },
  issuer_keys_up: {
    type: 'gauge',
    help: 'Whether the last fetch of the key set of an issuer succeeded; only for key sets that are fetched',
    labels: ['issuer'],
  },
  issuer_keys_usable: {
    type: 'gauge',
    help: 'Whether there is a key set of an issuer that is not too old; 0: its tokens are refused',
    labels: ['issuer'],
  },
  issuer_keys: { type: 'gauge', help: 'Keys in the fetched set of an issuer', labels: ['issuer'] },
  issuer_keys_fetched_timestamp_seconds: {
    type: 'gauge',
    help: 'When the key set of an issuer was last fetched, seconds since 1970; 0: never',
    labels: ['issuer'],
  },
  issuer_keys_fetches_total: {
    type: 'counter',
    help: 'Fetches of the key set of an issuer, by result',
    labels: ['issuer', 'result'],
  },
  shared_keys_up: {
    type: 'gauge',
    help: 'Whether the named keys in Redis can be read; only with gateway.shared.keys',
    labels: [],
  },
  shared_keys_unknown: {
    type: 'gauge',
    help: 'Whether the named keys in Redis are unknown, so that every named key is refused',
    labels: [],
  },
  shared_keys_damaged: { type: 'gauge', help: 'Records of named keys in Redis that cannot be read', labels: [] },
  shared_limits_up: {
    type: 'gauge',
    help: 'Whether limits are counted for all gateways together; 0: each process counts its share; only with gateway.shared.limits',
    labels: [],
  },
  shared_limits_gateways: { type: 'gauge', help: 'Gateways that count limits together, as last known', labels: [] },
  audit_written_total: { type: 'counter', help: 'Audit entries that were written', labels: ['sink'] },
  audit_dropped_total: { type: 'counter', help: 'Audit entries that were lost', labels: ['sink'] },
  audit_queued: { type: 'gauge', help: 'Audit entries that wait to be written', labels: ['sink'] },
  audit_refused_requests_total: {
    type: 'counter',
    help: 'Requests refused because they could not be audited',
    labels: [],
  },
  spans_exported_total: { type: 'counter', help: 'Spans that the collector accepted', labels: [] },
  spans_lost_total: { type: 'counter', help: 'Spans that the collector did not accept', labels: [] },
  log_lines_lost_total: { type: 'counter', help: 'Log lines dropped because the reader was too slow', labels: [] },
  admin_refused_total: {
    type: 'counter',
    help: 'Requests to the admin port refused for a missing or wrong token, or for an unknown host name',
    labels: [],
  },
  processes: { type: 'gauge', help: 'Processes that serve', labels: [] },
  process_cpu_seconds_total: { type: 'counter', help: 'Processor time', labels: ['worker', 'mode'] },
  process_resident_bytes: { type: 'gauge', help: 'Resident memory', labels: ['worker'] },
  process_heap_used_bytes: { type: 'gauge', help: 'Used memory of the heap', labels: ['worker'] },
  process_start_timestamp_seconds: { type: 'gauge', help: 'Start, seconds since 1970', labels: ['worker'] },
  event_loop_delay_seconds: {
    type: 'gauge',
    help: 'Delay of timers of the event loop, over the last ten seconds or more',
    labels: ['worker', 'statistic'],
  },
  event_loop_busy_seconds_total: {
    type: 'counter',
    help: 'Time the event loop was busy; its rate is the utilisation',
    labels: ['worker'],
  },
  build_info: { type: 'gauge', help: 'Always 1', labels: ['version', 'node'] },
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricName = keyof typeof METRICS;

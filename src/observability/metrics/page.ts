import {
  Counter,
  Gauge,
  Histogram,
  type MetricValueWithName,
  openMetricsContentType,
  Registry,
  type RegistryContentType,
} from 'prom-client';
import type { KeySetReport } from '../../issuers/key-source.ts';
import { PLACES } from '../../lifetime/places.ts';
import { CLIENT_FAULTS } from '../../net/connections.ts';
import { AGREEMENTS } from '../comparison.ts';
import type { Facts } from '../facts.ts';
import { nodesOf } from '../nodes-of.ts';
import { EXCHANGE_RESULTS, type GatewaySnapshot, type NodeFigures, type Observed } from '../snapshot.ts';
import { DECISIONS } from '../verdict.ts';
import { METRICS, type MetricName, type MetricRow, PREFIX } from './names.ts';
import { type Distribution, gatewayAt, PROTOCOLS, requestAt, rowAt, SLOWED } from './tally.ts';

type Labels = Readonly<Record<string, string>>;

/** One series: a number, or the buckets of a histogram. */
interface Sample {
  readonly labels: Labels;
  readonly value: number | Distribution;
}

export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

/** The scraped page in the requested format. Zero values without a previous count have no series. */
export async function renderMetrics(facts: Facts, format: 'prometheus' | 'openmetrics'): Promise<MetricsPage> {
  const registry: Registry<RegistryContentType> = new Registry<RegistryContentType>();
  if (format === 'openmetrics') registry.setContentType(openMetricsContentType);
  for (const [name, row] of Object.entries(METRICS)) {
    register(registry, name, row, SAMPLES[name as MetricName](facts)); // the keys of METRICS
  }
  return { contentType: registry.contentType, text: await registry.metrics() };
}

function register(
  registry: Registry<RegistryContentType>,
  name: string,
  row: MetricRow,
  samples: readonly Sample[],
): void {
  const settings = { name: PREFIX + name, help: row.help, labelNames: row.labels, registers: [registry] };
  if (row.type === 'histogram') {
    new FilledHistogram({ ...settings, ...row, samples });
    return;
  }
  const metric = row.type === 'counter' ? new Counter(settings) : new Gauge(settings);
  // A metric without labels has a series from the start.
  for (const { labels, value } of samples) if (typeof value === 'number') metric.inc(labels, value);
}

/** A histogram filled with counts made elsewhere. */
class FilledHistogram extends Histogram {
  readonly #filled: object;

  constructor({ name, help, registers, buckets = [], samples }: FilledOptions) {
    super({ name, help, registers, buckets: [...buckets] });
    const values = samples.flatMap((sample) => histogramSeries(name, buckets, sample));
    this.#filled = { name, help, type: 'histogram', values, aggregator: 'sum' };
  }

  /** Called by the registry. */
  async getForPromString(): Promise<object> {
    return this.#filled;
  }
}

interface FilledOptions {
  readonly name: string;
  readonly help: string;
  readonly registers: Registry<RegistryContentType>[];
  readonly buckets?: readonly number[];
  readonly samples: readonly Sample[];
}

function histogramSeries(
  name: string,
  bounds: readonly number[],
  { labels, value }: Sample,
): MetricValueWithName<string>[] {
  if (typeof value === 'number') return [];
  let below = 0;
  const buckets = value.counts.map((count, bucket) => {
    below += count;
    return { metricName: `${name}_bucket`, labels: { le: bounds[bucket] ?? '+Inf', ...labels }, value: below };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: value.sum },
    { metricName: `${name}_count`, labels, value: below },
  ];
}

const one = (value: number, labels: Labels = {}): Sample => ({ labels, value });
const seconds = (milliseconds: number): number => milliseconds / 1000;
const flag = (value: boolean): number => (value ? 1 : 0);

function byIssuer({ issuerKeys = [] }: Facts, value: (report: KeySetReport) => number): Sample[] {
  return issuerKeys.map((report) => one(value(report), { issuer: report.issuer }));
}

function byProtocol(value: (protocol: 'rest' | 'grpc', at: number) => number): Sample[] {
  return PROTOCOLS.map((protocol, at) => one(value(protocol, at), { protocol }));
}

function total(snapshots: readonly GatewaySnapshot[], value: (observed: Observed) => number): number {
  return snapshots.reduce((sum, { observed }) => sum + (observed ? value(observed) : 0), 0);
}

/** One series per process, ordered by id. */
function byWorker(
  snapshots: readonly GatewaySnapshot[],
  samples: (observed: Observed['process']) => Sample[],
): Sample[] {
  const processes = snapshots.flatMap(({ observed }) => (observed ? [observed.process] : []));
  return processes
    .sort((a, b) => a.pid - b.pid)
    .flatMap((one, worker) =>
      samples(one).map(({ labels, value }) => ({ labels: { worker: String(worker), ...labels }, value })),
    );
}

/** One series per node of the list in force. */
function byNode({ snapshots }: Facts, value: (nodes: readonly NodeFigures[], name: string) => number): Sample[] {
  return nodesOf(snapshots).map(([name, nodes]) => one(value(nodes, name), { upstream_node: name }));
}

/** The earliest expiry of each certificate over all processes. */
function expiries({ snapshots, now }: Facts): Sample[] {
  const first = new Map<string, number>();
  for (const { certificate, expiresAt } of snapshots.flatMap((snapshot) => snapshot.certificates)) {
    first.set(certificate, Math.min(expiresAt, first.get(certificate) ?? expiresAt));
  }
  return [...first].map(([certificate, expiresAt]) => one(seconds(expiresAt - now), { certificate }));
}

/** The samples of each metric. The type requires an entry for every metric. */
const SAMPLES: Readonly<Record<MetricName, (facts: Facts) => readonly Sample[]>> = {
  requests_total: ({ figures }) => figures.tally.requests.map(([at, count]) => one(count, requestAt(at))),
  gateway_seconds: ({ figures }) => figures.tally.gateway.map((value) => ({ labels: gatewayAt(value.at), value })),
  upstream_seconds: ({ figures }) => figures.tally.upstream.map((value) => ({ labels: rowAt(value.at), value })),
  request_seconds: ({ figures }) => figures.tally.whole.map((value) => ({ labels: rowAt(value.at), value })),
  received_bytes_total: ({ figures }) => byProtocol((_, at) => figures.tally.received[at] ?? 0),
  sent_bytes_total: ({ figures }) => byProtocol((_, at) => figures.tally.sent[at] ?? 0),
  requests_in_flight: ({ snapshots }) =>
    byProtocol((protocol) => total(snapshots, ({ inFlight }) => inFlight[protocol])),
  requests_slowed_total: ({ figures }) =>
    PROTOCOLS.flatMap((protocol, at) =>
      SLOWED.map((cause, place) => one(figures.tally.slowed[at * SLOWED.length + place] ?? 0, { protocol, cause })),
    ),
  limit_reached_total: ({ figures: { limited } }) =>
    Object.entries(limited).flatMap(([limit, { denied, shadowed }]) => [
      one(denied, { limit, decision: 'denied' }),
      one(shadowed, { limit, decision: 'would_deny' }),
    ]),
  break_glass_requests_total: ({ figures }) =>
    DECISIONS.map((decision) => one(figures.breakGlass[decision] ?? 0, { decision })),
  token_exchanges_total: ({ figures }) =>
    EXCHANGE_RESULTS.map((exchange) => one(figures.tokenExchanges[exchange] ?? 0, { exchange })),
  principal_requests_total: ({ figures }) =>
    figures.perKey.flatMap(({ key, subject, counts }) =>
      DECISIONS.map((decision, at) => one(counts[at] ?? 0, { key, subject, decision })),
    ),
  connections_accepted_total: ({ figures }) => byProtocol((protocol) => figures.listeners[protocol].accepted),
  connections_open: ({ snapshots }) =>
    byProtocol((protocol) => total(snapshots, ({ listeners }) => listeners[protocol].open)),
  connections_refused_total: ({ figures }) => byProtocol((protocol) => figures.listeners[protocol].refused),
  tls_handshake_failures_total: ({ figures }) => byProtocol((protocol) => figures.listeners[protocol].failedHandshakes),
  client_faults_total: ({ figures: { listeners } }) =>
    PROTOCOLS.flatMap((protocol) =>
      CLIENT_FAULTS[protocol].map((fault) => one(listeners[protocol].faults[fault] ?? 0, { protocol, fault })),
    ),
  internal_faults_total: ({ figures }) => PLACES.map((place) => one(figures.internalFaults[place] ?? 0, { place })),
  token_cache_entries: ({ snapshots }) => [one(total(snapshots, ({ tokens }) => tokens.size))],
  token_cache_lookups_total: ({ figures: { tokens } }) => [
    one(tokens.hits, { outcome: 'hit' }),
    one(tokens.misses, { outcome: 'miss' }),
  ],
  reloads_total: ({ reloads }) => [one(reloads.ok, { result: 'ok' }), one(reloads.failed, { result: 'failed' })],
  last_reload_ok: ({ reloads }) => [one(flag(reloads.last?.ok ?? true))],
  last_reload_success_timestamp_seconds: ({ reloads }) => [one(seconds(reloads.takenAt))],
  generation: ({ snapshots }) => [one(Math.max(0, ...snapshots.map(({ generation }) => generation)))],
  certificate_expires_in_seconds: expiries,
  acme_orders_total: ({ acme }) =>
    acme ? (['ok', 'failed'] as const).map((result) => one(acme.orders[result], { result })) : [],
  acme_leader: ({ acme }) => (acme ? [one(flag(acme.leader))] : []),
  acme_problem: ({ acme }) => (acme?.problem ? [one(1, { problem: acme.problem.kind })] : []),
  acme_renewal_timestamp_seconds: ({ acme }) => (acme?.renewalAt === undefined ? [] : [one(seconds(acme.renewalAt))]),
  protecting: ({ snapshots }) => [one(flag(snapshots.every(({ protecting }) => protecting)))],
  rules_in_shadow: ({ snapshots }) => [one(Math.max(0, ...snapshots.map(({ rulesInShadow }) => rulesInShadow)))],
  upstream_up: ({ upstream: { rest, grpc } }) => [
    one(flag(rest), { protocol: 'rest' }),
    ...(grpc === undefined ? [] : [one(flag(grpc), { protocol: 'grpc' })]),
  ],
  upstream_outages_total: ({ snapshots }) =>
    (['rest', 'grpc'] as const).map((protocol) =>
      one(
        snapshots.reduce((sum, { outages }) => sum + (outages?.[protocol] ?? 0), 0),
        { protocol },
      ),
    ),
  upstream_node_up: (facts) =>
    byNode(facts, (nodes) => flag(nodes.every(({ state }) => state === 'up' || state === 'rising'))),
  upstream_node_drained: (facts) => byNode(facts, (nodes) => flag(nodes.some(({ state }) => state === 'drained'))),
  upstream_node_open: (facts) => byNode(facts, (nodes) => nodes.reduce((sum, { open }) => sum + open, 0)),
  upstream_node_weight: (facts) => byNode(facts, ([node]) => node?.weight ?? 0),
  upstream_node_info: ({ snapshots }) =>
    nodesOf(snapshots).flatMap(([name, nodes]) => {
      const version = nodes.find(({ release }) => release !== undefined)?.release;
      return version === undefined ? [] : [one(1, { upstream_node: name, version })];
    }),
  upstream_node_requests_total: (facts) => byNode(facts, (_, name) => facts.figures.nodes[name]?.taken ?? 0),
  upstream_node_failures_total: (facts) => byNode(facts, (_, name) => facts.figures.nodes[name]?.failures ?? 0),
  upstream_node_ejections_total: (facts) => byNode(facts, (_, name) => facts.figures.nodes[name]?.ejections ?? 0),
  upstream_key_accepted: ({ upstream: { key } }) => (key === undefined ? [] : [one(flag(key === 'accepted'))]),
  compared_total: ({ figures: { compared } }) =>
    AGREEMENTS.map((agreement) => one(compared[agreement] ?? 0, { agreement })),
  revocations: ({ revocations }) => [one(revocations.entries.length)],
  revocations_unknown: ({ revocations }) => [one(flag(revocations.unknown))],
  revocation_source_up: ({ revocations }) =>
    revocations.sources.map(({ place, available }) => one(flag(available), { source: place })),
  revocation_source_read_timestamp_seconds: ({ revocations }) =>
    revocations.sources.map(({ place, readAt }) => one(seconds(readAt), { source: place })),
  issuer_keys_up: (facts) => byIssuer(facts, ({ problem, fetchedAt }) => flag(problem === undefined && fetchedAt > 0)),
  issuer_keys_usable: (facts) => byIssuer(facts, ({ usable }) => flag(usable)),
  issuer_keys: (facts) => byIssuer(facts, ({ keys }) => keys),
  issuer_keys_fetched_timestamp_seconds: (facts) => byIssuer(facts, ({ fetchedAt }) => seconds(fetchedAt)),
  issuer_keys_fetches_total: ({ issuerKeys = [] }) =>
    issuerKeys.flatMap(({ issuer, fetches, failures }) => [
      one(fetches - failures, { issuer, result: 'ok' }),
      one(failures, { issuer, result: 'failed' }),
    ]),
  shared_keys_up: ({ sharedKeys: shared }) => (shared ? [one(flag(shared.available))] : []),
  shared_keys_unknown: ({ sharedKeys: shared }) => (shared ? [one(flag(shared.unknown))] : []),
  shared_keys_damaged: ({ sharedKeys: shared }) => (shared ? [one(shared.damaged.length)] : []),
  shared_limits_up: ({ sharedLimits: shared }) => (shared ? [one(flag(shared.available))] : []),
  shared_limits_gateways: ({ sharedLimits: shared }) => (shared ? [one(shared.gateways)] : []),
  audit_written_total: ({ figures }) => figures.audit.sinks.map(({ name, written }) => one(written, { sink: name })),
  audit_dropped_total: ({ figures }) => figures.audit.sinks.map(({ name, dropped }) => one(dropped, { sink: name })),
  audit_queued: ({ snapshots }) => queued(snapshots),
  audit_refused_requests_total: ({ figures }) => [one(figures.audit.refused)],
  spans_exported_total: ({ figures }) => [one(figures.spans.exported)],
  spans_lost_total: ({ figures }) => [one(figures.spans.failed)],
  log_lines_lost_total: ({ figures }) => [one(figures.lostLines)],
  admin_refused_total: ({ adminRefused }) => [one(adminRefused)],
  processes: ({ snapshots }) => [one(snapshots.length)],
  process_cpu_seconds_total: ({ snapshots }) =>
    byWorker(snapshots, ({ cpuUser, cpuSystem }) => [
      one(cpuUser, { mode: 'user' }),
      one(cpuSystem, { mode: 'system' }),
    ]),
  process_resident_bytes: ({ snapshots }) => byWorker(snapshots, ({ resident }) => [one(resident)]),
  process_heap_used_bytes: ({ snapshots }) => byWorker(snapshots, ({ heapUsed }) => [one(heapUsed)]),
  process_start_timestamp_seconds: ({ snapshots }) => byWorker(snapshots, ({ startedAt }) => [one(startedAt)]),
  event_loop_delay_seconds: ({ snapshots }) =>
    byWorker(snapshots, ({ delay }) => [
      one(delay.p50, { statistic: 'p50' }),
      one(delay.p99, { statistic: 'p99' }),
      one(delay.max, { statistic: 'max' }),
    ]),
  event_loop_busy_seconds_total: ({ snapshots }) => byWorker(snapshots, ({ busy }) => [one(busy)]),
  build_info: ({ version }) => [one(1, { version, node: process.versions.node })],
};

function queued(snapshots: readonly GatewaySnapshot[]): Sample[] {
  const bySink = new Map<string, number>();
  for (const { name, queued } of snapshots.flatMap(({ audit }) => audit?.sinks ?? [])) {
    bySink.set(name, (bySink.get(name) ?? 0) + queued);
  }
  return [...bySink].map(([sink, value]) => one(value, { sink }));
}

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { parse, parseAllDocuments } from 'yaml';
import { envName, options } from '../../src/config/options.ts';
import { LABEL_VALUES, METRICS, type MetricRow, PREFIX } from '../../src/observability/metrics/names.ts';
import { labelsTable, metricsTable } from '../support/metrics-document.ts';

/** The documents that name metrics, labels, pages and options, held to what there is. */
const read = (name: string): string => readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8');
const ROWS: Readonly<Record<string, MetricRow>> = METRICS;

/** Labels that Prometheus itself puts there. */
const ADDED = ['job', 'instance'];

/** What an expression gets wrong: names and labels that are not there, values that no label has. */
function wrongIn(expression: string): string[] {
  const wrong: string[] = [];
  const named = [...expression.matchAll(/qdrant_gateway_(\w+)(?:\{([^}]*)\})?/g)];
  if (named.length === 0) wrong.push('no metric of ours');
  const known = new Set(ADDED);
  for (const [, full = '', matchers = ''] of named) {
    const name = full in ROWS ? full : full.replace(/_(bucket|sum|count)$/, '');
    const row = ROWS[name];
    if (!row || (name !== full && row.type !== 'histogram')) {
      wrong.push(`no metric ${full}`);
      continue;
    }
    for (const label of row.labels) known.add(label);
    if (row.type === 'histogram') known.add('le');
    for (const [, label = '', values = ''] of matchers.matchAll(/(\w+)=~?"([^"]*)"/g)) {
      if (ADDED.includes(label)) continue;
      if (!row.labels.includes(label)) wrong.push(`${full} has no label ${label}`);
      const allowed = LABEL_VALUES[label];
      for (const value of values.split('|')) {
        if (allowed && !allowed.includes(value)) wrong.push(`${label} is never ${value}`);
      }
    }
    if (row.type === 'counter' && !/\b(rate|increase)\(/.test(expression)) wrong.push(`${full} without a rate`);
  }
  for (const [, list = ''] of expression.matchAll(/\bby \(([^)]*)\)/g)) {
    for (const label of list.split(/,\s*/)) if (!known.has(label)) wrong.push(`by ${label}, which none has`);
  }
  return wrong;
}

t.test('the rule finds what is wrong in an expression', async (t) => {
  const cases = [
    ['sum by (protocol) (rate(qdrant_gateway_requests_total{reason="access"}[5m]))', []],
    ['qdrant_gateway_nothing', ['no metric nothing']],
    ['up', ['no metric of ours']],
    ['rate(qdrant_gateway_requests_total{colour="red"}[5m])', ['requests_total has no label colour']],
    ['rate(qdrant_gateway_requests_total{decision="allow"}[5m])', ['decision is never allow']],
    ['qdrant_gateway_requests_total', ['requests_total without a rate']],
    ['sum by (sink) (qdrant_gateway_protecting)', ['by sink, which none has']],
    ['qdrant_gateway_protecting_bucket', ['no metric protecting_bucket']],
  ] as const;
  for (const [expression, found] of cases) t.strictSame(wrongIn(expression), found, expression);
});

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  readonly gridPos: { readonly x: number; readonly w: number };
}

t.test('the dashboard asks only for what there is, and for everything that matters', async (t) => {
  const { panels } = JSON.parse(read('docker/grafana-dashboard.json')) as { panels: Panel[] };
  const expressions = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const));
  for (const [title, expression] of expressions) t.strictSame(wrongIn(expression), [], `${title}: ${expression}`);
  const all = expressions.map(([, expression]) => expression).join('\n');
  const missing = Object.keys(METRICS).filter((name) => !new RegExp(`${PREFIX}${name}(_bucket)?\\b`).test(all));
  t.strictSame(
    missing,
    [
      'limit_reached_total',
      'break_glass_requests_total',
      'token_exchanges_total',
      ...['token_cache_entries', 'last_reload_success_timestamp_seconds', 'generation'],
      'rules_in_shadow',
      'upstream_outages_total',
      ...Object.keys(METRICS).filter((name) => name.startsWith('upstream_node_')),
      ...['upstream_key_accepted', 'compared_total'],
      ...[
        'revocation_source_read_timestamp_seconds',
        ...['issuer_keys_up', 'issuer_keys_usable', 'issuer_keys', 'issuer_keys_fetched_timestamp_seconds'],
        'issuer_keys_fetches_total',
        ...['shared_keys_up', 'shared_keys_unknown', 'shared_keys_damaged'],
        ...['shared_limits_up', 'shared_limits_gateways'],
        'spans_exported_total',
        'spans_lost_total',
        'admin_refused_total',
        'process_start_timestamp_seconds',
      ],
      'build_info',
    ],
    'what is left out is on purpose',
  );
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'ids are unique');
  for (const { title, targets = [], gridPos } of panels) {
    t.ok(gridPos.x + gridPos.w <= 24, title);
    for (const { expr, legendFormat } of targets) {
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        const kept = new RegExp(`\\bby \\([^)]*\\b${label}\\b`).test(expr) || !/\bby \(/.test(expr);
        t.ok(kept, `${title}: ${label} is left in ${expr}`);
      }
    }
  }
  const rules = expressions.map(([, expr], at) => ({
    record: `panel:${at}`,
    expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(job|instance)/g, '.*'),
  }));
  checkRules(t, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
});

t.test('the alerts ask only for what there is', async (t) => {
  const text = read('docker/prometheus-alerts.yaml');
  const { groups } = parse(text) as { groups: { rules: { alert: string; expr: string }[] }[] };
  const rules = groups.flatMap((group) => group.rules);
  for (const { alert, expr } of rules) t.strictSame(wrongIn(expr), [], alert);
  const watched = [
    ...['certificate_expires_in_seconds', 'audit_dropped_total', 'protecting', 'last_reload_ok'],
    ...['acme_problem', 'acme_renewal_timestamp_seconds', 'acme_leader'],
    ...['upstream_node_up', 'upstream_key_accepted', 'limit_reached_total', 'break_glass_requests_total'],
  ];
  for (const name of watched)
    t.ok(
      rules.some(({ expr }) => expr.includes(`${PREFIX}${name}`)),
      `${name} is watched`,
    );
  checkRules(t, text);
});

/** The alerts about upstream, limits and certificates, by what the metrics of an hour are: one value a minute, from 1970 on. */
const FIRING: readonly {
  readonly alert: string;
  readonly series: Readonly<Record<string, string>>;
  readonly fires: boolean;
}[] = [
  { alert: 'UpstreamKeyRefused', series: { upstream_key_accepted: '0x60' }, fires: true },
  { alert: 'UpstreamKeyRefused', series: { upstream_key_accepted: '1x60' }, fires: false },
  { alert: 'NodeLeftOut', series: { 'upstream_node_up{N}': '0x60', 'upstream_node_drained{N}': '0x60' }, fires: true },
  { alert: 'NodeLeftOut', series: { 'upstream_node_up{N}': '0x60', 'upstream_node_drained{N}': '1x60' }, fires: false },
  { alert: 'NodeLeftOut', series: { 'upstream_node_up{N}': '1x60', 'upstream_node_drained{N}': '0x60' }, fires: false },
  { alert: 'NoNodeHealthy', series: { 'upstream_node_up{N}': '0x60', 'upstream_node_up{M}': '0x60' }, fires: true },
  { alert: 'NoNodeHealthy', series: { 'upstream_node_up{N}': '0x60', 'upstream_node_up{M}': '1x60' }, fires: false },
  { alert: 'NodeUnsteady', series: { 'upstream_node_ejections_total{N}': '0+1x60' }, fires: true },
  { alert: 'NodeUnsteady', series: { 'upstream_node_ejections_total{N}': '7x60' }, fires: false },
  { alert: 'LimitReached', series: { 'limit_reached_total{L, decision="denied"}': '0+120x60' }, fires: true },
  { alert: 'LimitReached', series: { 'limit_reached_total{L, decision="would_deny"}': '0+120x60' }, fires: false },
  { alert: 'CertificateNotObtained', series: { 'acme_problem{P}': '1x60' }, fires: true },
  // Tried again and again, with another problem each time.
  {
    alert: 'CertificateNotObtained',
    series: { 'acme_problem{P}': '1x20 _x40', 'acme_problem{Q}': '_x20 1x40' },
    fires: true,
  },
  { alert: 'CertificateNotObtained', series: { 'acme_problem{P}': '1x10 stale' }, fires: false },
  { alert: 'CertificateRenewalOverdue', series: { acme_renewal_timestamp_seconds: '-22000x60' }, fires: true },
  { alert: 'CertificateRenewalOverdue', series: { acme_renewal_timestamp_seconds: '0x60' }, fires: false },
  { alert: 'NoAcmeLeader', series: { 'acme_leader{J}': '0x60', 'acme_leader{K}': '0x60' }, fires: true },
  { alert: 'NoAcmeLeader', series: { 'acme_leader{J}': '0x60', 'acme_leader{K}': '1x60' }, fires: false },
  { alert: 'CertificateExpires', series: { 'certificate_expires_in_seconds{C}': '400000x60' }, fires: true },
  { alert: 'CertificateExpires', series: { 'certificate_expires_in_seconds{C}': '2000000x60' }, fires: false },
  {
    alert: 'CertificateExpires',
    series: { 'certificate_expires_in_seconds{U}': '400000x60', acme_renewal_timestamp_seconds: '100000x60' },
    fires: true,
  },
  {
    alert: 'CertificateExpires',
    series: { 'certificate_expires_in_seconds{C}': '400000x60', acme_renewal_timestamp_seconds: '100000x60' },
    fires: false,
  },
  {
    alert: 'CertificateExpires',
    series: { 'certificate_expires_in_seconds{C}': '100000x60', acme_renewal_timestamp_seconds: '0x60' },
    fires: true,
  },
];

t.test('the alerts about nodes, the key of upstream, limits and certificates fire when they should', (t) => {
  const labels = (series: string): string =>
    `${PREFIX}${series.includes('{') ? series : `${series}{}`}`
      .replace('{', '{instance="i", ')
      .replace('N}', 'upstream_node="n:6333"}')
      .replace('M}', 'upstream_node="m:6333"}')
      .replace('L,', 'limit="team",')
      .replace('P}', 'problem="challenge"}')
      .replace('Q}', 'problem="rate_limited"}')
      .replace('C}', 'certificate="listener"}')
      .replace('U}', 'certificate="upstream_ca"}')
      .replace('instance="i", J}', 'instance="i", job="gateways"}')
      .replace('instance="i", K}', 'instance="k", job="gateways"}')
      .replace(', }', '}');
  const tests = FIRING.map(({ alert, series, fires }) => ({
    name: `${alert} ${fires ? 'fires' : 'does not fire'} with ${JSON.stringify(series)}`,
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: labels(name), values })),
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="QdrantGateway${alert}", alertstate="firing"}) or vector(0)`,
        eval_time: '45m',
        exp_samples: [{ labels: '{}', value: fires ? 1 : 0 }],
      },
    ],
  }));
  const rules = fileURLToPath(new URL('../../docker/prometheus-alerts.yaml', import.meta.url));
  runPromtool(t, 'test', JSON.stringify({ rule_files: [rules], evaluation_interval: '1m', tests }));
  t.end();
});

function checkRules(t: Test, rules: string): void {
  runPromtool(t, 'check', rules);
}

function runPromtool(t: Test, command: 'check' | 'test', rules: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-rules-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'rules.yaml');
  writeFileSync(file, rules);
  const { error, status, stdout, stderr } = spawnSync('promtool', [command, 'rules', file], { encoding: 'utf8' });
  if (error) t.comment('promtool is not installed');
  else t.equal(status, 0, `promtool: ${stdout}${stderr}`);
}

t.test('the document lists every metric and every label', async (t) => {
  const text = read('docs/reference/metrics.md');
  const part = (name: string) => text.split(`<!-- ${name} -->`)[1]?.split(`<!-- /${name} -->`)[0]?.trim();
  t.equal(part('metrics'), metricsTable(), 'as test/support/metrics-document.ts prints it');
  t.equal(part('labels'), labelsTable(), 'as test/support/metrics-document.ts prints it');
  for (const { labels, buckets, type } of Object.values(ROWS)) {
    for (const label of labels) t.ok(label in LABEL_VALUES, `${label} is described`);
    t.equal(buckets !== undefined, type === 'histogram');
  }
});

t.test('the container examples set options that exist, and ask pages that are served', async (t) => {
  const known = new Set(options.map(({ path }) => envName(path)));
  for (const file of ['docker/compose.yaml', 'docker/kubernetes.yaml']) {
    const text = read(file);
    const set = [...text.matchAll(/\bQDRANT_GATEWAY__\w+/g)].map(([name]) => name);
    t.ok(set.length >= 3, file);
    t.strictSame(
      set.filter((name) => !known.has(name)),
      [],
      `${file}: every variable is an option`,
    );
    t.match(text, /\/-\/ready/, file);
  }
  const [, port] = /ADMIN__PORT, value: "(\d+)"/.exec(read('docker/kubernetes.yaml')) ?? [];
  const set = parseAllDocuments(read('docker/kubernetes.yaml')).map(
    (one) => one.toJS() as { kind: string; spec: Spec },
  );
  const pod = set.find(({ kind }) => kind === 'StatefulSet')?.spec.template;
  const gateway = pod?.spec.containers.find(({ name }) => name === 'gateway');
  t.equal(pod?.metadata.annotations['prometheus.io/port'], port);
  t.strictSame(gateway?.ports.find(({ name }) => name === 'admin')?.containerPort, Number(port));
  t.strictSame(gateway?.readinessProbe.httpGet, { path: '/-/ready', port: 'admin' });
  t.strictSame(gateway?.livenessProbe.httpGet, { path: '/-/live', port: 'admin' });
});

interface Spec {
  readonly template: {
    readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
    readonly spec: { readonly containers: readonly Container[] };
  };
}

interface Container {
  readonly name: string;
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly readinessProbe: { readonly httpGet: object };
  readonly livenessProbe: { readonly httpGet: object };
}

import { writeJson } from './json.ts';
import type { RestAnswer, RestCall, RestRoute } from './routing.ts';
import { clusterTelemetry, telemetry } from './telemetry.ts';

/** The commit the stand-in claims to be built from. */
export const commit = 'fa4e0000000000000000000000000000000fa4e0';

function text(body: string): RestAnswer {
  return { status: 200, type: 'text/plain; charset=utf-8', body };
}

function get(path: string, handle: (call: RestCall) => RestAnswer): RestRoute {
  return { method: 'GET', path, body: 'none', handle };
}

function metrics({ store, version }: RestCall): string {
  return [
    '# HELP app_info information about qdrant server',
    '# TYPE app_info gauge',
    `app_info{name="qdrant",version="${version}"} 1`,
    '# HELP collections_total number of collections',
    '# TYPE collections_total gauge',
    `collections_total ${store.collections.size}`,
    '# HELP collection_points approximate amount of points per collection',
    '# TYPE collection_points gauge',
    ...[...store.collections.values()].map((c) => `collection_points{id="${c.name}"} ${c.points.size}`),
    '',
  ].join('\n');
}

/** Version, health, metrics and telemetry. */
export const serviceRoutes: RestRoute[] = [
  get('/', ({ version }) => ({
    status: 200,
    type: 'application/json',
    body: writeJson({ title: 'qdrant - vector search engine', version, commit }),
  })),
  get('/healthz', () => text('healthz check passed')),
  // Upstream: v1.18.3 gives the same text for both.
  get('/livez', () => text('healthz check passed')),
  get('/readyz', () => text('all shards are ready')),
  get('/metrics', (call) => text(metrics(call))),
  get('/telemetry', ({ store, version, query }) => ({
    result: telemetry(store, version, Number(query.get('details_level') ?? '0'), query.get('anonymize') === 'true'),
  })),
  get('/cluster/telemetry', ({ store, version, query }) => ({
    result: clusterTelemetry(store, version, Number(query.get('details_level') ?? '0')),
  })),
];

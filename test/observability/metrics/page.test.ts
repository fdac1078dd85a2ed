import { spawnSync } from 'node:child_process';
import t from 'tap';
import { loadConfig } from '../../../src/config/load.ts';
import { NO_POLICY } from '../../../src/config/policy/file.ts';
import { loadSecrets } from '../../../src/config/secrets.ts';
import type { State } from '../../../src/config/state.ts';
import { createGateway } from '../../../src/gateway/gateway.ts';
import { LABEL_VALUES, METRICS, PREFIX } from '../../../src/observability/metrics/names.ts';
import { askAdmin, type Supervised, seriesOf, startSupervised } from '../../support/admin-gateway.ts';
import { message, rawClient, unary } from '../../support/clients/unary.ts';
import { startFakeQdrant } from '../../support/fake-qdrant/main.ts';
import { KEYS } from '../../support/gateway.ts';
import { makeToken } from '../../support/tokens.ts';
import { until } from '../../support/until.ts';

const page = async ({ admin }: Supervised) => seriesOf((await askAdmin(admin, '/metrics')).text);

/** The series of one metric, without its name. */
async function series(gateway: Supervised, name: string): Promise<Record<string, number>> {
  const found = [...(await page(gateway))].filter(([key]) => key.split('{')[0] === name);
  return Object.fromEntries(found.map(([key, value]) => [key.slice(name.length).replaceAll('"', ''), value]));
}

/** Statuses of REST requests, one after the other. */
async function rest(
  gateway: Supervised,
  requests: readonly (readonly [method: string, path: string, key: string | undefined, body?: string])[],
): Promise<number[]> {
  const statuses: number[] = [];
  for (const [method, path, key, body] of requests) {
    const headers = { 'content-type': 'application/json', ...(key === undefined ? {} : { 'api-key': key }) };
    const init = body === undefined ? { method, headers } : { method, headers, body };
    const answer = await fetch(`${gateway.rest.url}${path}`, init);
    await answer.arrayBuffer();
    statuses.push(answer.status);
  }
  return statuses;
}

async function grpc(
  gateway: Supervised,
  calls: readonly (readonly [path: string, key: string, message?: Uint8Array])[],
): Promise<number[]> {
  const client = rawClient(gateway);
  const codes: number[] = [];
  for (const [path, key, body] of calls) {
    codes.push((await unary(client, path, body ?? new Uint8Array(), { 'api-key': key })).code);
  }
  client.close();
  return codes;
}

const DEEP = `{"filter":${'{"must":'.repeat(200)}{}${'}'.repeat(200)}}`;
const LIST = '/qdrant.Collections/List';

t.test('counters say exactly what was sent on both protocols, allowed beside refused', async (t) => {
  const gateway = await startSupervised();
  t.teardown(gateway.close);
  const books = makeToken({ access: [{ collection: 'books', access: 'r' }] });
  t.strictSame(await series(gateway, 'requests_total'), {}, 'nothing before there was a request');
  t.strictSame(
    await rest(gateway, [
      ['PUT', '/collections/books', KEYS.admin, '{"vectors":{"size":1,"distance":"Dot"}}'],
      ['GET', '/collections', KEYS.admin],
      ['GET', '/collections', undefined],
      ['GET', '/collections', 'wrong'],
      ['PUT', '/collections/more', KEYS.readOnly, '{}'],
      ['GET', '/collections/books', books],
      ['GET', '/collections/other', books],
      ['POST', '/collections/books/points/count', books, '{}'],
      ['POST', '/collections/books/points/count', books, DEEP],
      ['GET', '/no/such/route', KEYS.readOnly],
      ['GET', '/healthz', undefined],
    ]),
    [200, 200, 401, 401, 403, 200, 403, 200, 400, 404, 200],
  );
  t.strictSame(
    await grpc(gateway, [
      [LIST, KEYS.admin],
      [LIST, KEYS.readOnly],
      [LIST, 'wrong'],
      ['/qdrant.Collections/Delete', KEYS.readOnly, message({ 1: 'books' })],
      ['/qdrant.Points/Count', books, message({ 1: 'books' })],
      ['/qdrant.Points/Count', books, message({ 1: 'other' })],
      ['/qdrant.Nothing/AtAll', KEYS.readOnly],
    ]),
    [0, 0, 16, 7, 0, 7, 12],
  );
  await until(async () => Object.keys(await series(gateway, 'requests_total')).length === 15, 'every series is there');
  const denied = 'decision=denied,reason';
  t.strictSame(await series(gateway, 'requests_total'), {
    '{protocol=rest,group=collections,decision=permit,reason=none,code=none,status=2xx}': 3,
    [`{protocol=rest,group=collections,${denied}=authentication,code=missing_credential,status=4xx}`]: 1,
    [`{protocol=rest,group=collections,${denied}=authentication,code=bad_credential,status=4xx}`]: 1,
    [`{protocol=rest,group=collections,${denied}=access,code=global_manage_required,status=4xx}`]: 1,
    [`{protocol=rest,group=collections,${denied}=access,code=collection_not_listed,status=4xx}`]: 1,
    '{protocol=rest,group=points.read,decision=permit,reason=none,code=none,status=2xx}': 1,
    [`{protocol=rest,group=points.read,${denied}=nesting,code=nesting,status=4xx}`]: 1,
    [`{protocol=rest,group=unlisted,${denied}=unknown,code=unknown_operation,status=4xx}`]: 1,
    '{protocol=rest,group=service,decision=permit,reason=none,code=none,status=2xx}': 1,
    '{protocol=grpc,group=collections,decision=permit,reason=none,code=none,status=2xx}': 2,
    [`{protocol=grpc,group=collections,${denied}=authentication,code=bad_credential,status=4xx}`]: 1,
    [`{protocol=grpc,group=collections,${denied}=access,code=global_manage_required,status=4xx}`]: 1,
    '{protocol=grpc,group=points.read,decision=permit,reason=none,code=none,status=2xx}': 1,
    [`{protocol=grpc,group=points.read,${denied}=access,code=collection_not_listed,status=4xx}`]: 1,
    [`{protocol=grpc,group=unlisted,${denied}=unknown,code=unknown_operation,status=4xx}`]: 1,
  });
});

t.test('histograms count each request once, and time passes in them', async (t) => {
  const slow = 400;
  const gateway = await startSupervised({
    upstream: {
      onRest: (request, response) => {
        if (request.url !== '/collections') return false;
        setTimeout(() => response.writeHead(200).end('{}'), slow);
        return true;
      },
    },
  });
  t.teardown(gateway.close);
  await rest(gateway, [
    ['GET', '/collections', KEYS.admin],
    ['GET', '/collections', 'wrong'],
  ]);
  await until(async () => (await page(gateway)).size > 0, 'there is a page');
  const values = await page(gateway);
  const at = (name: string) => values.get(name) ?? -1;
  t.equal(at('gateway_seconds_count{protocol="rest",settled="forwarded"}'), 1);
  t.equal(at('gateway_seconds_count{protocol="rest",settled="refused"}'), 1);
  t.equal(at('upstream_seconds_count{protocol="rest",group="collections"}'), 1, 'a refused one never was there');
  t.equal(at('request_seconds_count{protocol="rest",group="collections"}'), 2);
  const [own, upstream] = [
    at('gateway_seconds_sum{protocol="rest",settled="forwarded"}'),
    at('upstream_seconds_sum{protocol="rest",group="collections"}'),
  ];
  t.ok(upstream >= (slow - 5) / 1000, `upstream took ${upstream} s`);
  t.ok(own < upstream, `the gateway took ${own} s`);
  t.equal(at('upstream_seconds_bucket{le="0.1",protocol="rest",group="collections"}'), 0);
  t.equal(at('upstream_seconds_bucket{le="+Inf",protocol="rest",group="collections"}'), 1);
});

t.test('what is open, and what is not yet, shows while it is', async (t) => {
  const held: (() => void)[] = [];
  let holding = false;
  const gateway = await startSupervised({
    upstream: {
      onRest: (request, response) => {
        if (!holding || request.url !== '/collections') return false;
        held.push(() => response.writeHead(200).end('{}'));
        return true;
      },
    },
  });
  t.teardown(gateway.close);
  holding = true;
  const asked = rest(gateway, [['GET', '/collections', KEYS.admin]]);
  await until(() => held.length === 1, 'upstream was asked');
  t.equal((await page(gateway)).get('requests_in_flight{protocol="rest"}'), 1);
  held[0]?.();
  t.strictSame(await asked, [200]);
  await until(async () => (await page(gateway)).get('requests_in_flight{protocol="rest"}') === 0, 'it has ended');
  const values = await page(gateway);
  t.equal(values.get('connections_accepted_total{protocol="rest"}'), 1);
  t.equal(values.get('connections_accepted_total{protocol="grpc"}'), 0);
});

t.test('a gateway that does not protect says so, and counts what it would refuse', async (t) => {
  const gateway = await startSupervised({ settings: { 'gateway.mode': 'shadow' } });
  t.teardown(gateway.close);
  t.strictSame(await rest(gateway, [['PUT', '/collections/books', KEYS.readOnly, '{"vectors":{}}']]), [200]);
  await until(async () => Object.keys(await series(gateway, 'requests_total')).length > 0, 'it is counted');
  t.strictSame(await series(gateway, 'requests_total'), {
    '{protocol=rest,group=collections,decision=would_deny,reason=access,code=global_manage_required,status=2xx}': 1,
  });
  t.strictSame(await series(gateway, 'protecting'), { '': 0 });
  const protecting = await startSupervised();
  t.teardown(protecting.close);
  t.strictSame(await series(protecting, 'protecting'), { '': 1 });
});

t.test('keys and subjects are counted by name where that is asked for, up to the cap', async (t) => {
  const gateway = await startSupervised({
    settings: { 'gateway.metrics.per_key': true, 'gateway.metrics.max_labels': 3 },
  });
  t.teardown(gateway.close);
  const token = (subject: string) => makeToken({ access: 'r', subject });
  await rest(gateway, [
    ['GET', '/collections', KEYS.admin],
    ['GET', '/collections', token('ada "the" \\ first')],
    ['GET', '/collections', token('bob')],
    ['GET', '/collections', token('cyd')],
    ['DELETE', '/collections/x', token('dan')],
    ['GET', '/collections', 'nobody'],
  ]);
  const counted = async () =>
    Object.entries(await series(gateway, 'principal_requests_total')).filter(([, count]) => count > 0);
  await until(async () => (await counted()).length === 5, 'all are counted');
  t.strictSame(Object.fromEntries(await counted()), {
    '{key=api_key,subject=,decision=permit}': 1,
    '{key=api_key,subject=ada \\the\\ \\\\ first,decision=permit}': 1,
    '{key=api_key,subject=bob,decision=permit}': 1,
    '{key=other,subject=other,decision=permit}': 1,
    '{key=other,subject=other,decision=denied}': 1,
  });
  const silent = await startSupervised();
  t.teardown(silent.close);
  await rest(silent, [['GET', '/collections', token('ada')]]);
  t.strictSame(await series(silent, 'principal_requests_total'), {}, 'no principal is named otherwise');
});

t.test('whatever clients send, the number of series is bounded', async (t) => {
  const gateway = await startSupervised();
  t.teardown(gateway.close);
  const shapes = async () => new Set([...(await page(gateway)).keys()]);
  const some = (round: number) =>
    Array.from({ length: 60 }, (_, i) => {
      const name = `${round}-${i}-${'x'.repeat(i)}`;
      const keys = [KEYS.admin, KEYS.readOnly, `wrong-${name}`, makeToken({ access: 'r', subject: name })];
      const paths = [`/collections/${name}`, `/${name}`, `/collections/${name}/points/count`, '/metrics'];
      const methods = ['GET', 'DELETE', 'PUT', `M${i % 3}`];
      return [methods[i % 4] ?? 'GET', paths[i % 3] ?? '/', keys[i % 4]] as const;
    });
  await rest(gateway, some(0));
  const first = await shapes();
  await rest(gateway, some(1));
  await rest(gateway, some(2));
  t.strictSame(
    [...(await shapes())].filter((one) => !first.has(one)),
    [],
    'other names make no other series',
  );
  for (const one of first) {
    for (const [, label = '', value = ''] of one.matchAll(/(\w+)="([^"]*)"/g)) {
      const allowed = LABEL_VALUES[label];
      if (label !== 'le' && allowed) t.ok(allowed.includes(value), `${label}=${value} is one of a fixed list`);
    }
  }
});

t.test('both formats are what they say they are', async (t) => {
  const gateway = await startSupervised({ settings: { 'gateway.metrics.per_key': true, 'service.enable_tls': true } });
  t.teardown(gateway.close);
  const client = rawClient(gateway);
  await unary(client, LIST, new Uint8Array(), { 'api-key': KEYS.admin });
  client.close();
  await until(async () => Object.keys(await series(gateway, 'requests_total')).length > 0, 'a request is counted');

  const plain = await askAdmin(gateway.admin, '/metrics');
  t.equal(plain.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  const declared = [...plain.text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]);
  t.strictSame(
    declared,
    Object.entries(METRICS).map(([name, { type }]) => [`${PREFIX}${name}`, type]),
    'every metric of the table is declared, and no other',
  );
  for (const line of plain.text.split('\n').filter((one) => one !== '' && !one.startsWith('#'))) {
    t.match(line, /^[a-z0-9_]+(\{([a-z]+="([^"\\\n]|\\.)*",?)+\})? (NaN|[-+]?(\d+(\.\d+)?(e[-+]?\d+)?|Inf))$/);
  }
  const check = spawnSync('promtool', ['check', 'metrics'], { input: plain.text, encoding: 'utf8' });
  if (check.error) t.comment('promtool is not installed');
  else t.strictSame([check.status, check.stdout + check.stderr], [0, ''], 'promtool has nothing to say');

  const accept = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5';
  const open = await askAdmin(gateway.admin, '/metrics', { headers: { accept } });
  t.equal(open.headers['content-type'], 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  t.match(open.text, /\n# EOF\n$/);
  const counters = [...open.text.matchAll(/^# TYPE (\S+) counter$/gm)].map(([, name]) => name);
  for (const name of counters) t.notMatch(name, /_total$/, 'families are named without the suffix');
  t.strictSame([...seriesOf(plain.text).keys()].length, [...seriesOf(open.text).keys()].length, 'the same series');
});

t.test('certificates, upstream and the event loop are told of', async (t) => {
  const gateway = await startSupervised({ settings: { 'service.enable_tls': true } });
  t.teardown(gateway.close);
  const values = await page(gateway);
  const expiry = values.get('certificate_expires_in_seconds{certificate="listener"}') ?? 0;
  t.ok(expiry > 86_400, `the certificate runs out in ${expiry} s`);
  t.equal(values.get('upstream_up{protocol="rest"}'), 1);
  t.equal(values.get('upstream_up{protocol="grpc"}'), 1);
  t.equal(values.get('generation'), 1);
  t.equal(values.get('processes'), 1);
  t.ok((values.get('event_loop_busy_seconds_total{worker="0"}') ?? 0) > 0);
  t.ok((values.get('process_resident_bytes{worker="0"}') ?? 0) > 1e7);
  for (const statistic of ['p50', 'p99', 'max']) {
    t.ok((values.get(`event_loop_delay_seconds{worker="0",statistic="${statistic}"}`) ?? -1) >= 0, statistic);
  }
  await fetch(`http://localhost:${gateway.rest.port}/`).catch(() => undefined);
  const { connect } = await import('node:tls');
  const untrusting = connect({ host: '127.0.0.1', port: gateway.rest.port, ca: [] });
  await new Promise((resolve) => untrusting.once('error', resolve));
  await until(
    async () => (await page(gateway)).get('tls_handshake_failures_total{protocol="rest"}') === 1,
    'the failed handshake is counted',
  );
});

t.test('the metrics of upstream pass through the gateway as they are', async (t) => {
  const gateway = await startSupervised();
  t.teardown(gateway.close);
  t.strictSame(
    await rest(gateway, [
      ['GET', '/metrics', KEYS.admin],
      ['GET', '/metrics', undefined],
    ]),
    [200, 401],
  );
});

t.test('without an admin port nothing is observed', async (t) => {
  const upstream = await startFakeQdrant();
  const stateOf = (port: number | null): State => {
    const defaults = {
      ...{ 'service.host': '127.0.0.1', 'service.http_port': 0, 'service.grpc_port': 0, log_level: 'off' },
      ...{ 'service.api_key': KEYS.admin, 'gateway.admin.port': port },
      ...{ 'gateway.upstream.rest_url': upstream.restUrl, 'gateway.upstream.grpc_url': upstream.grpcUrl },
    };
    const { config } = loadConfig({ env: {}, defaults });
    return { config, secrets: loadSecrets(config).secrets, policy: NO_POLICY };
  };
  for (const port of [null, 0]) {
    const gateway = await createGateway(stateOf(port));
    await gateway.start();
    t.equal(gateway.snapshot().observed === undefined, port === null, `admin port ${port}`);
    await gateway.stop(0);
  }
  await upstream.close();
});

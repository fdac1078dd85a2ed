import t from 'tap';
import { ADMIN_TOKEN, askAdmin, seriesOf, startSupervised } from '../support/admin-gateway.ts';
import { KEYS } from '../support/gateway.ts';
import { listOf, StandInNode } from '../support/nodes.ts';
import { until } from '../support/until.ts';

/* What the admin port shows of several nodes: two stand-ins, of different releases. */

const nodes = await Promise.all([
  StandInNode.start({ version: '1.19.1' }),
  StandInNode.start({ version: '1.18.3' }),
] as const);
const [one, two] = nodes;
const gateway = await startSupervised({
  audit: true,
  settings: {
    'gateway.admin.token': ADMIN_TOKEN,
    'gateway.upstream.rest_url': null,
    'gateway.upstream.grpc_url': null,
    'gateway.upstream.nodes': listOf(nodes),
  },
});
t.teardown(async () => {
  await gateway.close();
  await Promise.all(nodes.map((node) => node.stop()));
});

interface Shown {
  readonly name: string;
  readonly state: string;
  readonly version: string | null;
  readonly open: number;
  readonly requests: number;
}

async function upstreamShown(): Promise<{ readonly version: string | null; readonly nodes: readonly Shown[] }> {
  const { text } = await askAdmin(gateway.admin, '/-/status', { token: ADMIN_TOKEN });
  return (JSON.parse(text) as { upstream: Awaited<ReturnType<typeof upstreamShown>> }).upstream;
}

const ready = async (): Promise<number> => (await askAdmin(gateway.admin, '/-/ready')).status;

t.test('the status names every node, and the lowest release counts', async (t) => {
  for (let i = 0; i < 20; i++) {
    const answer = await fetch(`${gateway.rest.url}/collections`, { headers: { 'api-key': KEYS.admin } });
    t.equal(answer.status, 200);
    await answer.text();
  }
  await until(async () => (await upstreamShown()).nodes.every(({ version }) => version !== null), 'releases');
  await until(async () => (await upstreamShown()).version === '1.18.3', 'the lowest release');
  const shown = await upstreamShown();
  t.strictSame(
    shown.nodes.map(({ name, state, version, open }) => [name, state, version, open]),
    [
      [one.name, 'up', '1.19.1', 0],
      [two.name, 'up', '1.18.3', 0],
    ],
  );
  t.ok(shown.nodes.reduce((sum, { requests }) => sum + requests, 0) >= 20);
});

t.test('the metrics have a series for each node', async (t) => {
  const series = seriesOf((await askAdmin(gateway.admin, '/metrics')).text);
  for (const { name } of nodes) {
    t.equal(series.get(`upstream_node_up{upstream_node="${name}"}`), 1);
    t.equal(series.get(`upstream_node_open{upstream_node="${name}"}`), 0);
    t.equal(series.get(`upstream_node_weight{upstream_node="${name}"}`), 1);
    t.equal(series.get(`upstream_node_ejections_total{upstream_node="${name}"}`), 0);
    t.ok((series.get(`upstream_node_requests_total{upstream_node="${name}"}`) ?? 0) > 0);
  }
  t.equal(series.get(`upstream_node_info{upstream_node="${two.name}",version="1.18.3"}`), 1);
});

interface Page {
  readonly nodes: readonly (Shown & { readonly processes: readonly { readonly state: string }[] })[];
  readonly drained_and_absent: readonly string[];
}

async function page(): Promise<Page> {
  return JSON.parse((await askAdmin(gateway.admin, '/-/nodes', { token: ADMIN_TOKEN })).text) as Page;
}

const change = (what: 'drain' | 'undrain', body: unknown, token = ADMIN_TOKEN) =>
  askAdmin(gateway.admin, `/-/nodes/${what}`, {
    ...{ method: 'POST', token, body: JSON.stringify(body) },
    headers: { 'content-type': 'application/json' },
  });

t.test('a node is drained and taken in again, but never the last one', async (t) => {
  const states = async () =>
    (await page()).nodes.map(({ state, processes }) => [state, processes.map((one) => one.state)]);
  await until(async () => (await states()).every(([state]) => state === 'up'), 'all are up');
  const drained = await change('drain', { node: one.name });
  t.strictSame([drained.status, JSON.parse(drained.text)], [200, { ok: true, node: one.name, drained: true }]);
  t.equal((await change('drain', { node: one.name })).status, 200, 'twice is the same');
  t.strictSame(await states(), [
    ['drained', ['drained']],
    ['up', ['up']],
  ]);
  const series = async (name: string): Promise<(number | undefined)[]> => {
    const all = seriesOf((await askAdmin(gateway.admin, '/metrics')).text);
    return [
      all.get(`upstream_node_drained{upstream_node="${name}"}`),
      all.get(`upstream_node_up{upstream_node="${name}"}`),
    ];
  };
  t.strictSame(await series(one.name), [1, 0]);
  t.strictSame(await series(two.name), [0, 1]);
  one.fake.recorder.clear();
  for (let i = 0; i < 10; i++) {
    const answer = await fetch(`${gateway.rest.url}/collections`, { headers: { 'api-key': KEYS.admin } });
    t.equal(answer.status, 200);
    await answer.text();
  }
  t.strictSame(one.seen, []);

  const last = await change('drain', { node: two.name });
  t.match(last, { status: 409, text: /is the last node that takes requests/ });
  t.match(await change('drain', { node: 'localhost:1' }), {
    status: 404,
    text: new RegExp(`no node has this name.*${one.name}`),
  });
  for (const body of [{}, { node: 1 }, { node: one.name, all: true }, [one.name], 'x'])
    t.match(await change('drain', body), { status: 400 }, JSON.stringify(body));
  t.equal((await change('undrain', { node: one.name }, 'wrong')).status, 401);
  t.equal((await askAdmin(gateway.admin, '/-/nodes')).status, 401);
  t.strictSame((await states())[1], ['up', ['up']], 'nothing has changed');

  t.equal((await gateway.supervisor.reload('admin')).ok, true);
  t.strictSame((await states())[0], ['drained', ['drained']], 'a reload changes nothing');
  t.match(await change('undrain', { node: one.name }), { status: 200, text: /"drained":false/ });
  t.match((await states())[0], [/up|rising/]);
  t.equal((await change('drain', { node: two.name })).status, 200);
  t.equal((await change('undrain', { node: two.name })).status, 200);
  const both = await Promise.all([change('drain', { node: one.name }), change('drain', { node: two.name })]);
  t.strictSame(both.map(({ status }) => status).sort(), [200, 409], 'not both at once');
  for (const { name } of nodes) t.equal((await change('undrain', { node: name })).status, 200);
  const key = 'admin_token';
  const failed = 'not carried out';
  await until(() => gateway.acts().length >= 17, 'all are recorded');
  t.strictSame(
    gateway.acts().filter(([, , , , error]) => error === undefined),
    ['drain', 'drain', 'undrain', 'drain', 'undrain', 'drain', 'undrain', 'undrain'].map((what) => [
      `gateway_node_${what}`,
      'ApiKey',
      key,
      'ok',
      undefined,
    ]),
  );
  t.equal(gateway.acts().filter(([, , , result, error]) => result === 'ok' && error === failed).length, 8);
  t.equal(
    gateway.acts().filter(([method, , , result]) => method === 'gateway_node_undrain' && result === 'denied').length,
    1,
  );
});

t.test('it is ready as long as one node is', async (t) => {
  t.equal(await ready(), 200);
  await two.stop();
  await until(async () => (await upstreamShown()).nodes[1]?.state === 'ejected', 'it is left out');
  t.equal(await ready(), 200);
  const series = seriesOf((await askAdmin(gateway.admin, '/metrics')).text);
  t.equal(series.get(`upstream_node_up{upstream_node="${two.name}"}`), 0);
  t.equal(series.get(`upstream_node_ejections_total{upstream_node="${two.name}"}`), 1);
  t.ok((series.get(`upstream_node_failures_total{upstream_node="${two.name}"}`) ?? 0) > 0);
  t.equal((await change('drain', { node: two.name })).status, 200);
  t.equal((await change('undrain', { node: two.name })).status, 200);
  t.equal((await upstreamShown()).nodes[1]?.state, 'ejected', 'it is left out until a probe finds it good');
  t.match(await change('drain', { node: one.name }), { status: 409 }, 'the last one that works stays');
  await one.stop();
  await until(async () => (await ready()) === 503, 'not ready without any');
  await Promise.all([one.again(), two.again()]);
  await until(async () => (await ready()) === 200, 'ready again');
});

t.test('it is not ready when the only node that works is drained', async (t) => {
  await until(async () => (await page()).nodes.every(({ state }) => state !== 'ejected'), 'all take requests');
  t.equal((await change('drain', { node: one.name })).status, 200);
  t.equal(await ready(), 200, 'the other one is there');
  await two.stop();
  await until(async () => (await ready()) === 503, 'the drained one does not count');
  t.equal((await change('undrain', { node: one.name })).status, 200);
  await until(async () => (await ready()) === 200, 'it is back');
  await two.again();
});

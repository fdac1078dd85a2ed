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

t.test('it is ready as long as one node is', async (t) => {
  t.equal(await ready(), 200);
  await two.stop();
  await until(async () => (await upstreamShown()).nodes[1]?.state === 'ejected', 'it is left out');
  t.equal(await ready(), 200);
  const series = seriesOf((await askAdmin(gateway.admin, '/metrics')).text);
  t.equal(series.get(`upstream_node_up{upstream_node="${two.name}"}`), 0);
  t.equal(series.get(`upstream_node_ejections_total{upstream_node="${two.name}"}`), 1);
  t.ok((series.get(`upstream_node_failures_total{upstream_node="${two.name}"}`) ?? 0) > 0);
  await one.stop();
  await until(async () => (await ready()) === 503, 'not ready without any');
  await Promise.all([one.again(), two.again()]);
  await until(async () => (await ready()) === 200, 'ready again');
});

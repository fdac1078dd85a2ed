import t from 'tap';
import { discoverNodes } from '../../../src/upstream/nodes/discovery.ts';
import { startDns } from '../../support/dns-server.ts';
import { LANES, StandInNode, startNodes } from '../../support/nodes.ts';
import { until } from '../../support/until.ts';

/* Nodes by a name in DNS, with a server of the test's own. */

const dns = await startDns();
t.teardown(dns.close);

const QUESTION = { name: 'qdrant.test', srv: false, restPort: 6333, server: dns.address };

t.test('addresses are nodes, each once and in a fixed order', async (t) => {
  dns.answer({ a: ['10.0.0.2', '10.0.0.1', '10.0.0.2'] });
  t.strictSame(await discoverNodes(QUESTION), [
    { host: '10.0.0.1', restPort: 6333, weight: 1 },
    { host: '10.0.0.2', restPort: 6333, weight: 1 },
  ]);
});

t.test('services are nodes with hosts, ports and weights of their own', async (t) => {
  dns.answer({
    srv: [
      { host: 'b.test', port: 7333, weight: 3 },
      { host: 'a.test', port: 6333 },
    ],
  });
  t.strictSame(await discoverNodes({ ...QUESTION, srv: true }), [
    { host: 'a.test', restPort: 6333, weight: 1 },
    { host: 'b.test', restPort: 7333, weight: 3 },
  ]);
});

t.test('a name of the machine is resolved as by any program', async (t) => {
  const found = await discoverNodes({ ...QUESTION, name: 'localhost', server: null });
  t.ok(found.some(({ host }) => host === '127.0.0.1' || host === '::1'));
});

t.test('a name without nodes is an error that names it', async (t) => {
  dns.answer(undefined);
  await t.rejects(discoverNodes(QUESTION), { message: /qdrant\.test/ });
  await t.rejects(discoverNodes({ ...QUESTION, srv: true }), { message: /qdrant\.test/ });
  dns.answer({ a: [] });
  await t.rejects(discoverNodes(QUESTION), { message: '`qdrant.test` has no addresses' });
});

t.test('a gateway starts without an answer, and follows the name', async (t) => {
  const first = await StandInNode.start();
  const [restPort, grpcPort] = [first.restUrl, first.grpcUrl].map((url) => Number(new URL(url).port));
  if (!restPort || !grpcPort) throw new Error('no ports');
  const second = await StandInNode.start({ host: '127.0.0.2', restPort, grpcPort });
  dns.answer(undefined);
  const [, , lane] = LANES;
  if (!lane) throw new Error('no lane');
  const scene = await startNodes({
    lane,
    count: 0,
    settings: {
      'gateway.upstream.nodes': null,
      'gateway.upstream.discovery.dns': 'qdrant.test',
      'gateway.upstream.discovery.server': dns.address,
      'gateway.upstream.discovery.rest_port': restPort,
      'gateway.upstream.discovery.grpc_port': grpcPort,
      'gateway.upstream.discovery.refresh_ms': 100,
    },
  });
  t.teardown(async () => {
    await scene.close();
    await Promise.all([first.stop(), second.stop()]);
  });
  const { ask, gateway } = scene;
  const names = (): string[] => (gateway.snapshot().nodes ?? []).map(({ name }) => name);
  const [one, two] = [`127.0.0.1:${restPort}`, `127.0.0.2:${restPort}`];

  t.match(await ask('GET', '/collections'), { status: 502 }, 'no node yet');
  dns.answer({ a: ['127.0.0.1'] });
  await until(() => names().join() === one, 'the first node');
  t.match(await ask('GET', '/collections'), { status: 200 });

  dns.answer({ a: ['127.0.0.1', '127.0.0.2'] });
  await until(() => names().length === 2, 'both');
  await until(async () => {
    t.match(await ask('GET', '/collections'), { status: 200 });
    return second.seen.length > 0;
  }, 'the second one takes requests');

  dns.answer({ a: ['127.0.0.2'] });
  await until(() => names().join() === two, 'the first one has left');
  first.fake.recorder.clear();
  for (let i = 0; i < 5; i++) t.match(await ask('GET', '/collections'), { status: 200 });
  t.strictSame(first.seen, []);

  for (const nothing of [undefined, 'silent'] as const) {
    const before = dns.asked();
    dns.answer(nothing);
    await until(() => dns.asked() > before + 1, 'it is asked in vain');
    t.strictSame(names(), [two], 'the last known node stays');
    t.match(await ask('GET', '/collections'), { status: 200 });
  }
});

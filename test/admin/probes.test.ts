import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { askAdmin, type Supervised, startSupervised } from '../support/admin-gateway.ts';
import { KEYS } from '../support/gateway.ts';
import { until } from '../support/until.ts';

const ready = async ({ admin }: Pick<Supervised, 'admin'>) => {
  const { status, text } = await askAdmin(admin, '/-/ready');
  return { status, ...(JSON.parse(text) as object) };
};

const READY = {
  ...{ status: 200, ready: true, listeners: 'up', keys: 'loaded' },
  upstream: { rest: 'reachable', grpc: 'reachable' },
};

t.test('ready while the upstream answers on both protocols, and it is asked at most every two seconds', async (t) => {
  const gateway = await startSupervised();
  t.teardown(gateway.close);
  t.strictSame(await ready(gateway), READY);
  const { rest, grpc } = gateway.upstream.recorder;
  const asked = [rest.length, grpc.length];
  await Promise.all(Array.from({ length: 50 }, () => ready(gateway)));
  const more = [rest.length - (asked[0] ?? 0), grpc.length - (asked[1] ?? 0)];
  t.ok(
    more.every((count) => count <= 1),
    `50 probes are at most one question on each protocol: ${more}`,
  );
  t.strictSame(JSON.parse((await askAdmin(gateway.admin, '/-/live')).text), { live: true });
});

t.test('not ready without the upstream, which is said; alive all the same', async (t) => {
  const gateway = await startSupervised();
  await gateway.upstream.close();
  t.teardown(() => gateway.supervisor.stop(0));
  await until(async () => (await ready(gateway)).status === 503, 'the upstream is missed');
  t.strictSame(await ready(gateway), {
    ...READY,
    ...{ status: 503, ready: false, upstream: { rest: 'unreachable', grpc: 'unreachable' } },
  });
  t.equal((await askAdmin(gateway.admin, '/-/live')).status, 200);
});

t.test('without gRPC only REST has to be reachable', async (t) => {
  const gateway = await startSupervised({ settings: { 'service.grpc_port': null } });
  t.teardown(gateway.close);
  t.strictSame(await ready(gateway), { ...READY, upstream: { rest: 'reachable', grpc: 'off' } });
});

t.test('not ready at once when it drains, while what is open goes on', async (t) => {
  let answer = (): void => undefined;
  let holding = false;
  const gateway = await startSupervised({
    upstream: {
      onRest: (request, response) => {
        if (!holding || request.url !== '/collections') return false;
        answer = () => response.writeHead(200).end('{}');
        holding = false;
        return true;
      },
    },
  });
  t.teardown(gateway.close);
  holding = true;
  const open = fetch(`${gateway.rest.url}/collections`, { headers: { 'api-key': KEYS.admin } });
  await until(() => !holding, 'a request is open');
  const stopped = gateway.supervisor.stop(10_000);
  t.strictSame(await ready(gateway), { ...READY, status: 503, ready: false, listeners: 'draining' });
  answer();
  t.equal((await open).status, 200);
  await stopped;
  const socket = connect(gateway.admin, '127.0.0.1');
  await t.rejects(once(socket, 'connect'), 'the admin port is closed last');
});

import t from 'tap';
import { ask } from '../support/clients/raw-rest.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { FakeKeys } from '../support/fake-qdrant/secured.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { runScript } from '../support/process/run-script.ts';
import { until } from '../support/until.ts';

/** What an operator sees of the key that upstream requires: the log, readiness, the metrics, `check-config`. */

t.setTimeout(FILE_MS);
const UPSTREAM_KEY = 'key-of-qdrant-0123456789';

t.test('a refused key is one line when it begins and one when it ends, not ready, and a gauge', async (test) => {
  const keys = new FakeKeys();
  const upstream = await startFakeQdrant({ check: keys.check });
  const gateway = await startGatewayProcess(upstream, {
    QDRANT__LOG_LEVEL: 'info',
    QDRANT_GATEWAY__UPSTREAM__API_KEY: UPSTREAM_KEY,
    QDRANT_GATEWAY__ADMIN__PORT: '0',
  });
  test.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const admin = /admin listens on ([^"]+)/.exec(gateway.errors())?.[1] ?? '';
  const lines = (text: string) => gateway.errors().split(text).length - 1;
  test.equal(lines('upstream refuses the key'), 1, 'said at the start');
  for (let times = 0; times < 3; times += 1) {
    const { status } = await ask(gateway, 'GET', '/collections', { 'api-key': KEYS.admin });
    test.equal(status, 502);
  }
  test.equal(lines('upstream refuses the key'), 1, 'not once for each request');
  const refused = await fetch(`${admin}/-/ready`);
  test.equal(refused.status, 503);
  test.match(await refused.json(), {
    ready: false,
    upstream: { rest: 'reachable', grpc: 'reachable', key: 'refused' },
  });
  test.match(await (await fetch(`${admin}/metrics`)).text(), /^qdrant_gateway_upstream_key_accepted 0$/m);
  keys.manage.add(UPSTREAM_KEY);
  await until(() => lines('upstream accepts the key') === 1, 'the end is said');
  await until(async () => (await fetch(`${admin}/-/ready`)).status === 200, 'ready');
  const { status } = await ask(gateway, 'GET', '/collections', { 'api-key': KEYS.admin });
  test.equal(status, 200);
  test.notOk(gateway.errors().includes(UPSTREAM_KEY), 'the key is in no line');
});

t.test('check-config tries the key, and says what serve would meet', async (test) => {
  const upstream = await startFakeQdrant({ check: new FakeKeys(UPSTREAM_KEY).check });
  test.teardown(() => upstream.close());
  const check = async (key: string, url = upstream.restUrl) => {
    const env = {
      QDRANT__SERVICE__API_KEY: KEYS.admin,
      QDRANT__SERVICE__GRPC_PORT: '',
      QDRANT_GATEWAY__UPSTREAM__REST_URL: url,
      QDRANT_GATEWAY__UPSTREAM__API_KEY: key,
    };
    const { code, out, err } = await runScript(['src/cli/main.ts', 'check-config'], { env });
    return [code, out.split('\n', 1)[0], err.trim()];
  };
  test.same(await check(UPSTREAM_KEY), [0, 'OK', ''], 'a good key');
  const [code, first, said] = await check('wrong');
  test.same([code, first], [0, 'OK'], 'serve starts with it');
  test.match(said, 'gateway.upstream.api_key: upstream refuses the key');
  test.match((await check(UPSTREAM_KEY, 'http://127.0.0.1:1'))[2], 'the key was not tried');
});

t.test('several nodes get the key on every way, and telemetry shows no settings of theirs', async (test) => {
  const keys = new FakeKeys(UPSTREAM_KEY);
  const other = await startFakeQdrant({ check: keys.check });
  const told = { result: { id: 'x', app: { name: 'qdrant', version: '1.20.0', jwt_rbac: true, audit: { dir: 'x' } } } };
  const gateway = await startGateway({
    upstream: {
      check: keys.check,
      onRest: ({ url }, response) => {
        if (!url?.startsWith('/telemetry')) return false;
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(told));
        return true;
      },
    },
    settings: { 'gateway.upstream.api_key': UPSTREAM_KEY, 'service.jwt_rbac': null },
  });
  const client = rawClient(gateway);
  test.teardown(async () => {
    client.close();
    await gateway.close();
    await other.close();
  });
  const { body } = await ask(gateway, 'GET', '/telemetry', { 'api-key': KEYS.admin });
  test.same(JSON.parse(body), { result: { id: 'x', app: { name: 'qdrant', version: '1.20.0' } } });

  const { upstream } = gateway;
  const nodes = [upstream, other].map(({ restUrl, grpcUrl }) => `rest_url=${restUrl} grpc_url=${grpcUrl}`).join(', ');
  const spread = await startGateway({
    settings: {
      'gateway.upstream.api_key': UPSTREAM_KEY,
      'gateway.upstream.rest_url': null,
      'gateway.upstream.grpc_url': null,
      'gateway.upstream.nodes': nodes,
    },
  });
  const calls = rawClient(spread);
  test.teardown(async () => {
    calls.close();
    await spread.close();
  });
  for (let times = 0; times < 8; times += 1) {
    for (const path of ['/collections', '//collections']) {
      const { status } = await ask(spread, 'GET', path, { 'api-key': KEYS.admin });
      test.equal(status, 200, path);
    }
    const { code } = await unary(calls, '/qdrant.Collections/List', message({}), { 'api-key': KEYS.admin });
    test.equal(code, 0);
  }
  keys.manage.clear();
  for (const path of ['/collections', '//collections']) {
    const { status } = await ask(spread, 'GET', path, { 'api-key': KEYS.admin });
    test.equal(status, 502, `${path}, refused`);
  }
  const { code } = await unary(calls, '/qdrant.Collections/List', message({}), { 'api-key': KEYS.admin });
  test.equal(code, 14, 'gRPC, refused');
});

import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeDevCerts } from '../../../src/cli/init/dev-certs.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { NO_POLICY } from '../../../src/config/policy/file.ts';
import { ConfigError } from '../../../src/config/problem.ts';
import { loadSecrets } from '../../../src/config/secrets.ts';
import type { State } from '../../../src/config/state.ts';
import { createPool } from '../../../src/gateway/workers/pool.ts';
import { NO_REVOCATIONS } from '../../../src/identity/revocations.ts';
import type { LimitSettings } from '../../../src/policy/limits/limits.ts';
import { ask } from '../../support/clients/raw-rest.ts';
import { openTls } from '../../support/clients/sockets.ts';
import { rawClient, unary } from '../../support/clients/unary.ts';
import { type FakeQdrant, type FakeQdrantOptions, startFakeQdrant } from '../../support/fake-qdrant/main.ts';
import { KEYS, type TestGateway } from '../../support/gateway.ts';
import { makeToken } from '../../support/tokens.ts';
import { until } from '../../support/until.ts';

/** Two real processes behind one port, as `gateway.workers: 2` has them. */

const certs = await makeDevCerts(mkdtempSync(join(tmpdir(), 'qdrant-gateway-workers-')));
const ca = readFileSync(certs.ca);
const COUNT = 2;
const LIST = '/qdrant.Collections/List';
const EMPTY = new Uint8Array();

function stateOf(upstream: FakeQdrant, settings: Readonly<Record<string, unknown>> = {}): State {
  const defaults = {
    'service.host': '127.0.0.1',
    'service.http_port': 0,
    'service.grpc_port': 0,
    'service.api_key': KEYS.admin,
    'service.jwt_rbac': true,
    'service.enable_tls': true,
    'tls.cert': certs.cert,
    'tls.key': certs.key,
    log_level: 'off',
    'gateway.upstream.rest_url': upstream.restUrl,
    'gateway.upstream.grpc_url': upstream.grpcUrl,
    ...settings,
  };
  const { config } = loadConfig({ env: {}, defaults });
  return { config, secrets: loadSecrets(config).secrets, policy: NO_POLICY };
}

async function started(test: Test, settings: Readonly<Record<string, unknown>> = {}, options: FakeQdrantOptions = {}) {
  const upstream = await startFakeQdrant(options);
  const replaced: number[] = [];
  const events = {
    replaced: (pid: number) => replaced.push(pid),
    failed: (error: unknown) => test.fail(String(error)),
  };
  const pool = createPool({ state: stateOf(upstream, settings), count: COUNT, withheld: [], events });
  const { rest, grpc } = await pool.start();
  if (!grpc) throw new TypeError('no gRPC listener');
  const gateway: TestGateway = {
    upstream,
    rest: { ...rest, url: `https://localhost:${rest.port}` },
    grpc: { ...grpc, url: `https://localhost:${grpc.port}` },
    ca,
    caFile: certs.ca,
    close: async () => undefined,
  };
  test.teardown(async () => {
    await pool.stop(0);
    await upstream.close();
  });
  /** The answers to the same request on `count` connections of their own, sorted: connections go to the workers in turn. */
  const statuses = async (key: string, count = 2 * COUNT): Promise<number[]> => {
    const headers = { 'api-key': key };
    const answers = Array.from({ length: count }, () => ask(gateway, 'GET', '/collections', headers));
    return (await Promise.all(answers)).map(({ status }) => status).sort();
  };
  const codes = async (key: string): Promise<(number | undefined)[]> => {
    const answers = Array.from({ length: 2 * COUNT }, async () => {
      const client = rawClient(gateway, { 'grpc.use_local_subchannel_pool': 1 });
      const { code } = await unary(client, LIST, EMPTY, { 'api-key': key });
      client.close();
      return code;
    });
    return await Promise.all(answers);
  };
  return { upstream, pool, gateway, replaced, statuses, codes };
}

const pids = async (pool: ReturnType<typeof createPool>): Promise<number[]> =>
  (await pool.snapshots()).map(({ pid }) => pid).sort();

t.test('all workers serve both protocols behind the same ports, and each is a process of its own', async (test) => {
  const { pool, statuses, codes } = await started(test);
  const serving = await pids(pool);
  test.equal(new Set([...serving, process.pid]).size, COUNT + 1);
  test.same(await statuses(KEYS.admin), [200, 200, 200, 200], 'REST, the admin key');
  test.same(await statuses('wrong'), [401, 401, 401, 401], 'REST, a wrong key');
  test.same(await codes(KEYS.admin), [0, 0, 0, 0], 'gRPC, the admin key');
  test.same(await codes('wrong'), [16, 16, 16, 16], 'gRPC, a wrong key');
});

t.test('a worker that dies is replaced, counted, and its replacement runs by what is in force', async (test) => {
  const { upstream, pool, replaced, statuses, codes } = await started(test);
  const before = await pids(pool);
  await pool.apply(stateOf(upstream, { 'service.api_key': 'second-key-0123456789' }));
  const token = makeToken({ jti: 'gone' }, 'second-key-0123456789');
  await pool.setRevocations({ ...NO_REVOCATIONS, tokens: new Set(['gone']) });
  process.kill(before[0] ?? 0, 'SIGKILL');
  await until(async () => {
    const now = await pids(pool);
    return now.length === COUNT && !now.includes(before[0] ?? 0);
  }, 'a replacement');
  test.same(replaced, [before[0]]);
  test.ok((await pids(pool)).includes(before[1] ?? 0), 'the other one goes on');
  test.same(await statuses('second-key-0123456789'), [200, 200, 200, 200], 'the key in force');
  test.same(await statuses(KEYS.admin), [401, 401, 401, 401], 'the key before');
  test.same(await statuses(token), [401, 401, 401, 401], 'a revoked token');
  test.same(await statuses(makeToken({ jti: 'here' }, 'second-key-0123456789')), [200, 200, 200, 200], 'another token');
  test.same(await codes('second-key-0123456789'), [0, 0, 0, 0]);
});

t.test('the amounts of a limit are shared out among the workers', async (test) => {
  const { upstream, pool, gateway, statuses, codes } = await started(test);
  const day = (most: number) => ({ per: 'day', most }) as const;
  const shared = { mode: 'enforce', each: 'all' } as const;
  const limits: readonly LimitSettings[] = [
    { ...shared, id: 'lists', operations: ['list_collections'], requests: day(8) },
    { ...shared, id: 'searches', operations: ['search'], cost: day(4000) },
  ];
  await pool.apply({ ...stateOf(upstream), policy: { ...NO_POLICY, limits } });
  // What another worker holds and does not use comes back a little later: until then a request may be refused too early.
  let given = 0;
  await until(async () => {
    given += (await statuses(KEYS.admin, 12)).filter((status) => status === 200).length;
    return given >= 8;
  }, 'all eight are given');
  test.equal(given, 8, 'and no more');
  test.same(await statuses(KEYS.admin, 12), Array(12).fill(429));
  test.same(await codes(KEYS.admin), [8, 8, 8, 8], 'what REST has used is used for gRPC');
  const body = JSON.stringify({ query: [0.1, 0.2, 0.3, 0.4] });
  const headers = { 'api-key': KEYS.admin, 'content-length': String(body.length) };
  const search = () => ask(gateway, 'POST', '/collections/none/points/query', headers, body);
  const told = await Promise.all(Array.from({ length: 8 }, search));
  test.equal(told.filter(({ status }) => status === 429).length, 4, 'four searches of a thousand');
});

t.test('a replacement tells the generation in force, also after all have been replaced', async (test) => {
  const { upstream, pool } = await started(test);
  const generations = async () => (await pool.snapshots()).map(({ generation }) => generation);
  const killed = async (pid: number) => {
    process.kill(pid, 'SIGKILL');
    await until(async () => {
      const now = await pids(pool);
      return now.length === COUNT && !now.includes(pid);
    }, 'a replacement');
  };
  const state = stateOf(upstream, { 'service.api_key': 'second-key-0123456789' });
  for (const generation of [2, 3]) test.match(await pool.apply(state), { generation });
  const before = await pids(pool);
  await killed(before[0] ?? 0);
  test.same(await generations(), [3, 3], 'beside one that has seen every state');
  test.match(await pool.apply(state), { generation: 4 });
  test.same(await generations(), [4, 4]);
  for (const pid of await pids(pool)) await killed(pid);
  test.same(await generations(), [4, 4], 'when no worker is left that has seen them');
  test.match(await pool.apply(state), { generation: 5 }, 'and the next one goes on from there');
});

t.test('a state is put in force by every worker or by none', async (test) => {
  const { upstream, pool, statuses } = await started(test);
  const good = stateOf(upstream, { 'service.api_key': 'second-key-0123456789' });
  test.match(await pool.apply(good), { generation: 2, restartNeeded: [] });
  test.same(await statuses('second-key-0123456789'), [200, 200, 200, 200]);
  test.same(await statuses(KEYS.admin), [401, 401, 401, 401]);
  const tls = { cert: Buffer.from('no certificate'), key: Buffer.from('no key'), clientCa: null };
  const bad: State = { ...stateOf(upstream, { 'service.api_key': KEYS.admin }), secrets: { ...good.secrets, tls } };
  await test.rejects(pool.apply(bad));
  test.same(await statuses('second-key-0123456789'), [200, 200, 200, 200], 'what was in force stays');
  test.same(await statuses(KEYS.admin), [401, 401, 401, 401], 'nothing of the bad one is');
  const moved = stateOf(upstream, { 'gateway.limits.header_count': 50 });
  test.match(await pool.apply(moved), { restartNeeded: ['gateway.limits.header_count'] });
});

t.test('a port that cannot be had fails the start and leaves no process behind', async (test) => {
  const upstream = await startFakeQdrant();
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const state = stateOf(upstream, { 'service.http_port': port });
  const events = { replaced: () => test.fail('replaced'), failed: () => test.fail('tried again') };
  const pool = createPool({ state, count: COUNT, withheld: [], events });
  await test.rejects(pool.start(), { code: 'EADDRINUSE', port });
  test.same(await pool.snapshots(), []);
  taken.close();
  await upstream.close();
});

t.test('an error of the configuration crosses the processes with its places', async (test) => {
  const secured = await startFakeQdrant({
    onRest: (_request, response) => {
      response.writeHead(401).end();
      return true;
    },
  });
  const events = { replaced: () => undefined, failed: () => undefined };
  const pool = createPool({ state: stateOf(secured), count: COUNT, withheld: [], events });
  const error = await pool.start().catch((caught: unknown) => caught);
  test.ok(error instanceof ConfigError);
  test.match(error, { problems: [{ place: 'gateway.upstream.api_key' }] });
  await secured.close();
});

t.test('a stop lets what is open finish, on every worker', async (test) => {
  const waiting: (() => void)[] = [];
  const { pool, gateway } = await started(
    test,
    {},
    {
      onRest: (request, response) => {
        if (request.url !== '/collections/slow') return false;
        waiting.push(() => response.writeHead(200, { 'content-length': 4 }).end('done'));
        return true;
      },
    },
  );
  const slow = Array.from({ length: 6 }, () => ask(gateway, 'GET', '/collections/slow', { 'api-key': KEYS.admin }));
  await until(() => waiting.length === 6, 'all are upstream');
  const stopped = pool.stop(10_000);
  await until(
    () =>
      openTls(gateway.rest.port, { ca }).then(
        (socket) => !socket.destroy(),
        () => true,
      ),
    'nothing new is taken',
  );
  for (const answer of waiting) answer();
  test.same(
    (await Promise.all(slow)).map(({ status, body }) => [status, body]),
    Array(6).fill([200, 'done']),
  );
  await stopped;
  test.same(await pool.snapshots(), []);
});

t.test('workers do not inherit the variables that configure a gateway', async (test) => {
  process.env.QDRANT__SERVICE__API_KEY = 'key-in-the-environment';
  const upstream = await startFakeQdrant();
  const events = { replaced: () => undefined, failed: () => undefined };
  const withheld = ['QDRANT__SERVICE__API_KEY'];
  const pool = createPool({ state: stateOf(upstream), count: COUNT, withheld, events });
  await pool.start();
  for (const pid of await pids(pool)) {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
    test.notMatch(environment, /QDRANT/);
    test.match(environment, /PATH=/);
  }
  delete process.env.QDRANT__SERVICE__API_KEY;
  await pool.stop(0);
  await upstream.close();
});

t.test('a TLS session begun in one worker resumes in another', async (test) => {
  const { gateway } = await started(test);
  let session: Buffer | undefined;
  const reused: boolean[] = [];
  for (let round = 0; round < 2 * COUNT; round += 1) {
    const socket = await openTls(gateway.rest.port, { ca, ...(session ? { session } : {}), maxVersion: 'TLSv1.2' });
    reused.push(socket.isSessionReused());
    session ??= socket.getSession();
    socket.destroy();
  }
  test.same(reused, [false, true, true, true]);
});

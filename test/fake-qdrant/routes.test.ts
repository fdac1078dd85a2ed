import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import type { Json } from '../support/fake-qdrant/json.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { answerComplaint, answeredRoutes, bodyRoutes } from '../support/fake-qdrant/models.ts';

const fake = await startFakeQdrant();
t.teardown(() => fake.close());

const vector = [1, 0, 0, 1];
const bodies: Record<string, unknown> = {
  'aliases.update': { actions: [] },
  'points.upsert': { points: [{ id: 1, vector, payload: { kind: 'a' } }] },
  'points.delete': { points: [99] },
  'points.update_vectors': { points: [{ id: 1, vector }] },
  'points.delete_vectors': { points: [99], vector: ['words'] },
  'points.set_payload': { payload: { x: 1 }, points: [1] },
  'points.overwrite_payload': { payload: { kind: 'a' }, points: [1] },
  'points.delete_payload': { keys: ['x'], points: [1] },
  'points.clear_payload': { points: [99] },
  'points.batch': { operations: [{ upsert: { points: [{ id: 2, vector }] } }] },
  'index.create': { field_name: 'kind', field_schema: 'keyword' },
  'points.get': { ids: [1] },
  'local_shard.get': { ids: [1] },
  'points.facet': { key: 'kind' },
  'points.search': { vector, limit: 1 },
  'points.search_batch': { searches: [{ vector, limit: 1 }] },
  'points.search_groups': { vector, limit: 1, group_by: 'kind', group_size: 1 },
  'points.recommend': { positive: [1], limit: 1 },
  'points.recommend_batch': { searches: [{ positive: [1], limit: 1 }] },
  'points.recommend_groups': { positive: [1], limit: 1, group_by: 'kind', group_size: 1 },
  'points.discover': { target: 1, limit: 1 },
  'points.discover_batch': { searches: [{ target: 1, limit: 1 }] },
  'points.query_batch': { searches: [{}] },
  'points.query_groups': { query: vector, group_by: 'kind' },
  'vectors.create_name': { sparse: {} },
  'collections.cluster.update': { drop_replica: { shard_id: 0, peer_id: 1 } },
  'shard_keys.create': { shard_key: 'k' },
  'shard_keys.delete': { shard_key: 'k' },
  'snapshots.recover': { location: 'http://127.0.0.1/x.snapshot' },
  'shard_snapshots.recover': { location: 'http://127.0.0.1/x.snapshot' },
  'legacy.local_shard.delete': { points: [99] },
};

async function freshState(): Promise<void> {
  fake.store.clear();
  const json = (method: string, path: string, body: unknown) =>
    fetch(`${fake.restUrl}${path}`, { method, body: JSON.stringify(body) });
  const vectors = { size: 4, distance: 'Dot' };
  await json('PUT', '/collections/docs', { vectors, sparse_vectors: { words: {} } });
  await json('PUT', '/collections/docs/points', bodies['points.upsert']);
  await json('PUT', '/collections/docs/index', { field_name: 'kind', field_schema: 'keyword' });
}

const values: Record<string, string> = {
  collection: 'docs',
  point: '1',
  field: 'kind',
  vector: 'words',
  shard: '0',
  peer: '7',
  key: 'k',
  tail: 'assets/x.js',
};

async function snapshotName(list: string): Promise<string> {
  const made = await fetch(`${fake.restUrl}${list}`, { method: 'POST' });
  const { result } = (await made.json()) as { result: { name: string } };
  return result.name;
}

t.test(
  'every row of the operation table is answered with 200, in the form the official client declares',
  async (test) => {
    const checked = new Set<string>();
    for (const { method, path, name, body } of REST_OPERATIONS) {
      await freshState();
      let target = path.replaceAll(/\{(\w+)\}/g, (whole, parameter: string) => values[parameter] ?? whole);
      if (target.endsWith('/{snapshot}')) {
        target = target.replace('{snapshot}', await snapshotName(target.replace('/{snapshot}', '')));
      }
      const creates = name === 'collections.create';
      const content = creates ? { vectors: { size: 4, distance: 'Dot' } } : (bodies[name] ?? {});
      const response = await fetch(`${fake.restUrl}${creates ? '/collections/fresh' : target}`, {
        method,
        headers: { 'content-type': 'application/json' },
        ...(body === 'none' ? {} : { body: JSON.stringify(content) }),
      });
      const text = await response.text();
      test.equal(response.status, 200, `${name}: ${method} ${path}`);
      const route = [method, path.replaceAll(/\{\w+\}/g, '{}')] as const;
      if (answeredRoutes().includes(route.join(' '))) {
        checked.add(route.join(' '));
        test.strictSame(
          answerComplaint(...route, JSON.parse(text) as Json),
          undefined,
          `${name}: ${text.slice(0, 300)}`,
        );
      }
    }
    test.strictSame(
      answeredRoutes().filter((route) => !checked.has(route)),
      [],
      'every answer the client declares was looked at',
    );
  },
);

t.test('a body that is no map is refused on every route that has a model', async (test) => {
  await freshState();
  const routes = REST_OPERATIONS.filter(({ method, path }) =>
    bodyRoutes().includes(`${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`),
  );
  test.ok(routes.length > 40, `${routes.length} routes`);
  for (const { method, path, name } of routes) {
    const target = path.replaceAll(/\{(\w+)\}/g, (whole, parameter: string) => values[parameter] ?? whole);
    for (const body of ['7', '"x"', '[]', '', '{']) {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${fake.restUrl}${target}`, { method, headers, body });
      const text = await response.text();
      test.equal(response.status, 400, `${name}: ${body}`);
      const refused = /^(Json deserialize error: |\{"status":\{"error":"Format error in JSON body: )/;
      test.match(text, refused, `${name}: ${body}`);
    }
  }
});

type Answer = { status: number | undefined; type: string | undefined; text: string };

// fetch would resolve dots and encodings before sending.
async function raw(method: string, path: string): Promise<Answer> {
  const { port } = new URL(fake.restUrl);
  const sent = request({ host: '127.0.0.1', port, method, path, agent: false }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) {
    text += chunk;
  }
  return { status: response.statusCode, type: response.headers['content-type'], text };
}

t.test('paths are matched as upstream matches them', async (test) => {
  await freshState();
  const cases: [string, string, string, number][] = [
    ['an unknown route', 'GET', '/nope', 404],
    ['an unknown route below a collection', 'GET', '/collections/docs/nope', 404],
    ['a method the route does not have', 'PATCH', '/collections/docs/points', 404],
    ['HEAD, which is not GET', 'HEAD', '/collections', 404],
    ['runs of slashes and one behind', 'GET', '//collections//docs//', 200],
    ['an encoded literal', 'GET', '/c%6Fllections/docs', 200],
    ['an encoded name', 'GET', '/collections/d%6Fcs', 200],
    ['a literal encoded twice', 'GET', '/c%256Fllections/docs', 404],
    ['a collection named aliases', 'GET', '/collections/aliases', 404],
    ['a name with a slash', 'GET', '/collections/a%2Fb', 422],
    ['the web page', 'GET', '/dashboard/', 200],
    ['a file the web page does not have', 'GET', '/dashboard/collections', 404],
    ['dots below the web page', 'GET', '/dashboard/%2e%2e/collections', 404],
    ['plain dots below the web page', 'GET', '/dashboard/../collections', 404],
    ['a path that only begins like it', 'GET', '/dashboardx', 404],
    ['a method the web page refuses', 'POST', '/dashboard', 405],
    ['a point id that is none', 'GET', '/collections/docs/points/abc', 400],
    ['a flag that is none', 'GET', '/telemetry?anonymize=maybe', 400],
    ['a number that is none', 'GET', '/telemetry?details_level=ten', 400],
    ['a flag and a number', 'GET', '/telemetry?anonymize=true&details_level=10&unknown=x', 200],
  ];
  for (const [name, method, path, status] of cases) {
    const answer = await raw(method, path);
    test.equal(answer.status, status, name);
    if (name.startsWith('an unknown route')) {
      test.same([answer.text, answer.type], ['', undefined], `${name} has an empty answer`);
    }
  }
});

t.test('the health routes answer the texts of upstream', async (test) => {
  const expected = {
    '/healthz': 'healthz check passed',
    '/livez': 'healthz check passed',
    '/readyz': 'all shards are ready',
  };
  for (const [path, text] of Object.entries(expected)) {
    test.same(await raw('GET', path), { status: 200, type: 'text/plain; charset=utf-8', text });
  }
});

t.test('a JSON body is read whatever its type says, and its coding is undone', async (test) => {
  await freshState();
  const body = Buffer.from('{"ids":[1]}');
  const cases: [string, Record<string, string>, Buffer, number][] = [
    ['no type', {}, body, 200],
    ['a wrong type', { 'content-type': 'multipart/form-data' }, body, 200],
    ['gzip', { 'content-encoding': 'gzip' }, gzipSync(body), 200],
    ['deflate', { 'content-encoding': 'deflate' }, deflateSync(body), 200],
    ['brotli', { 'content-encoding': 'BR' }, brotliCompressSync(body), 200],
    ['zstd', { 'content-encoding': 'zstd' }, zstdCompressSync(body), 200],
    ['an unknown coding is ignored', { 'content-encoding': 'x-gzip' }, body, 200],
    ['an unknown coding is not undone', { 'content-encoding': 'x-gzip' }, gzipSync(body), 400],
    ['bad gzip', { 'content-encoding': 'gzip' }, body, 400],
    ['bad UTF-8', {}, Buffer.from([0x22, 0xff, 0x22]), 400],
    ['33 MiB', {}, Buffer.alloc(33 << 20, 0x20), 400],
  ];
  for (const [name, headers, content, status] of cases) {
    const response = await fetch(`${fake.restUrl}/collections/docs/points`, { method: 'POST', headers, body: content });
    await response.arrayBuffer();
    test.equal(response.status, status, name);
  }
  const strict = await fetch(`${fake.restUrl}/logger`, { method: 'POST', body: new Uint8Array(body) });
  test.same([strict.status, await strict.text()], [400, 'Content type error']);
});

t.test('any origin is let in, as upstream does by default', async (test) => {
  const preflight = await fetch(`${fake.restUrl}/collections`, {
    method: 'OPTIONS',
    headers: { origin: 'https://a.test', 'access-control-request-method': 'PUT' },
  });
  test.same([preflight.status, preflight.headers.get('access-control-allow-origin')], [200, 'https://a.test']);
  const other = await fetch(`${fake.restUrl}/collections`, { method: 'OPTIONS' });
  test.equal(other.status, 404);
  const plain = await fetch(`${fake.restUrl}/collections`);
  test.same(
    [plain.headers.get('vary'), plain.headers.get('access-control-allow-origin'), plain.headers.get('connection')],
    ['Origin, Access-Control-Request-Method, Access-Control-Request-Headers', null, null],
  );
});

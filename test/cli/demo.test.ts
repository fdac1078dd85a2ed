import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Code } from '@connectrpc/connect';
import { Distance, UpdateStatus } from '@qdrant/js-client-grpc';
import t from 'tap';
import { Collections, Refused } from '../../src/cli/demo/collections.ts';
import { portOrAny, startStandIn } from '../../src/cli/demo/stand-in.ts';
import { grpcClient, grpcOutcome } from '../support/clients/official.ts';
import { rawClient, unary } from '../support/clients/unary.ts';

/** The stand-in of the demo: what it knows it does as Qdrant, the rest it refuses. The demo itself: `test/package/installed.test.ts`. */

const num = (value: bigint) => ({ pointIdOptions: { case: 'num' as const, value } });
const whole = (value: bigint) => ({ kind: { case: 'integerValue' as const, value } });
const text = (value: string) => ({ kind: { case: 'stringValue' as const, value } });

function filled(distance: string): Collections {
  const all = new Collections();
  all.create('a', { vectors: { size: 2, distance } });
  all.upsert('a', {
    points: [
      { id: 1, vector: [1, 0], payload: { word: 'one' } },
      { id: 2, vector: [3, 3], payload: {} },
      { id: 'three', vector: [0, 1] },
    ],
  });
  return all;
}

for (const [distance, ids, best] of [
  ['Dot', [2, 1, 'three'], 6],
  ['Cosine', [2, 1, 'three'], 3 / Math.sqrt(10)],
  ['Euclid', [1, 'three', 2], 1],
  ['Manhattan', [1, 'three', 2], 1],
] as const) {
  t.test(`the nearest come first by ${distance}`, async (t) => {
    const query = distance === 'Dot' ? [1, 1] : distance === 'Cosine' ? [2, 1] : [1, 1];
    const found = filled(distance).query('a', { query });
    t.strictSame(
      found.map(({ id }) => id),
      ids,
    );
    t.ok(Math.abs(Number(found[0]?.score) - best) < 1e-6, `${found[0]?.score}`);
  });
}

type Case = [name: string, status: number, ask: (all: Collections) => unknown];

const REFUSED: readonly Case[] = [
  ['a collection that is there', 409, (all) => all.create('a', { vectors: { size: 2, distance: 'Dot' } })],
  ['a collection that is not', 404, (all) => all.query('b', { query: [1, 1] })],
  ['named vectors', 400, (all) => all.create('b', { vectors: { image: { size: 2, distance: 'Dot' } } })],
  ['an unknown distance', 400, (all) => all.create('b', { vectors: { size: 2, distance: 'toString' } })],
  ['a filter, of a search', 400, (all) => all.query('a', { query: [1, 1], filter: { must: [] } })],
  ['a filter, of a count', 400, (all) => all.count('a', { filter: {} })],
  ['a filter, of a deletion', 400, (all) => all.remove('a', { filter: {} })],
  ['a vector of another size', 400, (all) => all.upsert('a', { points: [{ id: 9, vector: [1] }] })],
  ['a query of another size', 400, (all) => all.query('a', { query: [1] })],
  ['half of a payload', 400, (all) => all.query('a', { query: [1, 1], with_payload: ['word'] })],
  ['a search in steps', 400, (all) => all.query('a', { query: [1, 1], prefetch: [] })],
  ['a second page', 400, (all) => all.scroll('a', { offset: 2 })],
  ['settings of an index', 400, (all) => all.create('b', { vectors: { size: 2, distance: 'Dot' }, hnsw_config: {} })],
  ['a point without id', 400, (all) => all.upsert('a', { points: [{ vector: [1, 1] }] })],
  [
    'more points than it holds',
    400,
    (all) => all.upsert('a', { points: Array.from({ length: 10_001 }, (_, id) => ({ id, vector: [1, 1] })) }),
  ],
];

function refusalOf(ask: () => unknown): number | undefined {
  try {
    ask();
    return undefined;
  } catch (error) {
    return error instanceof Refused ? error.status : undefined;
  }
}

for (const [name, status, ask] of REFUSED) {
  t.test(`refused: ${name}`, async (t) => {
    const all = filled('Dot');
    t.equal(
      refusalOf(() => ask(all)),
      status,
    );
    t.equal(all.count('a', {}), 3, 'and nothing has changed');
  });
}

t.test('over HTTP it answers as Qdrant, and refuses what it does not know', async (t) => {
  const standIn = await startStandIn();
  t.teardown(() => standIn.close());
  const ask = async (method: string, path: string, body?: object | string) => {
    const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
    const answer = await fetch(`${standIn.restUrl}${path}`, { method, ...sent });
    return [answer.status, await answer.text()] as const;
  };
  t.match(await ask('PUT', '/collections/a', { vectors: { size: 1, distance: 'Dot' } }), [200, /"result":true/]);
  t.match(await ask('GET', '/collections'), [200, /"result":\{"collections":\[\{"name":"a"\}\]\}/]);
  t.match(await ask('GET', '/collections/a/exists'), [200, /"exists":true/]);
  t.match(await ask('PUT', '/collections/a', '{"vectors":'), [400, /Format error in JSON body/]);
  t.match(await ask('POST', '/collections/a/index', {}), [404, /its stand-in knows/]);
  t.match(await ask('POST', '/collections/%E0%A4%A/points/count', {}), [400, /error/]);
  t.match(await ask('PUT', '/collections/a/points', 'x'.repeat((4 << 20) + 1)), [413, /at most 4194304 bytes/]);
  t.match(await ask('GET', '/healthz'), [200, 'healthz check passed']);
});

t.test('over gRPC it answers as over REST, and refuses what it does not know', async (t) => {
  const standIn = await startStandIn();
  t.teardown(() => standIn.close());
  const { url } = { url: standIn.grpcUrl };
  const client = grpcClient(
    { rest: { url: standIn.restUrl }, grpc: { url }, ca: Buffer.alloc(0) },
    undefined,
    {},
    false,
  );
  const [collections, points] = [client.api('collections'), client.api('points')];
  const config = { config: { case: 'params' as const, value: { size: 2n, distance: Distance.Dot } } };
  t.match(await collections.create({ collectionName: 'a', vectorsConfig: config }), { result: true });
  const vector = (data: number[]) => ({
    vectorsOptions: { case: 'vector' as const, value: { vector: { case: 'dense' as const, value: { data } } } },
  });
  const payload = { list: { kind: { case: 'listValue' as const, value: { values: [whole(1n), text('two')] } } } };
  const point = (id: bigint, data: number[]) => ({ id: num(id), payload, vectors: vector(data) });
  const put = await points.upsert({ collectionName: 'a', points: [point(1n, [1, 0]), point(2n, [3, 3])] });
  t.match(put, { result: { status: UpdateStatus.Completed } });
  const rest = await fetch(`${standIn.restUrl}/collections/a/points/scroll`, { method: 'POST', body: '{"limit":1}' });
  t.match(await rest.json(), { result: { points: [{ id: 1, payload: { list: [1, 'two'] } }] } }, 'both hold the same');
  const query = {
    variant: { case: 'nearest' as const, value: { variant: { case: 'dense' as const, value: { data: [1, 1] } } } },
  };
  const shown = { selectorOptions: { case: 'enable' as const, value: true } };
  const { result } = await points.query({ collectionName: 'a', query, withPayload: shown, withVectors: shown });
  t.match(result, [
    { id: num(2n), score: 6, payload, vectors: vector([3, 3]) },
    { id: num(1n), score: 1 },
  ]);
  t.match(await points.count({ collectionName: 'a', exact: true }), { result: { count: 2n } });
  t.match(await collections.get({ collectionName: 'a' }), {
    result: { pointsCount: 2n, config: { params: { vectorsConfig: config }, walConfig: { walCapacityMb: 32n } } },
  });
  t.match(await collections.list({}), { collections: [{ name: 'a' }] });
  const refused: readonly (readonly [string, Promise<unknown>, number])[] = [
    [
      'a collection that is there',
      collections.create({ collectionName: 'a', vectorsConfig: config }),
      Code.AlreadyExists,
    ],
    ['one that is not', points.count({ collectionName: 'b' }), Code.NotFound],
    ['a filter', points.count({ collectionName: 'a', filter: {} }), Code.InvalidArgument],
    ['an index', points.createFieldIndex({ collectionName: 'a', fieldName: 'list' }), Code.Unimplemented],
  ];
  for (const [name, call, code] of refused) t.match(await grpcOutcome(call), [code], name);
});

for (const [name, bytes, code] of [
  ['a message that is cut off', [10, 9, 97], Code.InvalidArgument],
  ['a field of another type', [8, 1], Code.InvalidArgument],
  ['a number that is too large', [...[10, 1, 97, 18, 11, 8], ...Array<number>(9).fill(255), 1], Code.InvalidArgument],
] as const) {
  t.test(`over gRPC it refuses ${name}`, async (t) => {
    const standIn = await startStandIn();
    t.teardown(() => standIn.close());
    const { port } = new URL(standIn.grpcUrl);
    const client = rawClient({ ca: Buffer.alloc(0), grpc: { port: Number(port), url: standIn.grpcUrl } });
    t.teardown(() => client.close());
    const { code: found, message } = await unary(client, '/qdrant.Points/Get', Buffer.from(bytes));
    t.equal(found, code, message);
  });
}

t.test('a port in use is left alone', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.equal(await portOrAny(port), 0);
  server.close();
  await once(server, 'close');
  t.equal(await portOrAny(port), port);
});

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { Collections, Refused } from '../../src/cli/demo/collections.ts';
import { portOrAny, startStandIn } from '../../src/cli/demo/stand-in.ts';

/** The stand-in of the demo: what it knows it does as Qdrant, the rest it refuses. The demo itself: `test/package/installed.test.ts`. */

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

t.test('a port in use is left alone', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.equal(await portOrAny(port), 0);
  server.close();
  await once(server, 'close');
  t.equal(await portOrAny(port), port);
});

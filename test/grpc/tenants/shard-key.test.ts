import t from 'tap';
import { REWRITTEN_METHODS } from '../../../src/grpc/tenants/rewrite.ts';
import { condition, MESSAGES, made } from './message-case.ts';

/* Messages of a tenant with a shard key of its own: each goes to that shard, with the condition as well. */

const KEYED = condition({ shard: { key: 'acme', fallback: undefined } });
const WITH_FALLBACK = condition({ shard: { key: 'acme', fallback: 7n } });

const ids = (...all: number[]) => ({ points: { ids: all.map((num) => ({ num })) } });
const point = { id: { num: 1 }, vectors: { vector: { dense: { data: [1] } } } };
const vectorInput = { dense: { data: [1] } };

/** A message of each method, as short as it can be. */
const BODIES: Readonly<Record<string, object>> = {
  Search: { vector: [1], limit: 1 },
  SearchBatch: {
    searchPoints: [
      { vector: [1], limit: 1 },
      { vector: [2], limit: 1 },
    ],
  },
  SearchGroups: { vector: [1], limit: 1, groupBy: 'x', groupSize: 1 },
  Recommend: { positiveVectors: [{ dense: { data: [1] } }], limit: 1 },
  RecommendBatch: { recommendPoints: [{ positiveVectors: [{ dense: { data: [1] } }], limit: 1 }] },
  RecommendGroups: { positiveVectors: [{ dense: { data: [1] } }], groupBy: 'x', limit: 1, groupSize: 1 },
  Discover: { target: { single: { vector: { dense: { data: [1] } } } }, limit: 1 },
  DiscoverBatch: { discoverPoints: [{ target: { single: { vector: { dense: { data: [1] } } } }, limit: 1 }] },
  Query: {},
  QueryBatch: { queryPoints: [{}, {}] },
  QueryGroups: { groupBy: 'x' },
  Scroll: {},
  Count: {},
  Facet: { key: 'x' },
  SearchMatrixPairs: {},
  SearchMatrixOffsets: {},
  Get: { ids: [{ num: 1 }] },
  Upsert: { points: [point] },
  UpdateVectors: { points: [point] },
  Delete: { points: ids(1) },
  DeleteVectors: { pointsSelector: ids(1), vectors: { names: ['a'] } },
  SetPayload: { payload: {}, pointsSelector: ids(1) },
  OverwritePayload: { payload: {}, pointsSelector: { filter: {} } },
  DeletePayload: { keys: ['a'], pointsSelector: ids(1) },
  ClearPayload: { points: ids(1) },
  UpdateBatch: {
    operations: [
      { upsert: { points: [point] } },
      { setPayload: { payload: {}, pointsSelector: ids(1) } },
      { overwritePayload: { payload: {}, pointsSelector: ids(1) } },
      { deletePayload: { keys: ['a'], pointsSelector: { filter: {} } } },
      { updateVectors: { points: [point] } },
      { deleteVectors: { pointsSelector: ids(1), vectors: { names: ['a'] } } },
      { deletePoints: { points: ids(1) } },
      { clearPayload: { points: ids(1) } },
    ],
  },
};

type Request = Record<string, unknown>;

function requestsIn(message: Request): readonly Request[] {
  for (const list of ['searchPoints', 'recommendPoints', 'discoverPoints', 'queryPoints'])
    if (message[list]) return message[list] as Request[];
  const operations = message.operations as object[] | undefined;
  return operations?.flatMap((one) => Object.values(one)) ?? [message];
}

function sent(method: string, holds: ReturnType<typeof condition>, given?: object): unknown[] | string {
  const message = structuredClone(BODIES[method] ?? {}) as Request;
  if (given !== undefined) for (const one of requestsIn(message)) one.shardKeySelector = given;
  const result = made(method, message, holds);
  if (typeof result === 'string') return result;
  return requestsIn(result.json).map(({ shardKeySelector }) => shardKeySelector);
}

const REFUSED = 'tenant_shard_key: Forbidden: The request names another shard key than that of the tenant';
const key = (...keywords: string[]) => ({ shardKeys: keywords.map((keyword) => ({ keyword })) });

t.test('every method that is made anew has the shard key of the tenant', async (t) => {
  const methods = REWRITTEN_METHODS.filter((name) => name.startsWith('qdrant.Points/'));
  t.strictSame(
    Object.keys(MESSAGES)
      .map((name) => `qdrant.Points/${name}`)
      .sort(),
    [...methods].sort(),
  );
  t.strictSame(Object.keys(BODIES).sort(), Object.keys(MESSAGES).sort());
  for (const [method, body] of Object.entries(BODIES)) {
    const all = (value: unknown): unknown[] => requestsIn(body as Request).map(() => value);
    t.strictSame(sent(method, condition()), all(undefined), `${method}: none without one`);
    t.strictSame(sent(method, condition(), key('b')), all(key('b')), `${method}: the client's own stays without one`);
    t.strictSame(sent(method, KEYED), all(key('acme')), method);
    t.strictSame(sent(method, KEYED, key('acme')), all(key('acme')), `${method}: the same by the client`);
    t.equal(sent(method, KEYED, key('umbrella')), REFUSED, `${method}: another one`);
    t.equal(sent(method, KEYED, key('acme', 'umbrella')), REFUSED, `${method}: another one beside it`);
    t.strictSame(
      sent(method, WITH_FALLBACK),
      all({ ...key('acme'), fallback: { number: '7' } }),
      `${method}: fallback`,
    );
  }
});

t.test('the old forms of a batch have it, too', async (t) => {
  const operations = [{ deleteDeprecated: ids(1) }, { clearPayloadDeprecated: ids(1) }];
  const result = made('UpdateBatch', { operations }, KEYED);
  t.match(result, {
    json: {
      operations: [
        { deletePoints: { shardKeySelector: key('acme') } },
        { overwritePayload: { shardKeySelector: key('acme') } },
      ],
    },
  });
});

t.test('what the client may say beside the shard key of the tenant', async (t) => {
  const cases: readonly [given: object, holds: typeof KEYED, result: unknown][] = [
    [key('acme', 'acme'), KEYED, key('acme')],
    [{}, KEYED, REFUSED],
    [{ shardKeys: [{ number: 7 }] }, KEYED, REFUSED],
    [{ shardKeys: [{ keyword: 'acme' }, {}] }, KEYED, REFUSED],
    [{ ...key('acme'), fallback: { keyword: 'umbrella' } }, KEYED, REFUSED],
    [{ ...key('acme'), fallback: { number: 8 } }, WITH_FALLBACK, REFUSED],
    [{ ...key('acme'), fallback: {} }, WITH_FALLBACK, REFUSED],
    [{ ...key('acme'), fallback: { number: 7 } }, WITH_FALLBACK, { ...key('acme'), fallback: { number: '7' } }],
  ];
  for (const [given, holds, result] of cases) {
    const found = sent('Scroll', holds, given);
    t.strictSame(typeof found === 'string' ? found : found[0], result, JSON.stringify(given));
  }
});

t.test('points by id are taken from the shard of the tenant, in every prefetch', async (t) => {
  const place = { collectionName: 'docs', shardKeySelector: key('acme') };
  const byId = { nearest: { id: { num: 1 } } };
  t.match(made('Query', { query: byId }, KEYED), { json: { lookupFrom: place }, byIdAlone: [] });
  t.match(made('Query', { prefetch: [{ query: byId }], query: { nearest: vectorInput } }, KEYED), {
    json: { prefetch: [{ lookupFrom: place }], lookupFrom: undefined },
  });
  t.match(made('Recommend', { positive: [{ num: 1 }], limit: 1 }, KEYED), { json: { lookupFrom: place } });
  t.match(made('Discover', { target: { single: { id: { num: 1 } } }, limit: 1 }, KEYED), {
    json: { lookupFrom: place },
  });
  t.match(made('Query', { query: byId, lookupFrom: { collectionName: 'docs', vectorName: 'v' } }, KEYED), {
    json: { lookupFrom: { ...place, vectorName: 'v' } },
  });
  t.equal(
    made('Query', { query: byId, lookupFrom: { collectionName: 'docs', shardKeySelector: key('umbrella') } }, KEYED),
    REFUSED,
  );
  const open = { collectionName: 'open', shardKeySelector: key('b') };
  t.match(made('Query', { query: byId, lookupFrom: open }, KEYED), { json: { lookupFrom: open } });
});

t.test('without one, the collection of a search must not have shard keys', async (t) => {
  for (const [method, body] of Object.entries(BODIES)) {
    const searching = /^(?:Query|Search|Recommend|Discover)/.test(method);
    t.match(made(method, body), { byIdAlone: searching ? ['docs'] : [] }, method);
    t.match(made(method, body, KEYED), { byIdAlone: [] }, `${method}, with one`);
  }
});

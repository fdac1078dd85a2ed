import t from 'tap';
import { GRPC_OPERATIONS } from '../../../src/operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../../src/operations/rest.ts';
import {
  asksForCollection,
  countsOn,
  type LimitSettings,
  limitsFor,
  limitsOf,
  quotaUsedUp,
  shareOfLimit,
} from '../../../src/policy/limits/limits.ts';
import type { Operation } from '../../../src/policy/operation.ts';

/* Which limits a request counts on, as data; the running gateway is asked in `test/e2e/limits.test.ts`. */

const settings = (more: Partial<LimitSettings> = {}): LimitSettings => ({
  ...{ id: 'one', mode: 'enforce', each: 'principal', requests: { per: 'minute', most: 3 } },
  ...more,
});

function limit(more: Partial<LimitSettings> = {}) {
  const [made] = limitsOf([settings(more)]);
  if (!made) throw new TypeError('no limit');
  return made;
}

function operation(name: string): Operation {
  const found = [...REST_OPERATIONS, ...GRPC_OPERATIONS, UNLISTED_REST].find((row) => row.name === name);
  if (!found) throw new TypeError(`no operation ${name}`);
  return found;
}

const CALLERS: readonly [
  what: string,
  limit: Partial<LimitSettings>,
  key: string,
  subject: string | undefined,
  applies: boolean,
][] = [
  ['a limit for all', {}, 'api_key', undefined, true],
  ['its key', { keys: ['web'] }, 'web', undefined, true],
  ['another key', { keys: ['web'] }, 'api_key', undefined, false],
  ['its subject', { subjects: ['a'] }, 'web', 'a', true],
  ['another subject', { subjects: ['a'] }, 'web', 'b', false],
  ['no subject, where one is asked for', { subjects: ['a'] }, 'web', undefined, false],
  ['no subject, where none is asked for', { subjects: [''] }, 'web', undefined, true],
  ['its key with another subject', { keys: ['web'], subjects: ['a'] }, 'web', 'b', false],
];

for (const [what, more, keyId, subject, applies] of CALLERS) {
  t.test(`${what}: the limit ${applies ? 'applies' : 'does not apply'}`, async (test) => {
    test.equal(limitsFor([limit(more)], { keyId, subject }).length, applies ? 1 : 0);
  });
}

const REQUESTS: readonly [
  what: string,
  limit: Partial<LimitSettings>,
  operation: string,
  collection: string | undefined,
  counts: boolean,
][] = [
  ['any request on a limit for all', {}, 'collections.list', undefined, true],
  ['an operation of a group', { operations: ['search'] }, 'points.query', 'docs', true],
  ['an operation outside of the group', { operations: ['search'] }, 'points.upsert', 'docs', false],
  ['the call of the same group', { operations: ['search'] }, 'qdrant.Points/Query', 'docs', true],
  ['an operation by the name of its row', { operations: ['points.query'] }, 'points.query', 'docs', true],
  ['a named collection', { collections: ['docs'] }, 'points.query', 'docs', true],
  ['a longer name', { collections: ['docs'] }, 'points.query', 'docs2', false],
  ['a name with the prefix', { collections: ['team-a-*'] }, 'points.query', 'team-a-x', true],
  ['the prefix itself', { collections: ['team-a-*'] }, 'points.query', 'team-a-', true],
  ['a name without the prefix', { collections: ['team-a-*'] }, 'points.query', 'team-b-x', false],
  ['every collection, by a star', { collections: ['*'] }, 'points.query', 'x', true],
  ['a request on no collection', { collections: ['*'] }, 'collections.list', undefined, false],
  ['each collection', { each: 'collection' }, 'snapshots.create', 'x', true],
  ['on each collection, a request on none', { each: 'collection' }, 'snapshots.full.create', undefined, false],
  [
    'each collection, where a list leaves it out',
    { each: 'collection', collections: ['y'] },
    'points.query',
    'x',
    false,
  ],
  ['the recovery of the collection', { collections: ['docs'] }, 'snapshots.recover', 'docs', true],
  ['an unknown operation on a limit of collections', { collections: ['*'] }, 'unlisted', undefined, false],
  ['the creation of the collection', { collections: ['docs'] }, 'collections.create', 'docs', false],
  ['one of both filters', { collections: ['docs'], operations: ['ingest'] }, 'points.query', 'docs', false],
];

for (const [what, more, name, collection, counts] of REQUESTS) {
  t.test(`${what} ${counts ? 'counts' : 'does not count'}`, async (test) => {
    test.equal(countsOn(limit(more), operation(name), collection), counts);
  });
}

t.test('the collection in a message is asked for only where it decides', async (test) => {
  const call = operation('qdrant.Points/Query');
  test.equal(asksForCollection(limit({ collections: ['docs'] }), call), true);
  test.equal(asksForCollection(limit({ each: 'collection' }), call), true);
  test.equal(asksForCollection(limit({}), call), false);
  test.equal(asksForCollection(limit({ collections: ['docs'], operations: ['ingest'] }), call), false);
  test.equal(asksForCollection(limit({ collections: ['docs'] }), operation('qdrant.Collections/List')), false);
});

t.test('the order of a file does not matter', async (test) => {
  const [a, b] = [settings({ id: 'a' }), settings({ id: 'b' })];
  test.same(limitsOf([a, b]), limitsOf([b, a]));
});

t.test('several processes have shares, none below 1', async (test) => {
  const whole = settings({ requests: { per: 'minute', most: 10 }, bytes: { per: 'day', most: 3 }, concurrent: 1 });
  test.match(shareOfLimit(whole, 4), { requests: { per: 'minute', most: 3 }, bytes: { most: 1 }, concurrent: 1 });
  test.notHas(shareOfLimit(settings(), 4), { bytes: {} });
});

t.test('a refusal has the form of a strict mode: 429, RESOURCE_EXHAUSTED, whole seconds rounded up', async (test) => {
  const quota = { per: 'minute', most: 3 } as const;
  const at = (waitMs: number) => quotaUsedUp(limit(), 'requests', quota, { amount: 1, left: 0, waitMs });
  test.match(at(1001), {
    ...{ status: 429, grpc: 8, code: 'rate_limited', why: 'limit' },
    message: 'Rate limiting exceeded: limit one of 3 requests per minute exceeded. Retry after 2s',
    reached: { limit: 'one', most: 3, left: 0, retryAfter: 2 },
  });
  test.equal(at(1).reached?.retryAfter, 1);
  test.equal(at(Number.POSITIVE_INFINITY).reached?.retryAfter, undefined, 'what never fits is not to be tried again');
});

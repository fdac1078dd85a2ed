import t from 'tap';
import { KEYS } from '../support/gateway.ts';
import { namedKey } from '../support/named-keys.ts';
import { FILE_MS } from '../support/patience.ts';
import { makeToken } from '../support/tokens.ts';
import { openTransports, type Transport } from '../support/transports/transports.ts';

/**
 * Tenants over REST, on every transport: two of them in one collection, with tokens and with a named key. What they read, what
 * they change, and what they are refused.
 */

t.setTimeout(FILE_MS);
const NAMED = 'qgw_acmeshop_secret';
const ACCESS = ['docs', 'open', 'other', 'shown'].map((collection) => ({ collection, access: 'rw' }) as const);
const bound = { keys: ['api_key', 'acmeshop'], field: 'tenant', from: 'org' } as const;
const transports = await openTransports({
  tenants: [
    { id: 'docs', collections: ['docs'], ...bound },
    { id: 'hidden', collections: ['shown'], ...bound, hide_field: true },
    { id: 'open', keys: ['api_key', 'acmeshop'], collections: ['open'], free: true },
  ],
  namedKeys: [namedKey('acmeshop', NAMED, { tenant: ['acme'], access: ACCESS })],
});
t.teardown(() => transports.close());

const tokenOf = (claims: object): string => makeToken({ access: ACCESS, ...claims });
const CALLERS = {
  acme: tokenOf({ org: 'acme' }),
  umbrella: tokenOf({ org: 'umbrella' }),
  number: tokenOf({ org: 7 }),
  both: tokenOf({ org: ['acme', 'umbrella'] }),
  stranger: tokenOf({}),
  reader: makeToken({ access: 'r', org: 'acme' }),
  key: NAMED,
} as const;
type Caller = keyof typeof CALLERS;

interface Point {
  readonly id: number;
  readonly vector: readonly number[];
  readonly payload: Readonly<Record<string, unknown>>;
}
const POINTS: readonly Point[] = [
  { id: 1, vector: [1, 0], payload: { tenant: 'acme', colour: 'red' } },
  { id: 2, vector: [0, 1], payload: { tenant: 'acme', colour: 'blue' } },
  { id: 7, vector: [1, 1], payload: { tenant: 7, colour: 'red' } },
  { id: 11, vector: [1, 0], payload: { tenant: 'umbrella', colour: 'red' } },
  { id: 12, vector: [9, 9], payload: { colour: 'red' } },
  { id: 13, vector: [9, 8], payload: { tenant: { id: 'acme' }, colour: 'green' } },
];

async function upstream(method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`${transports.upstream.restUrl}${path}`, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return answer.json();
}

async function prepare(): Promise<void> {
  for (const name of ['docs', 'open', 'other', 'shown']) {
    await upstream('DELETE', `/collections/${name}`);
    await upstream('PUT', `/collections/${name}`, { vectors: { size: 2, distance: 'Dot' } });
    await upstream('PUT', `/collections/${name}/points?wait=true`, { points: POINTS });
  }
  await upstream('PUT', '/collections/docs/index?wait=true', { field_name: 'colour', field_schema: 'keyword' });
}

/** The stored points, as `id: payload`. */
async function stored(collection: string): Promise<Readonly<Record<string, unknown>>> {
  const answer = (await upstream('POST', `/collections/${collection}/points/scroll`, { limit: 100 })) as {
    readonly result: { readonly points: readonly Point[] };
  };
  return Object.fromEntries(answer.result.points.map(({ id, payload }) => [id, payload]));
}
const ORIGINAL: Readonly<Record<string, unknown>> = Object.fromEntries(POINTS.map(({ id, payload }) => [id, payload]));

interface Asked {
  readonly as: Caller;
  readonly do: readonly [method: string, path: string, body?: object | string];
  readonly status?: number;
  /** Parts of the answer. */
  readonly answer?: object | RegExp;
  /** Points that are stored in another form afterwards; `undefined` = gone. */
  readonly changed?: Readonly<Record<string, unknown>>;
}

async function ask(transport: Transport, { as, do: [method, target, body] }: Asked) {
  const { status, body: bytes } = await transport.send({
    ...{ method, target },
    headers: [
      ['api-key', CALLERS[as]],
      ['content-type', 'application/json'],
    ],
    body: body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  });
  return { status, text: bytes.toString() };
}

const ids = (...all: readonly number[]) => ({ result: { points: all.map((id) => ({ id })) } });
const scroll = { limit: 100 };
const noPoint = (id: number) => ({ status: { error: `Not found: No point with id ${id} found` } });

const CASES: readonly (readonly [sentence: string, asked: Asked])[] = [
  [
    'a scroll shows its own points',
    { as: 'acme', do: ['POST', '/collections/docs/points/scroll', scroll], answer: ids(1, 2) },
  ],
  [
    'the same by a named key',
    { as: 'key', do: ['POST', '/collections/docs/points/scroll', scroll], answer: ids(1, 2) },
  ],
  [
    'the same by a global reader',
    { as: 'reader', do: ['POST', '/collections/docs/points/scroll', scroll], answer: ids(1, 2) },
  ],
  [
    'the other tenant sees the others',
    { as: 'umbrella', do: ['POST', '/collections/docs/points/scroll', scroll], answer: ids(11) },
  ],
  [
    'an integer is not a text',
    { as: 'number', do: ['POST', '/collections/docs/points/scroll', scroll], answer: ids(7) },
  ],
  [
    'a list of tenants sees all of them',
    { as: 'both', do: ['POST', '/collections/docs/points/scroll', scroll], answer: ids(1, 2, 11) },
  ],
  [
    'a filter that matches all stays its own',
    {
      as: 'acme',
      do: [
        'POST',
        '/collections/docs/points/scroll',
        { filter: { should: [{ key: 'colour', match: { value: 'red' } }] } },
      ],
      answer: ids(1),
    },
  ],
  ['a scroll without a body', { as: 'acme', do: ['POST', '/collections/docs/points/scroll', '{}'], answer: ids(1, 2) }],
  [
    'a count',
    { as: 'acme', do: ['POST', '/collections/docs/points/count', { exact: false }], answer: { result: { count: 2 } } },
  ],
  [
    'a facet',
    {
      as: 'umbrella',
      do: ['POST', '/collections/docs/facet', { key: 'colour' }],
      answer: { result: { hits: [{ value: 'red', count: 1 }] } },
    },
  ],
  [
    'a search',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/search', { vector: [1, 1], limit: 10 }],
      answer: { result: [{ id: 1 }, { id: 2 }] },
    },
  ],
  [
    'a query',
    { as: 'umbrella', do: ['POST', '/collections/docs/points/query', { query: [1, 1], limit: 10 }], answer: ids(11) },
  ],
  [
    'a query by its own id',
    { as: 'acme', do: ['POST', '/collections/docs/points/query', { query: 1 }], answer: ids(2) },
  ],
  [
    'a query by an id of another',
    { as: 'acme', do: ['POST', '/collections/docs/points/query', { query: 11 }], status: 404, answer: noPoint(11) },
  ],
  [
    'a query by no id at all',
    { as: 'acme', do: ['POST', '/collections/docs/points/query', { query: 99 }], status: 404, answer: noPoint(99) },
  ],
  [
    'a prefetch by an id of another',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/query', { prefetch: { query: 11 }, query: [1, 1] }],
      status: 404,
      answer: noPoint(11),
    },
  ],
  [
    'a prefetch of its own',
    {
      as: 'umbrella',
      do: ['POST', '/collections/docs/points/query', { prefetch: { query: [1, 1] }, query: [1, 1] }],
      answer: ids(11),
    },
  ],
  [
    'one point',
    {
      as: 'acme',
      do: ['GET', '/collections/docs/points/1'],
      answer: { result: { id: 1, payload: { tenant: 'acme' } } },
    },
  ],
  [
    'one point of another',
    {
      as: 'acme',
      do: ['GET', '/collections/docs/points/11'],
      status: 404,
      answer: { status: { error: 'Not found: Point with id 11 does not exists!' } },
    },
  ],
  [
    'points by id, in the order asked',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points', { ids: [2, 11, 1, 12, 2] }],
      answer: { result: [{ id: 2 }, { id: 1 }] },
    },
  ],
  [
    'information on the collection',
    { as: 'acme', do: ['GET', '/collections/docs'], answer: { result: { points_count: 2 } } },
  ],
  [
    'a free collection',
    { as: 'acme', do: ['POST', '/collections/open/points/scroll', scroll], answer: ids(1, 2, 7, 11, 12, 13) },
  ],
  [
    'a query of a free one',
    {
      as: 'acme',
      do: ['POST', '/collections/open/points/query', { query: 11, limit: 1 }],
      answer: { result: { points: [{}] } },
    },
  ],
  [
    'a look-up of a bound collection from a free one',
    {
      as: 'acme',
      do: ['POST', '/collections/open/points/query', { query: 11, lookup_from: { collection: 'docs' } }],
      status: 404,
      answer: noPoint(11),
    },
  ],
  [
    'a look-up of one without an entry',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/query', { query: 1, lookup_from: { collection: 'other' } }],
      status: 403,
      answer: /Access to collection other is required/,
    },
  ],
  [
    'groups with points of a bound collection',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/query/groups', { query: [1, 1], group_by: 'colour', with_lookup: 'docs' }],
      status: 403,
      answer: /Points of collection docs can not be looked up for tenants/,
    },
  ],
  [
    'a hidden field',
    {
      as: 'acme',
      do: ['POST', '/collections/shown/points/scroll', scroll],
      answer: {
        result: { points: [{ payload: { colour: 'red', tenant: undefined } }, { payload: { tenant: undefined } }] },
      },
    },
  ],
  [
    'the list of collections',
    {
      as: 'acme',
      do: ['GET', '/collections'],
      answer: { result: { collections: [{ name: 'docs' }, { name: 'open' }, { name: 'shown' }] } },
    },
  ],
  [
    'whether a collection exists',
    { as: 'acme', do: ['GET', '/collections/docs/exists'], answer: { result: { exists: true } } },
  ],
  [
    'a collection without an entry',
    {
      as: 'acme',
      do: ['POST', '/collections/other/points/scroll', scroll],
      status: 403,
      answer: { status: { error: 'Forbidden: Access to collection other is required' } },
    },
  ],
  [
    'a caller without a tenant',
    {
      as: 'stranger',
      do: ['POST', '/collections/docs/points/scroll', scroll],
      status: 403,
      answer: /names its tenant/,
    },
  ],
  [
    'the same on a free collection',
    { as: 'stranger', do: ['POST', '/collections/open/points/scroll', { limit: 1 }], answer: ids(1) },
  ],
  [
    'an index',
    {
      as: 'acme',
      do: ['PUT', '/collections/docs/index', { field_name: 'x', field_schema: 'keyword' }],
      status: 403,
      answer: /not allowed to tenants/,
    },
  ],
  [
    'a snapshot',
    { as: 'acme', do: ['POST', '/collections/docs/snapshots'], status: 403, answer: /not allowed to tenants/ },
  ],
  ['telemetry', { as: 'acme', do: ['GET', '/telemetry'], status: 403, answer: /not allowed to tenants/ }],
  ['a route that is in no table', { as: 'acme', do: ['GET', '/collections/docs/new'], status: 404 }],
  [
    'an unknown field',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/scroll', { limit: 1, all_tenants: true }],
      status: 400,
      answer: /all_tenants/,
    },
  ],
  [
    'a member given twice',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/scroll', '{"filter":{},"filter":{}}'],
      status: 400,
      answer: /filter/,
    },
  ],
  ['no JSON', { as: 'acme', do: ['POST', '/collections/docs/points/scroll', '{"limit":'], status: 400 }],
  [
    'an upsert gets its tenant',
    {
      as: 'acme',
      do: [
        'PUT',
        '/collections/docs/points?wait=true',
        { points: [{ id: 3, vector: [1, 1], payload: { a: 18446744073709551615n.toString() } }] },
      ],
      changed: { 3: { a: '18446744073709551615', tenant: 'acme' } },
    },
  ],
  [
    'an integer as tenant',
    {
      as: 'number',
      do: ['PUT', '/collections/docs/points?wait=true', { points: [{ id: 3, vector: [1, 1] }] }],
      changed: { 3: { tenant: 7 } },
    },
  ],
  [
    'an upsert over a point of another',
    {
      as: 'acme',
      do: [
        'PUT',
        '/collections/docs/points?wait=true',
        { points: [{ id: 11, vector: [1, 1], payload: { colour: 'stolen' } }] },
      ],
    },
  ],
  [
    'an upsert for another',
    {
      as: 'acme',
      do: [
        'PUT',
        '/collections/docs/points?wait=true',
        { points: [{ id: 3, vector: [1, 1], payload: { tenant: 'umbrella' } }] },
      ],
      status: 403,
      answer: /tenant/,
    },
  ],
  [
    'an upsert of one with several tenants names one',
    {
      as: 'both',
      do: [
        'PUT',
        '/collections/docs/points?wait=true',
        { points: [{ id: 3, vector: [1, 1], payload: { tenant: 'umbrella' } }] },
      ],
      changed: { 3: { tenant: 'umbrella' } },
    },
  ],
  [
    'or is refused',
    {
      as: 'both',
      do: ['PUT', '/collections/docs/points?wait=true', { points: [{ id: 3, vector: [1, 1], payload: {} }] }],
      status: 403,
    },
  ],
  [
    'a deletion by a filter',
    {
      as: 'acme',
      do: [
        'POST',
        '/collections/docs/points/delete?wait=true',
        { filter: { must: [{ key: 'colour', match: { value: 'red' } }] } },
      ],
      changed: { 1: undefined },
    },
  ],
  [
    'a deletion by an empty filter',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/delete?wait=true', { filter: {} }],
      changed: { 1: undefined, 2: undefined },
    },
  ],
  [
    'a deletion by ids',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/delete?wait=true', { points: [1, 11, 12, 13] }],
      changed: { 1: undefined },
    },
  ],
  [
    'payload by a filter',
    {
      as: 'umbrella',
      do: ['POST', '/collections/docs/points/payload?wait=true', { payload: { x: 1 }, filter: {} }],
      changed: { 11: { tenant: 'umbrella', colour: 'red', x: 1 } },
    },
  ],
  [
    'the field of the tenant',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/payload?wait=true', { payload: { tenant: 'umbrella' }, points: [1] }],
      status: 403,
    },
  ],
  [
    'the field below a key',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/payload?wait=true', { payload: { x: 1 }, key: 'tenant', points: [1] }],
      status: 403,
    },
  ],
  [
    'overwritten payload keeps it',
    {
      as: 'acme',
      do: ['PUT', '/collections/docs/points/payload?wait=true', { payload: { x: 1 }, points: [1] }],
      changed: { 1: { x: 1, tenant: 'acme' } },
    },
  ],
  [
    'deleted payload, of the field',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/payload/delete?wait=true', { keys: ['tenant'], points: [1] }],
      status: 403,
    },
  ],
  [
    'deleted payload, of the field in quotes',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/payload/delete?wait=true', { keys: ['"tenant"'], points: [1] }],
      status: 403,
    },
  ],
  [
    'deleted payload, of another field',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/payload/delete?wait=true', { keys: ['colour'], filter: {} }],
      changed: { 1: { tenant: 'acme' }, 2: { tenant: 'acme' } },
    },
  ],
  [
    'cleared payload keeps it',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/payload/clear?wait=true', { filter: {} }],
      changed: { 1: { tenant: 'acme' }, 2: { tenant: 'acme' } },
    },
  ],
  [
    'payload of a point of another',
    {
      as: 'acme',
      do: ['POST', '/collections/docs/points/payload?wait=true', { payload: { x: 1 }, points: [11] }],
      status: 404,
      answer: noPoint(11),
    },
  ],
  [
    'a batch',
    {
      as: 'acme',
      do: [
        'POST',
        '/collections/docs/points/batch?wait=true',
        { operations: [{ upsert: { points: [{ id: 3, vector: [1, 1] }] } }, { delete: { points: [1, 11] } }] },
      ],
      changed: { 1: undefined, 3: { tenant: 'acme' } },
    },
  ],
  [
    'a batch of which one is refused',
    {
      as: 'acme',
      do: [
        'POST',
        '/collections/docs/points/batch?wait=true',
        { operations: [{ delete: { points: [1] } }, { delete_payload: { keys: ['tenant'], points: [2] } }] },
      ],
      status: 403,
    },
  ],
];

for (const transport of transports.all) {
  t.test(`over ${transport.name}`, async (t) => {
    let changes = true;
    for (const [sentence, asked] of CASES) {
      if (changes) await prepare();
      const { status, text } = await ask(transport, asked);
      const { answer, changed = {} } = asked;
      changes = asked.changed !== undefined;
      t.equal(status, asked.status ?? 200, `${sentence}: ${text.slice(0, 200)}`);
      if (answer instanceof RegExp) t.match(text, answer, sentence);
      else if (answer) t.match(JSON.parse(text), answer, `${sentence}: ${text.slice(0, 300)}`);
      const points = (JSON.parse(text === '' ? '{}' : text) as { result?: { points?: unknown[] } }).result?.points;
      const wanted = (answer as { result?: { points?: unknown[] } } | undefined)?.result?.points;
      if (wanted && Array.isArray(points)) t.equal(points.length, wanted.length, `${sentence}: no more points`);
      const after = Object.entries({ ...ORIGINAL, ...changed }).filter(([, payload]) => payload !== undefined);
      const target = /^\/collections\/(\w+)/.exec(asked.do[1])?.[1] ?? 'docs';
      t.strictSame(await stored(target), Object.fromEntries(after), `${sentence}: afterwards`);
    }
  });
}

t.test('the key of the operator is not bound', async (t) => {
  await prepare();
  for (const transport of transports.all) {
    const { status, body } = await transport.send({
      ...{ method: 'POST', target: '/collections/docs/points/scroll', body: Buffer.from('{}') },
      headers: [
        ['api-key', KEYS.alt],
        ['content-type', 'application/json'],
      ],
    });
    t.equal(status, 200);
    t.match(JSON.parse(body.toString()), ids(1, 2, 7, 11, 12, 13), transport.name);
  }
});

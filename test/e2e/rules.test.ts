import { QdrantClient } from '@qdrant/js-client-rest';
import t from 'tap';
import type { RuleSettings } from '../../src/policy/settings.ts';
import { grpcClient, restClient, trust } from '../support/clients/official.ts';
import { prepare } from '../support/clients/tutorial.ts';
import { message } from '../support/clients/unary.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { startOperated } from '../support/operated.ts';
import { makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { AGREEABLE, fromAll, openVerdictLanes, type Request, shadowNotes } from '../support/verdicts/lanes.ts';

/** Rules of the policy on both protocols, over every lane. */

const QUERY = { query: [0.1, 0.2, 0.3, 0.4] };
const lookup = (collection: string) => message({ 1: collection });

const REQUESTS = {
  query: {
    rest: ['POST', '/collections/cities/points/query', JSON.stringify(QUERY)],
    grpc: ['/qdrant.Points/Query', message({ 1: 'cities' })],
  },
  foreign: {
    rest: ['POST', '/collections/private/points/query', JSON.stringify(QUERY)],
    grpc: ['/qdrant.Points/Query', message({ 1: 'private' })],
  },
  lookup: {
    rest: [
      'POST',
      '/collections/cities/points/query',
      JSON.stringify({ ...QUERY, lookup_from: { collection: 'private' } }),
    ],
    grpc: ['/qdrant.Points/Query', message({ 1: 'cities', 14: lookup('private') })],
  },
  batch: {
    rest: [
      'POST',
      '/collections/cities/points/query/batch',
      JSON.stringify({ searches: [QUERY, { ...QUERY, prefetch: { lookup_from: { collection: 'private' } } }] }),
    ],
    grpc: [
      '/qdrant.Points/QueryBatch',
      message({ 1: 'cities', 2: message({ 1: 'cities', 2: message({ 8: lookup('private') }) }) }),
    ],
  },
  upsert: {
    rest: ['PUT', '/collections/cities/points', '{"points":[]}'],
    grpc: ['/qdrant.Points/Upsert', message({ 1: 'cities' })],
  },
  updateBatch: {
    rest: ['POST', '/collections/cities/points/batch', '{"operations":[]}'],
    grpc: ['/qdrant.Points/UpdateBatch', message({ 1: 'cities' })],
  },
  snapshots: {
    rest: ['GET', '/collections/cities/snapshots'],
    grpc: ['/qdrant.Snapshots/List', message({ 1: 'cities' })],
  },
  collections: { rest: ['GET', '/collections'], grpc: ['/qdrant.Collections/List', new Uint8Array()] },
  full: { rest: ['GET', '/snapshots'], grpc: ['/qdrant.Snapshots/ListFull', new Uint8Array()] },
} satisfies Record<string, Request>;
type Name = keyof typeof REQUESTS;

const PRIVATE = 'Forbidden: Access to collection private is required';
const WRITE = 'Forbidden: Write access to collection cities is required';
const POINTS = 'Forbidden: Only points access is allowed for collection cities';
const GLOBAL = 'Forbidden: Global access is required';
const admin = { 'api-key': KEYS.admin };
const tokenOf = (access: unknown, subject?: string) => ({ 'api-key': makeToken({ access, subject }) });
const prw = tokenOf([{ collection: 'cities', access: 'prw' }]);

const cities = (access: 'r' | 'rw' | 'prw'): RuleSettings => ({
  id: 'cities',
  mode: 'enforce',
  access: [{ collection: 'cities', access }],
});

/** What each rule leaves to a caller; `ok` is an allow, a text its deny. The same on all three lanes. */
const CASES: readonly [
  name: string,
  rule: RuleSettings,
  caller: Record<string, string>,
  answers: Partial<Record<Name, string>>,
][] = [
  [
    'a list that reads, laid on the admin key',
    cities('r'),
    admin,
    {
      query: 'ok',
      foreign: PRIVATE,
      lookup: PRIVATE,
      batch: PRIVATE,
      upsert: WRITE,
      updateBatch: WRITE,
      snapshots: 'ok',
      collections: 'ok',
      full: GLOBAL,
    },
  ],
  [
    'a list that writes points',
    cities('prw'),
    admin,
    {
      query: 'ok',
      foreign: PRIVATE,
      lookup: PRIVATE,
      batch: PRIVATE,
      upsert: 'ok',
      updateBatch: 'ok',
      snapshots: POINTS,
      full: GLOBAL,
    },
  ],
  [
    'what a token carries stays its limit',
    cities('rw'),
    prw,
    { query: 'ok', upsert: 'ok', snapshots: POINTS, foreign: PRIVATE },
  ],
  ['reading, laid on a token for points', cities('r'), prw, { query: 'ok', upsert: WRITE, snapshots: POINTS }],
  [
    'global reading, laid on the admin key',
    { id: 'r', mode: 'enforce', access: 'r' },
    admin,
    {
      query: 'ok',
      foreign: 'ok',
      lookup: 'ok',
      batch: 'ok',
      upsert: 'Forbidden: Global manage access is required',
      full: 'ok',
    },
  ],
  [
    'a rule for another key',
    { ...cities('r'), keys: ['alt_api_key'] },
    admin,
    { upsert: 'ok', foreign: 'ok', full: 'ok' },
  ],
  [
    'a rule for another subject',
    { ...cities('r'), subjects: ['bob'] },
    tokenOf('m', 'alice'),
    { upsert: 'ok', foreign: 'ok' },
  ],
  [
    'a rule for this subject',
    { ...cities('r'), subjects: ['alice'] },
    tokenOf('m', 'alice'),
    { upsert: WRITE, foreign: PRIVATE },
  ],
];

for (const [name, rule, caller, answers] of CASES) {
  t.test(name, async (test) => {
    const gateway = await startGateway({ rules: [rule], upstream: AGREEABLE });
    await prepare(new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false }));
    const lanes = await openVerdictLanes(gateway);
    test.teardown(async () => {
      lanes.close();
      await gateway.close();
    });
    for (const [request, answer] of Object.entries(answers)) {
      const heard = await lanes.ask(REQUESTS[request as Name], caller);
      test.same(heard, fromAll(answer), `${request}: ${answer}`);
    }
  });
}

t.test('operations are limited by the names of the audit log, which mean both protocols', async (test) => {
  const rule: RuleSettings = { id: 'ops', mode: 'enforce', operations: ['query_batch', 'points.upsert'] };
  const gateway = await startGateway({ rules: [rule], upstream: AGREEABLE });
  const lanes = await openVerdictLanes(gateway);
  test.teardown(async () => {
    lanes.close();
    await gateway.close();
  });
  const not = (name: string): string => `Forbidden: Operation ${name} is not allowed`;
  test.same(await lanes.ask(REQUESTS.query, admin), fromAll('ok'));
  test.same(
    await lanes.ask(REQUESTS.upsert, admin),
    [...fromAll('ok').slice(1), not('qdrant.Points/Upsert')],
    'a row is of one protocol',
  );
  test.same(await lanes.ask(REQUESTS.collections, admin), [
    ...fromAll(not('collections.list')).slice(1),
    not('qdrant.Collections/List'),
  ]);
  test.same(await lanes.ask(REQUESTS.query, {}), fromAll('Must provide an API key or an Authorization bearer token'));
});

t.test('lists show what the rule names', async (test) => {
  const gateway = await startGateway({ rules: [cities('r')] });
  test.teardown(() => gateway.close());
  trust(gateway.ca);
  await prepare(new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false }));
  const names = (all: readonly { readonly name: string }[]) => all.map(({ name }) => name).sort();
  const rest = await restClient(gateway, KEYS.admin).getCollections();
  const grpc = await grpcClient(gateway, KEYS.admin).api('collections').list({});
  test.same([names(rest.collections), names(grpc.collections)], [['cities'], ['cities']]);
  const direct = await new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false }).getCollections();
  test.same(names(direct.collections), ['cities', 'private'], 'there are more');
});

t.test('a rule in shadow counts what it would refuse, names in bodies included, and lets it pass', async (test) => {
  const notes = shadowNotes();
  const rules = [
    { ...cities('r'), id: 'list', mode: 'shadow' },
    { id: 'ops', mode: 'shadow', operations: ['query_batch', 'upsert_points'] },
  ] satisfies RuleSettings[];
  const gateway = await startGateway({ rules, observers: [notes.observe], upstream: AGREEABLE });
  await prepare(new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false }));
  const lanes = await openVerdictLanes(gateway);
  test.teardown(async () => {
    lanes.close();
    await gateway.close();
  });
  const big = { 1: 'private', 3: message({ 3: 'x'.repeat(200_000) }) };
  const large: Request = {
    rest: ['PUT', '/collections/private/points', JSON.stringify({ points: [], more: 'x'.repeat(200_000) })],
    grpc: ['/qdrant.Points/Upsert', message(big)],
  };
  const filler = 'x'.repeat(2_000_000);
  const largeQuery: Request = {
    rest: [
      'POST',
      '/collections/cities/points/query',
      JSON.stringify({ ...QUERY, filter: { must: [{ key: filler }] }, lookup_from: { collection: 'private' } }),
    ],
    grpc: ['/qdrant.Points/Query', message({ 1: 'cities', 4: filler, 14: lookup('private') })],
  };
  const cases: readonly [Request, string][] = [
    [REQUESTS.query, 'none'],
    [REQUESTS.foreign, `list: ${PRIVATE}`],
    [REQUESTS.lookup, `list: ${PRIVATE}`],
    [REQUESTS.upsert, `list: ${WRITE}`],
    [large, `list: ${PRIVATE}`],
    [largeQuery, `list: ${PRIVATE}`],
  ];
  for (const [request, note] of cases) {
    test.same(await lanes.ask(request, admin), fromAll('ok'), request.rest[1]);
    test.same(notes.take(), fromAll(note), `${request.rest[1]}: ${note}`);
  }
  const forbidden = await lanes.ask(REQUESTS.upsert, { 'api-key': KEYS.readOnly });
  test.same(forbidden, fromAll('Forbidden: Global manage access is required'), 'it permits nothing');
  test.same(notes.take(), fromAll('none'));
});

t.test('open connections meet a changed rule at their next request', async (test) => {
  const gateway = await startOperated({ upstream: AGREEABLE });
  const lanes = await openVerdictLanes(gateway);
  test.teardown(async () => {
    lanes.close();
    await gateway.close();
  });
  const token = tokenOf('m', 'alice');
  const asked = async () => [await lanes.ask(REQUESTS.upsert, admin), await lanes.ask(REQUESTS.upsert, token)];
  const all = fromAll;
  test.same(await asked(), [all('ok'), all('ok')]);
  gateway.write('policy.yaml', 'rules: [{ id: a, access: [{ collection: cities, access: r }] }]\n');
  test.match(await gateway.supervisor.reload('admin'), { ok: true });
  test.same(await asked(), [all(WRITE), all(WRITE)], 'keys and remembered tokens');
  gateway.write('policy.yaml', 'rules: [{ id: a, subjects: [alice], access: [{ collection: cities, access: r }] }]\n');
  await gateway.supervisor.reload('admin');
  test.same(await asked(), [all('ok'), all(WRITE)]);
  gateway.write('gateway.yaml', 'gateway: { mode: shadow }\n');
  await until(async () => (await asked())[1]?.[0] === 'ok', 'shadow mode comes with the file');
  gateway.write('gateway.yaml', '{}\n');
  await until(async () => (await asked())[1]?.[0] === WRITE, 'and goes with it');
});

t.test('rules hold before a gateway without keys, too', async (test) => {
  const settings = {
    'service.api_key': null,
    'service.alt_api_key': null,
    'service.read_only_api_key': null,
    'service.jwt_rbac': null,
    'gateway.insecure_allow_no_key': true,
  };
  const gateway = await startGateway({ settings, rules: [cities('r')], upstream: AGREEABLE });
  const lanes = await openVerdictLanes(gateway);
  test.teardown(async () => {
    lanes.close();
    await gateway.close();
  });
  test.same(await lanes.ask(REQUESTS.query, {}), fromAll('ok'));
  test.same(await lanes.ask(REQUESTS.upsert, {}), fromAll(WRITE));
  test.same(await lanes.ask(REQUESTS.foreign, admin), fromAll(PRIVATE), 'whatever is presented');
});

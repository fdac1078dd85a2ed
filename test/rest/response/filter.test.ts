import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { REST_OPERATIONS } from '../../../src/operations/rest.ts';
import type { ListAccess } from '../../../src/policy/access.ts';
import { RESPONSE_FILTERS } from '../../../src/rest/response/filter.ts';
import { patchTelemetry } from '../../../src/rest/response/filter-patch.ts';
import { planFilter } from '../../../src/rest/response/filter-query.ts';
import { AnswerFault } from '../../../src/rest/response/filter-source.ts';
import { timesDearer } from '../../support/reference.ts';
import { filteredOutcome, filteredRestVerdicts, upstreamAnswer } from '../../support/verdicts/filtered-rest.ts';
import { Deviations } from '../../support/verdicts/verdicts.ts';

const EXISTING = ['docs', 'drafts', 'notes'];

function list(...names: string[]): ListAccess {
  return { kind: 'list', modes: new Map(names.map((name) => [name, 'r'])) };
}

let compared = 0;
const deviations = new Deviations('filtered-rest.json');
for (const verdict of filteredRestVerdicts()) {
  const { grant, request } = verdict;
  if (typeof grant !== 'object' || grant === null || request.status !== 200) continue;
  const access: ListAccess = { kind: 'list', modes: new Map(Object.entries(grant)) };
  compared += 1;
  t.test(`${verdict.case} shows ${verdict.principal} what is recorded`, async (t) => {
    const filter = REST_OPERATIONS.find((row) => row.name === request.operation)?.filter;
    assert.ok(filter);
    const plan = planFilter(filter, request.query);
    // The second server was not recorded at level 3; what differs there is read at level 2.
    const upstream = upstreamAnswer(request.server, request.path, plan.query);
    assert.ok(upstream, `no answer for ${request.path}?${plan.query}`);
    const context = { view: plan.view, ...(plan.needsNames ? { existing: EXISTING } : {}) };
    const found = RESPONSE_FILTERS[filter](Buffer.from(JSON.stringify(upstream.answer)), access, context);
    const outcome = filteredOutcome(verdict, 200, JSON.parse(found.toString()));
    t.equal(deviations.settled(outcome, verdict), verdict.recorded);
  });
}
t.test('every listed deviation is one', async (t) => t.strictSame(deviations.stale(), []));
t.ok(compared > 180, `${compared} answers compared`);

t.test('telemetry: what a list access must not see is gone, what is new too', async (t) => {
  const body = Buffer.from(
    JSON.stringify({
      usage: { hardware: null },
      result: {
        id: 'x',
        app: { name: 'qdrant', jwt_rbac: true },
        cluster: { peers: ['secret'] },
        requests: { rest: 'secret' },
        memory: 'secret',
        quota: 'secret',
        future: 'secret',
        collections: {
          number_of_collections: 4,
          max_collections: 9,
          future: 'secret',
          collections: [{ id: 'a', x: 1 }, { x: 'secret' }, { id: 'secret' }, { id: 7 }, 'secret', null, { id: 'A' }],
          snapshots: [{ id: 'a' }, { id: 'secret' }, { n: 'secret' }],
        },
        hardware: { future: 'secret', collection_data: { a: { cpu: 1 }, secret: { cpu: 2 }, '': {} } },
        search_pool: { threads: 3 },
      },
      status: 'ok',
      time: 0.5,
      future: 'secret',
    }),
  );
  t.strictSame(JSON.parse(RESPONSE_FILTERS.telemetry(body, list('a', 'missing')).toString()), {
    usage: { hardware: null },
    result: {
      id: 'x',
      app: { name: 'qdrant', jwt_rbac: true },
      collections: {
        number_of_collections: 1,
        max_collections: 9,
        collections: [{ id: 'a', x: 1 }],
        snapshots: [{ id: 'a' }],
      },
      hardware: { collection_data: { a: { cpu: 1 } } },
      search_pool: { threads: 3 },
    },
    status: 'ok',
    time: 0.5,
  });
});

t.test('telemetry of level 1 is made of level 3: vectors are added up, the worst status is shown', async (t) => {
  const shard = (num_vectors: unknown, status: unknown) => ({
    local: { num_vectors, optimizations: { status } },
    remote: [],
  });
  const collections = [
    { id: 'a', config: { params: { p: 1 } }, shards: [shard(2, 'ok'), shard(3, { error: 'broken' }), { local: null }] },
    { id: 'b', config: { params: { p: 2 } }, shards: [shard(null, 'ok')] },
    { id: 'c', config: { params: { p: 3 } } },
    { id: 'secret', config: { params: { p: 4 } }, shards: [shard(9, 'ok')] },
  ];
  const body = Buffer.from(JSON.stringify({ result: { collections: { collections, snapshots: [{ id: 'a' }] } } }));
  const found = RESPONSE_FILTERS.telemetry(body, list('a', 'b', 'c'), { view: { level: 1, anonymous: false } });
  t.strictSame(JSON.parse(found.toString()), {
    result: {
      collections: {
        number_of_collections: 3,
        collections: [
          { vectors: 5, optimizers_status: { error: 'broken' }, params: { p: 1 } },
          { vectors: 0, optimizers_status: 'ok', params: { p: 2 } },
        ],
        snapshots: [],
      },
    },
  });
});

t.test('numbers and escapes are carried over as they are written', async (t) => {
  const body = Buffer.from(
    '{"result":{"collections":[{"name":"\\u0061","n":18446744073709551615,"f":1.0e0}, {"name":"b"}]},"time":1e-7}',
  );
  t.equal(
    RESPONSE_FILTERS['collections-list'](body, list('a')).toString(),
    '{"result":{"collections":[{"name":"\\u0061","n":18446744073709551615,"f":1.0e0}]},"time":1e-7}',
  );
});

const broken: readonly [what: string, body: string][] = [
  ['nothing', ''],
  ['plain text', 'secret'],
  ['an answer cut short', '{"result":{"collections":[{"name":"secret"}'],
  ['no result', '{"status":"secret"}'],
  ['a result that is null', '{"result":null}'],
  ['a result given twice', '{"result":{},"result":{}}'],
  ['a list of text', '{"result":{"collections":"secret"}}'],
  ['a member given twice', '{"result":{"collections":{},"collections":{}}}'],
  ['two answers', '{"result":{}}{"result":{}}'],
  ['a compressed answer', '\u001f\u008b\u0008'],
];

for (const [what, body] of broken) {
  t.test(`${what}: is a fault that shows nothing of the answer`, async (t) => {
    for (const name of ['collections-list', 'telemetry'] as const) {
      let fault: unknown;
      try {
        RESPONSE_FILTERS[name](Buffer.from(body), list('a'));
      } catch (error) {
        fault = error;
      }
      t.ok(fault instanceof AnswerFault, name);
      t.notMatch(String(fault), /secret/);
    }
  });
}

t.test('items that are listed in part, oddly or twice are left out', async (t) => {
  const body = Buffer.from(
    JSON.stringify({
      result: {
        aliases: [
          { alias_name: 'al', collection_name: 'a' },
          { alias_name: 'al', collection_name: 'secret' },
          { alias_name: 'other', collection_name: 'a' },
          { alias_name: 'al' },
          { alias_name: ['al'], collection_name: 'a' },
        ],
      },
    }).replace('"alias_name":"al"}', '"alias_name":"al","alias_name":"al"}'),
  );
  t.strictSame(JSON.parse(RESPONSE_FILTERS['aliases-list'](body, list('a', 'al')).toString()), {
    result: { aliases: [{ alias_name: 'al', collection_name: 'a' }] },
  });
  const issues = Buffer.from(
    '{"result":{"issues":[{"id":1,"related_collection":"a"},{"id":2},{"id":3,"related_collection":null},{"related_collection":"a","related_collection":"secret"}]}}',
  );
  t.equal(
    RESPONSE_FILTERS.issues(issues, list('a')).toString(),
    '{"result":{"issues":[{"id":1,"related_collection":"a"}]}}',
  );
});

t.test('no name that is not listed ever passes', async (t) => {
  const name = fc.constantFrom('a', 'b', 'secret-1', 'secret-2', '__proto__', '');
  fc.assert(
    fc.property(fc.array(name), fc.array(fc.tuple(name, name)), fc.boolean(), (names, pairs, pretty) => {
      const write = (value: unknown) => Buffer.from(JSON.stringify(value, null, pretty ? 2 : 0));
      const access = list('a', 'b', '__proto__');
      const collections = RESPONSE_FILTERS['collections-list'](
        write({ result: { collections: names.map((one) => ({ name: one })) } }),
        access,
      );
      const kept = names.filter((one) => access.modes.has(one)).map((one) => ({ name: one }));
      assert.deepEqual(JSON.parse(collections.toString()), { result: { collections: kept } });
      const aliases = pairs.map(([alias_name, collection_name]) => ({ alias_name, collection_name }));
      const filtered = RESPONSE_FILTERS['aliases-list'](write({ result: { aliases } }), access);
      assert.deepEqual(JSON.parse(filtered.toString()), {
        result: {
          aliases: aliases.filter((one) => access.modes.has(one.alias_name) && access.modes.has(one.collection_name)),
        },
      });
    }),
    { numRuns: 500 },
  );
  t.pass('held for every case');
});

const plans: readonly [query: string, sent: string, level: number, anonymous: boolean, needsNames: boolean][] = [
  ['', 'details_level=2', 0, false, false],
  ['details_level=0', 'details_level=2', 0, false, false],
  ['details_level=1', 'details_level=3', 1, false, false],
  ['details%5flevel=1&timeout=5', 'details_level=3&timeout=5', 1, false, false],
  ['details_level=2', 'details_level=2', 2, false, false],
  ['details_level=10&per_collection=true', 'details_level=10&per_collection=true', 10, false, false],
  ['anonymize=false', 'details_level=2&anonymize=false', 0, false, false],
  ['anonymize=true', 'anonymize=true', 0, true, true],
  ['details_level=3&anonymize=tru%65', 'details_level=3&anonymize=tru%65', 3, true, true],
  ['details_level=x', 'details_level=x', 0, true, false],
  ['details_level=1&details_level=4', 'details_level=1&details_level=4', 0, true, false],
  ['details_level=+4', 'details_level=+4', 0, true, false],
  ['anonymize=yes', 'anonymize=yes', 0, true, false],
  ['anonymize', 'anonymize', 0, true, false],
];

for (const [query, sent, level, anonymous, needsNames] of plans) {
  t.test(`telemetry?${query} is asked for as ?${sent}`, async (t) => {
    t.strictSame(planFilter('telemetry', query), { query: sent, view: { level, anonymous }, needsNames });
  });
}

t.test('other filtered answers are asked for as they are', async (t) => {
  t.strictSame(planFilter('cluster-telemetry', 'details_level=1').query, 'details_level=1');
});

t.test('the web UI flags are set and every other byte stays', async (t) => {
  const both = { jwtRbac: true, hideJwtDashboard: false };
  const patched = (body: string, patch = both) => patchTelemetry(Buffer.from(body), patch).toString();
  const front = '{"result": {"id" : 1.0, "app": {';
  const back = '}}, "app":{"jwt_rbac":0}}\n';
  t.equal(patched(`${front}${back}`), `${front}"jwt_rbac":true,"hide_jwt_dashboard":false${back}`);
  t.equal(patched(`${front} "a":1${back}`), `${front}"jwt_rbac":true,"hide_jwt_dashboard":false, "a":1${back}`);
  t.equal(
    patched(`${front}"jwt_rbac" : false ,"a":[1] ${back}`),
    `${front}"hide_jwt_dashboard":false,"jwt_rbac" : true ,"a":[1] ${back}`,
  );
  t.equal(
    patched(`${front}"hide_jwt_dashboard":{"x":1},"jwt_rbac":null${back}`),
    `${front}"hide_jwt_dashboard":false,"jwt_rbac":true${back}`,
  );
  const untouched = `${front}"jwt_rbac":false${back}`;
  t.equal(patchTelemetry(Buffer.from(untouched), {}).toString(), untouched);
  const audit = { dir: './a"b', rotation: 'daily', max_log_files: 7, trust_forwarded_headers: false, log_api: true };
  t.equal(
    patchTelemetry(Buffer.from(`${front}"audit":null${back}`), { audit: { ...audit, rotation: 'daily' } }).toString(),
    `${front}"audit":${JSON.stringify(audit)}${back}`,
    'and how the audit is kept, in place of what upstream says of its own',
  );
  const hidden = (inside: string, patch: object = {}) =>
    patchTelemetry(Buffer.from(`${front}${inside}${back}`), { ...patch, hidesOthers: true }).toString();
  t.equal(hidden('"jwt_rbac":true,"a": 1.0,"audit":{"dir":"ä"}'), `${front}"a":1.0${back}`, 'settings of upstream');
  t.equal(hidden('"jwt_rbac":true', { jwtRbac: false }), `${front}"jwt_rbac":false${back}`, 'in place of one of ours');
  t.equal(hidden('"audit":1,"b":"ü"', both), `${front}"jwt_rbac":true,"hide_jwt_dashboard":false,"b":"ü"${back}`);
  t.equal(hidden('"a": 1'), `${front}"a": 1${back}`, 'nothing to hide, every byte stays');
  t.equal(patched('{"status":{"error":"x"}}'), '{"status":{"error":"x"}}', 'an error answer has nothing to set');
  t.throws(() => patched('{"result":'), AnswerFault);
});

t.test('telemetry of 10 000 collections is filtered without stalling the process', async (t) => {
  const entry = {
    config: { params: { vectors: { size: 4, distance: 'Dot' }, shard_number: 1 } },
    shards: Array.from({ length: 6 }, () => ({ local: { num_points: 1, num_vectors: 2 } })),
  };
  const answersOf = (count: number) => {
    const names = Array.from({ length: count }, (_, index) => `collection-${index}`);
    const telemetry = Buffer.from(
      JSON.stringify({
        result: {
          collections: {
            collections: names.map((id) => ({ id, ...entry })),
            snapshots: names.map((id) => ({ id, running: 0 })),
          },
          hardware: { collection_data: Object.fromEntries(names.map((id) => [id, { cpu: 1 }])) },
        },
      }),
    );
    const collections = Buffer.from(JSON.stringify({ result: { collections: names.map((name) => ({ name })) } }));
    return { telemetry, collections, access: list(...names.filter((_, index) => index % 2 === 0)) };
  };
  const [many, few] = [answersOf(10_000), answersOf(1250)];
  const telemetry = timesDearer(
    () => RESPONSE_FILTERS.telemetry(many.telemetry, many.access),
    () => RESPONSE_FILTERS.telemetry(few.telemetry, few.access),
  );
  const collections = timesDearer(
    () => RESPONSE_FILTERS['collections-list'](many.collections, many.access),
    () => RESPONSE_FILTERS['collections-list'](few.collections, few.access),
  );
  // Eight times the entries: quadratic work would cost 64 times as much.
  t.ok(telemetry < 32, `telemetry of eight times the collections costs ${telemetry.toFixed(1)} times as much`);
  t.ok(collections < 32, `a list of eight times the collections costs ${collections.toFixed(1)} times as much`);
  const { telemetry: body, access } = many;
  const kept = JSON.parse(RESPONSE_FILTERS.telemetry(body, access).toString());
  t.equal(kept.result.collections.number_of_collections, 5000);
});

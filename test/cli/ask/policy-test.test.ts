import t from 'tap';
import { Parser } from 'tap-parser';
import { configured, deafRun, run } from './fixture.ts';

const POLICY = `
rules:
  - { id: team-a, subjects: [alice], access: [{ collections: ['docs-*'], access: rw }, { collections: [news], access: r }] }
  - { id: unused, subjects: [nobody-else], deny_operations: [delete_collection] }
guards:
  - { id: kept, protected: [docs-main] }
tenants:
  - { id: acme, subjects: [bob], collections: ['*'], field: group, from: tenant }
`;

const GOOD = `
principals:
  alice: { claims: { access: m, subject: alice } }
  bob: { claims: { access: m, subject: bob, tenant: acme } }
assume: { release: '1.20.0', now: '2030-01-01T00:00:00Z' }
cases:
  - name: alice writes her docs
    as: alice
    request: PUT /collections/docs-1/points
    body: { points: [{ id: 1, vector: [0.5] }] }
    expect: allowed
  - name: alice does not write the news
    as: alice
    request: PUT /collections/news/points
    body: { points: [] }
    expect: { code: write_required, decided_by: team-a, status: 403 }
  - as: alice
    grpc: Points/Query
    body: { collection_name: news, limit: 3 }
    expect: { verdict: allowed, cost: 3 }
  - as: api_key
    request: DELETE /collections/docs-main
    expect: collection_protected
  - as: api_key
    request: DELETE /collections/docs-main
    headers: { x-qdrant-gateway-confirm: docs-main }
    expect: allowed
  - as: bob
    request: POST /collections/docs-1/points/count
    body: {}
    expect: { verdict: allowed, sent: '"value":"acme"' }
  - as: anonymous
    request: GET /collections
    expect: missing_credential
`;

const FAILING = `
cases:
  - name: "the reader deletes # 1 <all>"
    as: read_only_api_key
    request: DELETE /collections/docs
    expect: allowed
  - as: { claims: { access: r } }
    request: GET /collections/docs
    expect: { verdict: allowed, cost: 5, filtered: true }
  - as: no-such-key
    request: GET /collections/docs
    expect: allowed
  - as: api_key
    request: GET /collections/docs
    expect: allowed
`;

const place = configured(POLICY, { 'good.yaml': GOOD, 'failing.yaml': FAILING, 'empty.yaml': '' });
const CONFIG = ['--config', place('gateway.yaml')];

t.test('cases that hold', async (t) => {
  const text = await run('policy', 'test', place('good.yaml'), ...CONFIG);
  t.strictSame(text, { code: 0, out: '7 passed, 0 failed\n', err: '' });
  const json = await run('policy', 'test', place('good.yaml'), ...CONFIG, '--json', '--coverage');
  const { coverage, ...counts } = JSON.parse(json.out) as { coverage: { part: string; cases: number }[] };
  t.match(counts, { passed: 7, failed: 0 });
  const hits = Object.fromEntries(coverage.map(({ part, cases }) => [part, cases]));
  t.strictSame(hits, {
    'rule team-a': 3,
    'rule team-a access[0]': 1,
    'rule team-a access[1]': 1,
    'rule unused': 0,
    'guard kept': 1,
    'tenant acme': 1,
  });
});

t.test('cases that fail say where and why', async (t) => {
  const { code, out } = await run('policy', 'test', place('failing.yaml'), ...CONFIG, '--coverage');
  t.equal(code, 4);
  t.match(
    out,
    /failed: the reader deletes # 1 <all> \(.*failing\.yaml:3:5\)\n {2}verdict: expected allowed, found denied\n {2}the answer: denied: global_manage_required/,
  );
  t.match(out, /cost: expected 5, found none\n {2}filtered: expected true, found false/);
  t.match(out, /no key has the id `no-such-key`/);
  t.match(out, /1 passed, 3 failed\n/);
  t.match(out, /rule unused +no case\n/);
  t.match(out, /0 of 6 parts decide a case \(0 %\)\n/);
});

t.test('TAP that a parser reads', async (t) => {
  const { code, out } = await run(
    'policy',
    'test',
    place('failing.yaml'),
    place('good.yaml'),
    ...CONFIG,
    '--format',
    'tap',
  );
  t.equal(code, 4);
  const results = Parser.parse(out).flatMap((line) => (line[0] === 'assert' ? [line[1]] : []));
  t.equal(results.length, 11);
  t.equal(results.filter(({ ok }) => ok).length, 8);
  t.match(results[0], {
    name: 'the reader deletes # 1 <all>',
    diag: { differences: ['verdict: expected allowed, found denied'] },
  });
});

t.test('JUnit with escaped texts', async (t) => {
  const { out } = await run('policy', 'test', place('failing.yaml'), ...CONFIG, '--format', 'junit');
  t.match(
    out,
    /^<\?xml version="1.0" encoding="UTF-8"\?>\n<testsuites tests="4" failures="3">\n {2}<testsuite name=".*failing.yaml" tests="4" failures="3">/,
  );
  t.match(out, /<testcase name="the reader deletes # 1 &lt;all&gt;"/);
  t.notMatch(out, /<all>/);
});

const WRONG: readonly (readonly [name: string, text: string, says: readonly RegExp[]])[] = [
  ['an empty file', '', [/the file must have `cases`/]],
  ['no case', 'cases: []', [/`cases` must be a list with at least one case/]],
  ['YAML that is none', 'cases: [', [/not valid yaml/]],
  ['a misspelt section', 'case: []\ncases: []', [/:1:1: unknown field `case`, did you mean `cases`\?/]],
  [
    'a misspelt member',
    'cases:\n  - { as: a, request: GET /, expected: allowed, expect: allowed }',
    [/:2:\d+: unknown field `expected`, did you mean `expect`\?/],
  ],
  [
    'a misspelt code',
    'cases:\n  - as: a\n    request: GET /\n    expect: colection_not_listed',
    [
      /:4:13: `expect` must be allowed, denied, a denial code, .*not `colection_not_listed`; did you mean `collection_not_listed`\?/,
    ],
  ],
  [
    'a misspelt member of an expectation',
    'cases:\n  - as: a\n    request: GET /\n    expect: { verdict: allowed, costs: 1 }',
    [/:4:\d+: unknown field `costs`, did you mean `cost`\?/],
  ],
  [
    'both protocols',
    'cases:\n  - { as: a, request: GET /, grpc: Points/Get, expect: allowed }',
    [/either `request` or `grpc`/],
  ],
  [
    'a key in a header, which is not shown',
    'cases:\n  - { as: api_key, request: GET /, headers: { API-Key: a-secret }, expect: allowed }\n',
    [/:2:\d+: `headers` must hold no credential: `as` names the caller\n/],
  ],
  [
    'a request without a method',
    'cases:\n  - { as: a, request: /x, expect: allowed }',
    [/`request` must be like `GET \/collections`/],
  ],
  ['a release that is a number', 'assume: { release: 1.2 }\ncases: []', [/`release` must be like 1\.19\.2/]],
];

t.test('files with mistakes', async (t) => {
  for (const [name, text, says] of WRONG) {
    const other = configured(POLICY, { 'cases.yaml': text });
    const { code, out, err } = await run('policy', 'test', other('cases.yaml'), '--config', other('gateway.yaml'));
    t.strictSame([code, out], [2, ''], name);
    for (const one of says) t.match(err, one, name);
  }
  const missing = await run('policy', 'test', place('nowhere.yaml'), ...CONFIG);
  t.match([missing.code, missing.err], [2, /no such file/]);
});

t.test('another policy file', async (t) => {
  const other = configured('rules: []', {
    'cases.yaml': 'cases: [{ as: api_key, request: DELETE /collections/docs-main, expect: allowed }]',
  });
  t.equal((await run('policy', 'test', other('cases.yaml'), '--config', place('gateway.yaml'))).code, 4);
  const changed = await run(
    'policy',
    'test',
    other('cases.yaml'),
    '--config',
    place('gateway.yaml'),
    '--policy',
    other('policy.yaml'),
  );
  t.equal(changed.code, 0);
  const gone = await run('policy', 'test', other('cases.yaml'), ...CONFIG, '--policy', other('gone.yaml'));
  t.match([gone.code, gone.err], [2, /--policy: cannot read the policy file/]);
});

t.test('a reader that leaves is no failure', async (t) => {
  t.strictSame(await deafRun('policy', 'test', place('good.yaml'), ...CONFIG), { code: 0, err: '' });
});

import t from 'tap';
import { KEYS } from '../../support/gateway.ts';
import { runScript } from '../../support/process/run-script.ts';
import { configured, deafRun, run } from './fixture.ts';

const POLICY = `
rules:
  - { id: team-a, subjects: [alice], access: [{ collections: ['docs-*'], access: rw }] }
guards:
  - { id: kept, protected: [docs-main] }
  - { id: small, bounds: { max_query_limit: 50, collections: ['docs-*'] } }
limits:
  - { id: daily, cost: { per: day, most: 100000 }, each: all }
tenants:
  - { id: acme, subjects: [bob], collections: ['*'], field: group, from: tenant }
`;
const place = configured(POLICY, {
  'body.json': '{"limit": 7, "lookup_from": {"collection": "docs-b"}}',
  'empty.txt': '\n',
});
const CONFIG = ['--config', place('gateway.yaml')];
const ALICE = '{"access":"m","subject":"alice"}';
const LISTED = '{"access":[{"collection":"x","access":"r"},{"collection":"docs-a","access":"prw"}]}';
const BOB = '{"access":"m","subject":"bob","tenant":"acme"}';
const QUERY = '/collections/docs-a/points/query';

interface Case {
  readonly name: string;
  readonly args: readonly string[];
  readonly verdict: 'allowed' | 'denied';
  /** Members of the answer. */
  readonly has: Readonly<Record<string, unknown>>;
}

const CASES: readonly Case[] = [
  {
    name: 'the admin key may delete a collection that no guard protects',
    args: ['DELETE', '/collections/other', '--as', 'api_key'],
    verdict: 'allowed',
    has: { decided_by: { kind: 'access', id: 'key api_key' }, operation: 'collections.delete', collection: 'other' },
  },
  {
    name: 'a protected collection is refused to it, by the guard',
    args: ['DELETE', '/collections/docs-main', '--as', 'api_key'],
    verdict: 'denied',
    has: { code: 'collection_protected', decided_by: { kind: 'guard', id: 'kept' } },
  },
  {
    name: 'the same with the header that confirms it is allowed',
    args: ['DELETE', '/collections/docs-main', '--as', 'api_key', '--header', 'x-qdrant-gateway-confirm: docs-main'],
    verdict: 'allowed',
    has: { collection: 'docs-main' },
  },
  {
    name: 'the entry of a claim that permits is named',
    args: ['POST', QUERY, '-d', '{"limit":5}', '--as', LISTED],
    verdict: 'allowed',
    has: {
      decided_by: { kind: 'access', id: 'access claim', path: 'access[1]' },
      limits: ['daily'],
      bounds: ['small'],
    },
  },
  {
    name: 'a second collection that the body names is refused, and told',
    args: ['POST', QUERY, '-d', `@${place('body.json')}`, '--as', LISTED],
    verdict: 'denied',
    has: { code: 'collection_not_listed', names: ['docs-b'], decided_by: { kind: 'access', id: 'access claim' } },
  },
  {
    name: 'a rule that narrows is named where the credential alone would permit',
    args: ['POST', '/collections/other/points/query', '-d', '{"limit":5}', '--as', ALICE],
    verdict: 'denied',
    has: { code: 'collection_not_listed', decided_by: { kind: 'rule', id: 'team-a' } },
  },
  {
    name: 'a bound refuses by the number in the body',
    args: ['POST', QUERY, '-d', '{"limit":51}', '--as', 'read_only_api_key'],
    verdict: 'denied',
    has: { code: 'bound_exceeded', decided_by: { kind: 'guard', id: 'small' } },
  },
  {
    name: 'a limit that the cost never fits refuses',
    args: ['POST', '/collections/x/points/query', '-d', '{"query":[1],"limit":5000}', '--as', 'api_key'],
    verdict: 'denied',
    has: { code: 'rate_limited', decided_by: { kind: 'limit', id: 'daily' }, cost: 500_000 },
  },
  {
    name: 'the request of a tenant is shown as it is sent',
    args: ['POST', QUERY, '-d', '{"limit":5}', '--as', BOB, '--release', '1.20.0'],
    verdict: 'allowed',
    has: {
      sent_instead: {
        request: 'POST /collections/docs-a/points/query',
        body: '{"limit":5,"filter":{"must":[{"key":"group","match":{"value":"acme"}}]}}',
      },
    },
  },
  {
    name: 'a tenant without its value is refused',
    args: ['POST', QUERY, '-d', '{"limit":5}', '--as', '{"access":"m","subject":"bob"}'],
    verdict: 'denied',
    has: { code: 'tenant_value' },
  },
  {
    name: 'no credential is refused',
    args: ['GET', '/collections', '--as', 'anonymous'],
    verdict: 'denied',
    has: { code: 'missing_credential', decided_by: { kind: 'credential' } },
  },
  {
    name: 'an open route asks nothing of a caller',
    args: ['GET', '/healthz', '--as', 'anonymous'],
    verdict: 'allowed',
    has: { decided_by: { kind: 'public' } },
  },
  {
    name: 'a credential of a file is presented',
    args: ['GET', '/collections/a', '--credential-file', place('secret.txt')],
    verdict: 'allowed',
    has: { principal: { auth_type: 'ApiKey', key: 'read_only_api_key' } },
  },
  {
    name: 'a call over gRPC takes its message as JSON',
    args: ['--grpc', 'Points/Query', '-d', '{"collection_name":"docs-a","limit":"5"}', '--as', LISTED],
    verdict: 'allowed',
    has: { operation: 'qdrant.Points/Query', collection: 'docs-a', cost: 5 },
  },
  {
    name: 'a call over gRPC on another collection is refused as tonic refuses it',
    args: ['--grpc', 'Points/Get', '-d', '{"collectionName":"docs-b"}', '--as', LISTED],
    verdict: 'denied',
    has: { code: 'collection_not_listed', protocol: 'grpc' },
  },
  {
    name: 'aliases over gRPC need global manage',
    args: [
      ...['--grpc', 'Collections/UpdateAliases', '--as', LISTED],
      ...['-d', '{"actions":[{"create_alias":{"collection_name":"docs-a","alias_name":"a"}}]}'],
    ],
    verdict: 'denied',
    has: { code: 'global_required' },
  },
  {
    name: 'a path with a dot segment is refused for its form',
    args: ['GET', '/collections/%2e%2e/points', '--as', 'api_key'],
    verdict: 'denied',
    has: { decided_by: { kind: 'request' } },
  },
];

t.test('verdicts, as JSON and as text', async (t) => {
  for (const { name, args, verdict, has } of CASES) {
    const json = await run('can-i', ...args, ...CONFIG, '--json');
    const answer: unknown = JSON.parse(json.out);
    t.match(answer, { verdict, ...has }, name);
    t.equal(json.code, verdict === 'allowed' ? 0 : 4, `${name}: exit code`);
    const text = await run('can-i', ...args, ...CONFIG);
    t.match(text.out, verdict === 'allowed' ? /^allowed\n/ : /^denied: [a-z_]+\n/, `${name}: text`);
    t.equal(text.code, json.code, `${name}: the same code`);
    for (const secret of Object.values(KEYS)) t.notOk(text.out.includes(secret), `${name}: no secret is shown`);
  }
});

const WRONG: readonly (readonly [name: string, args: readonly string[], says: RegExp])[] = [
  ['no caller', ['GET', '/'], /name the caller with --as/],
  ['two callers', ['GET', '/', '--as', 'api_key', '--credential-file', 'x'], /give one of/],
  ['an unknown key', ['GET', '/', '--as', 'api-key'], /did you mean `api_key`/],
  ['claims that are no JSON', ['GET', '/', '--as', '{x'], /are not JSON/],
  ['a signing key that is not there', ['GET', '/', '--as', '{}', '--signing-key', 'nope'], /has the id `nope`/],
  ['a method in small letters', ['get', '/', '--as', 'api_key'], /capital letters/],
  ['a path without a slash', ['GET', 'collections', '--as', 'api_key'], /must begin with/],
  ['no request', ['--as', 'api_key'], /give METHOD PATH/],
  ['a request of both protocols', ['GET', '/', '--grpc', 'Points/Get', '--as', 'api_key'], /either METHOD PATH/],
  ['a gRPC method that is misspelt', ['--grpc', 'Points/Serch', '--as', 'api_key'], /did you mean `Points\/Search`/],
  ['a message that is no JSON', ['--grpc', 'Points/Get', '-d', 'x', '--as', 'api_key'], /must be JSON/],
  [
    'a field that is misspelt',
    ['--grpc', 'Points/Get', '-d', '{"colection_name":"a"}', '--as', 'api_key'],
    /did you mean/,
  ],
  ['a body that is not there', ['GET', '/', '-d', '@/no/such', '--as', 'api_key'], /no such file/],
  ['a header without a colon', ['GET', '/', '--header', 'x', '--as', 'api_key'], /name: value/],
  ['a key in a header', ['GET', '/', '--header', 'Api-Key: x', '--as', 'api_key'], /-H holds no credential/],
  ['a token in a header', ['GET', '/', '--header', 'authorization: Bearer x', '--as', 'api_key'], /no credential/],
  ['an empty credential', ['GET', '/', '--credential-file', place('empty.txt')], /holds no key/],
  ['a variable that is not set', ['GET', '/', '--credential-env', 'NO_SUCH_VARIABLE'], /is not set/],
  ['a release that is none', ['GET', '/', '--as', 'api_key', '--release', 'new'], /like 1\.19\.2/],
  ['an address that is none', ['GET', '/', '--as', 'api_key', '--from', 'here'], /an address/],
];

t.test('questions that cannot be asked', async (t) => {
  for (const [name, args, says] of WRONG) {
    const { code, out, err } = await run('can-i', ...args, ...CONFIG);
    t.strictSame([code, out], [2, ''], name);
    t.match(err, says, name);
  }
});

t.test('a credential comes from standard input', async (t) => {
  const asked = ['src/cli/main.ts', 'can-i', 'GET', '/collections/a', '--credential-file', '-', ...CONFIG];
  const { code, out } = await runScript(asked, { input: `Bearer ${KEYS.readOnly}\n` });
  t.match(out, /^allowed\n/);
  t.equal(code, 0);
});

t.test('a reader that leaves is no failure', async (t) => {
  t.strictSame(await deafRun('can-i', 'GET', '/collections/a', '--as', 'api_key', ...CONFIG), { code: 0, err: '' });
});

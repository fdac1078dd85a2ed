import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import t from 'tap';
import type { AccessSettings, RuleSettings } from '../../src/policy/settings.ts';
import { framed } from '../support/clients/raw-grpc.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { message } from '../support/clients/unary.ts';
import type { FakeQdrantOptions } from '../support/fake-qdrant/main.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { makeToken } from '../support/tokens.ts';
import { openVerdictLanes, type Request } from '../support/verdicts/lanes.ts';

/** Patterns, grants by operation and rights over collections, through the running gateway, over every lane. */

const EXISTING = ['team-a-1', 'team-a-2', 'other'];
const ALIASES = [
  { alias_name: 'team-a-now', collection_name: 'team-a-1' },
  { alias_name: 'team-a-out', collection_name: 'other' },
  { alias_name: 'live', collection_name: 'team-a-1' },
];

/** An upstream that lists what is there, and otherwise says yes: how often, is counted by its lists. */
const YES: FakeQdrantOptions = {
  onRest: (incoming: IncomingMessage, response: ServerResponse) => {
    const result =
      incoming.url === '/collections' && incoming.method === 'GET'
        ? { collections: EXISTING.map((name) => ({ name })) }
        : incoming.url === '/aliases' && { aliases: ALIASES };
    incoming.resume();
    incoming.once('end', () =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ result: result || true })),
    );
    return incoming.url !== '/';
  },
  onGrpc: (stream: ServerHttp2Stream) => {
    stream.resume();
    stream.once('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(framed(Buffer.alloc(0)));
    });
    return true;
  },
};

const create = (name: string, from?: string): Request => ({
  rest: ['PUT', `/collections/${name}`, JSON.stringify(from === undefined ? {} : { init_from: { collection: from } })],
  grpc: ['/qdrant.Collections/Create', message(from === undefined ? { 1: name } : { 1: name, 13: from })],
});
const update = (name: string): Request => ({
  rest: ['PATCH', `/collections/${name}`, '{}'],
  grpc: ['/qdrant.Collections/Update', message({ 1: name })],
});
const remove = (name: string): Request => ({
  rest: ['DELETE', `/collections/${name}`],
  grpc: ['/qdrant.Collections/Delete', message({ 1: name })],
});
const alias = (collection: string, name: string): Request => ({
  rest: [
    'POST',
    '/collections/aliases',
    JSON.stringify({ actions: [{ create_alias: { collection_name: collection, alias_name: name } }] }),
  ],
  grpc: ['/qdrant.Collections/UpdateAliases', message({ 1: message({ 1: message({ 1: collection, 2: name }) }) })],
});
const rename = (from: string, to: string): Request => ({
  rest: [
    'POST',
    '/collections/aliases',
    JSON.stringify({ actions: [{ rename_alias: { old_alias_name: from, new_alias_name: to } }] }),
  ],
  grpc: ['/qdrant.Collections/UpdateAliases', message({ 1: message({ 2: message({ 1: from, 2: to }) }) })],
});
const query = (name: string, lookup?: string): Request => ({
  rest: [
    'POST',
    `/collections/${name}/points/query`,
    JSON.stringify(lookup === undefined ? {} : { lookup_from: { collection: lookup } }),
  ],
  grpc: ['/qdrant.Points/Query', message(lookup === undefined ? { 1: name } : { 1: name, 14: message({ 1: lookup }) })],
});
const upsert = (name: string): Request => ({
  rest: ['PUT', `/collections/${name}/points`, '{"points":[]}'],
  grpc: ['/qdrant.Points/Upsert', message({ 1: name })],
});
const eraseInBatch = (name: string): Request => ({
  rest: ['POST', `/collections/${name}/points/batch`, '{"operations":[{"delete":{"points":[1]}}]}'],
  grpc: ['/qdrant.Points/UpdateBatch', message({ 1: name })],
});
const erase = (name: string): Request => ({
  rest: ['POST', `/collections/${name}/points/delete`, '{"points":[]}'],
  grpc: ['/qdrant.Points/Delete', message({ 1: name })],
});
const snapshots = (name: string): Request => ({
  rest: ['GET', `/collections/${name}/snapshots`],
  grpc: ['/qdrant.Snapshots/List', message({ 1: name })],
});

const GLOBAL = 'Forbidden: Global access is required';
const needs = (name: string): string => `Forbidden: Access to collection ${name} is required`;

const TEAM: AccessSettings = [
  { collections: ['team-a-*'], access: 'rw', manage: ['create', 'update', 'delete', 'aliases'] },
];

/** By subject: the access of a rule on a token that manages, and what it answers to each request. */
const CASES: Readonly<
  Record<string, { readonly access: AccessSettings; readonly answers: readonly (readonly [Request, string])[] }>
> = {
  team: {
    access: TEAM,
    answers: [
      [query('team-a-1'), 'ok'],
      [query('team-b-1'), needs('team-b-1')],
      [query('team-a-1', 'team-a-2'), 'ok'],
      [query('team-a-1', 'other'), needs('other')],
      [upsert('team-a-1'), 'ok'],
      [create('team-a-9'), 'ok'],
      [create('team-b-9'), needs('team-b-9')],
      [create('team-a-9', 'team-a-1'), 'ok'],
      [create('team-a-9', 'other'), needs('other')],
      [update('team-a-1'), 'ok'],
      [update('other'), needs('other')],
      [remove('team-a-1'), 'ok'],
      [remove('other'), needs('other')],
      [alias('team-a-1', 'team-a-live'), 'ok'],
      [alias('other', 'team-a-live'), needs('other')],
      [alias('team-a-1', 'live'), needs('live')],
      [rename('team-a-now', 'team-a-then'), 'ok'],
      [rename('live', 'team-a-live'), needs('live')],
      [rename('team-a-now', 'live'), needs('live')],
    ],
  },
  reader: {
    access: [{ collection: 'team-a-*', access: 'r' }],
    answers: [
      [query('team-a-1', 'team-a-2'), 'ok'],
      [upsert('team-a-1'), 'Forbidden: Write access to collection team-a-1 is required'],
      [create('team-a-9'), GLOBAL],
      [alias('team-a-1', 'team-a-live'), GLOBAL],
    ],
  },
  feeder: {
    access: [
      { collections: ['team-a-*'], operations: ['ingest'] },
      { collections: ['other'], operations: ['search'] },
    ],
    answers: [
      [upsert('team-a-1'), 'ok'],
      [query('other'), 'ok'],
      // What is only written to cannot be read by looking it up from elsewhere.
      [query('other', 'team-a-1'), needs('team-a-1')],
      [upsert('team-b-1'), needs('team-b-1')],
    ],
  },
  limited: {
    access: [{ collections: ['team-a-*'], access: 'rw', manage: ['create'], max_collections: 2 }],
    answers: [
      [create('team-a-9'), 'Forbidden: No more than 2 collections are allowed'],
      [create('team-a-1'), 'ok'],
    ],
  },
  roomy: {
    access: [{ collections: ['team-a-*'], access: 'rw', manage: ['create'], max_collections: 3 }],
    answers: [[create('team-a-9'), 'ok']],
  },
};

const subjectRules = Object.entries(CASES).map(
  ([subject, { access }]): RuleSettings => ({ id: subject, mode: 'enforce', subjects: [subject], access }),
);
const rules: readonly RuleSettings[] = [
  ...subjectRules,
  { id: 'kept', mode: 'enforce', subjects: ['kept'], ready: 'no-snapshots' },
  { id: 'no-delete', mode: 'enforce', subjects: ['keeper'], deny_operations: ['delete_points'] },
];
const tokenOf = (subject: string) => ({ 'api-key': makeToken({ access: 'm', subject }) });

const gateway = await startGateway({ rules, upstream: YES });
const lanes = await openVerdictLanes(gateway);
t.teardown(async () => {
  lanes.close();
  await gateway.close();
});

for (const [subject, { answers }] of Object.entries(CASES)) {
  t.test(`what grants give the ${subject}`, async (test) => {
    for (const [request, answer] of answers) {
      const heard = await lanes.ask(request, tokenOf(subject));
      test.same(new Set(heard), new Set([answer]), `${request.rest.join(' ')}: ${answer}`);
    }
  });
}

t.test('an operation that no grant names is refused by its name', async (test) => {
  const refused = (name: string): string => `Forbidden: Operation ${name} is not allowed`;
  test.same(
    new Set(await lanes.ask(erase('team-a-1'), tokenOf('feeder'))),
    new Set(['points.delete', 'qdrant.Points/Delete'].map(refused)),
  );
});

t.test('a rule that denies operations leaves all others', async (test) => {
  const refused = (name: string): string => `Forbidden: Operation ${name} is not allowed`;
  test.same(
    new Set(await lanes.ask(snapshots('other'), tokenOf('kept'))),
    new Set(['snapshots.list', 'qdrant.Snapshots/List'].map(refused)),
  );
  test.same(new Set(await lanes.ask(query('other'), tokenOf('kept'))), new Set(['ok']));
  test.same(
    new Set(await lanes.ask(erase('other'), tokenOf('keeper'))),
    new Set(['points.delete', 'qdrant.Points/Delete'].map(refused)),
  );
  test.same(new Set(await lanes.ask(upsert('other'), tokenOf('keeper'))), new Set(['ok']));
  test.same(
    new Set(await lanes.ask(eraseInBatch('other'), tokenOf('keeper'))),
    new Set(['points.batch', 'qdrant.Points/UpdateBatch'].map(refused)),
    'a batch can hold what is denied',
  );
});

t.test('lists show what a pattern covers, and aliases whose both ends it covers', async (test) => {
  const shown = async (path: string) => JSON.parse((await ask(gateway, 'GET', path, tokenOf('reader'))).body).result;
  test.same(await shown('/collections'), { collections: [{ name: 'team-a-1' }, { name: 'team-a-2' }] });
  test.same(await shown('/aliases'), { aliases: [{ alias_name: 'team-a-now', collection_name: 'team-a-1' }] });
});

t.test('bodies of managed collections that cannot be read are refused', async (test) => {
  const bodies: readonly [path: string, method: string, body: string][] = [
    ['/collections/team-a-9', 'PUT', '[]'],
    ['/collections/team-a-9', 'PUT', '{"init_from":["other"]}'],
    ['/collections/team-a-9', 'PUT', '{"init_from":{"collection":"team-a-1"},"init_from":{"collection":"other"}}'],
    ['/collections/aliases', 'POST', '[[]]'],
    ['/collections/aliases', 'POST', '{}'],
    ['/collections/aliases', 'POST', '{"actions":[["other","team-a-x"]]}'],
    ['/collections/aliases', 'POST', '{"actions":[{"create_alias":["other","team-a-x"]}]}'],
    ['/collections/aliases', 'POST', '{"actions":[{"create_alias":{"alias_name":"team-a-x"}}]}'],
    ['/collections/aliases', 'POST', '{"actions":[{"move_alias":{"alias_name":"team-a-x"}}]}'],
  ];
  gateway.upstream.recorder.clear();
  for (const [path, method, body] of bodies) {
    const headers = { ...tokenOf('team'), 'content-length': `${body.length}` };
    test.equal((await ask(gateway, method, path, headers, body)).status, 400, `${method} ${path} ${body}`);
  }
  const two =
    '{"actions":[{"delete_alias":{"alias_name":"team-a-x"},"create_alias":{"collection_name":"other","alias_name":"team-a-x"}}]}';
  const headers = { ...tokenOf('team'), 'content-length': `${two.length}` };
  test.equal((await ask(gateway, 'POST', '/collections/aliases', headers, two)).status, 403, 'each action counts');
  const sent = gateway.upstream.recorder.rest.filter(({ method }) => method !== 'GET');
  test.same(sent, [], 'nothing of them goes upstream');
});

t.test('the admin key manages as before', async (test) => {
  const admin = { 'api-key': KEYS.admin };
  for (const request of [create('anything'), update('other'), remove('other'), alias('other', 'live')]) {
    test.same(new Set(await lanes.ask(request, admin)), new Set(['ok']), request.rest.join(' '));
  }
});

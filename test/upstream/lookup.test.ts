import t from 'tap';
import { UPSTREAM_BROKEN, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE } from '../../src/policy/denial.ts';
import { upstreamCredential } from '../../src/upstream/credential.ts';
import { createRestUpstream, type RestUpstream } from '../../src/upstream/http.ts';
import { createUpstreamLookup } from '../../src/upstream/lookup.ts';
import { recordingUpstream } from '../rest/lane-fixture.ts';

type Reply = readonly [status: number, body: string];

function pool(port: number): RestUpstream {
  return createRestUpstream({
    idleMs: 4000,
    origin: `http://127.0.0.1:${port}`,
    socketPath: undefined,
    connections: 4,
    maxWaiting: 4,
    connectTimeoutMs: 1_000,
    headersTimeoutMs: 2_000,
    bodyTimeoutMs: 2_000,
  });
}

const NEVER = new AbortController().signal;
const FILTER = { must: [{ key: 'city', match: { value: 'Rome' } }] };

t.test('questions and what upstream\u2019s answers mean', async (t) => {
  let reply: Reply | undefined = [200, ''];
  const server = await recordingUpstream((_request, response) => {
    if (reply) response.writeHead(reply[0], { 'content-type': 'application/json' }).end(reply[1]);
  });
  const upstream = pool(server.port);
  const lookup = createUpstreamLookup(upstream);
  t.teardown(async () => {
    await upstream.destroy();
    await server.close();
  });
  const scrolls: readonly (readonly [name: string, reply: Reply, expected: unknown])[] = [
    ['one point matches', [200, '{"result":{"points":[{"id":1}],"next_page_offset":null}}'], 'match'],
    ['no point matches', [200, '{"result":{"points":[]}}'], 'no-match'],
    ['there is no such collection', [404, '{"status":{"error":"Not found"}}'], 'no-collection'],
    ['an answer without points is no answer', [200, '{"result":{}}'], UPSTREAM_BROKEN],
    ['points that are no list are no answer', [200, '{"result":{"points":{"length":1}}}'], UPSTREAM_BROKEN],
    ['text is no answer', [200, 'yes'], UPSTREAM_BROKEN],
    ['a refused filter is no answer', [400, '{"result":{"points":[{}]}}'], UPSTREAM_BROKEN],
    ['a fault is no answer', [500, ''], UPSTREAM_BROKEN],
  ];
  for (const [name, given, expected] of scrolls) {
    reply = given;
    t.strictSame(await lookup.scroll('p\u00e4 th', FILTER, NEVER), expected, name);
  }
  const [first] = server.received;
  t.strictSame([first?.method, first?.target], ['POST', '/collections/p%C3%A4%20th/points/scroll']);
  t.strictSame(JSON.parse(first?.body.toString() ?? ''), {
    limit: 1,
    with_payload: false,
    with_vector: false,
    filter: FILTER,
  });
  server.received.length = 0;
  for (const name of ['', '.', '..', 'a/b', 'a\0', '\ud800', 'x'.repeat(256)]) {
    t.equal(await lookup.scroll(name, FILTER, NEVER), 'no-collection', `\`${name.slice(0, 8)}\` is no name`);
  }
  t.equal(server.received.length, 0, 'and is not asked for');

  reply = [200, '{"result":{"collections":[{"name":"a"},{"name":"b"}]}}'];
  t.strictSame(await lookup.listCollections(NEVER), ['a', 'b']);
  reply = [200, '{"result":{"collections":[{"name":1}]}}'];
  t.strictSame(await lookup.listCollections(NEVER), UPSTREAM_BROKEN);
  const schema =
    '{"t":{"data_type":"keyword","params":{"type":"keyword","is_tenant":true}},"n":{"data_type":"integer","points":3}}';
  reply = [200, `{"result":{"payload_schema":${schema}}}`];
  t.strictSame(await lookup.collectionSettings('a b', NEVER), {
    indexes: new Map([
      ['t', { type: 'keyword', isTenant: true }],
      ['n', { type: 'integer', isTenant: false }],
    ]),
    hasShardKeys: false,
  });
  reply = [200, '{"result":{"payload_schema":{},"config":{"params":{"sharding_method":"custom"}}}}'];
  t.strictSame(await lookup.collectionSettings('a b', NEVER), { indexes: new Map(), hasShardKeys: true });
  t.equal(server.received.at(-1)?.target, '/collections/a%20b');
  reply = [200, '{"result":{}}'];
  t.strictSame(await lookup.collectionSettings('a', NEVER), UPSTREAM_BROKEN);
  reply = [404, '{}'];
  t.equal(await lookup.collectionSettings('a', NEVER), undefined);
  t.equal(await lookup.collectionSettings('a/b', NEVER), undefined);
  reply = [200, '{"title":"qdrant","version":"1.19.0"}'];
  t.equal(await lookup.version(NEVER), '1.19.0');

  reply = undefined;
  t.equal(await lookup.version(AbortSignal.timeout(50)), UPSTREAM_TIMEOUT, 'silence ends with the signal');
  t.equal(await lookup.version(AbortSignal.abort()), UPSTREAM_TIMEOUT, 'what is given up is not asked');
});

t.test('upstream does not listen', async (t) => {
  const server = await recordingUpstream();
  await server.close();
  const upstream = pool(server.port);
  t.teardown(() => upstream.destroy());
  t.equal(await createUpstreamLookup(upstream).scroll('a', FILTER, NEVER), UPSTREAM_UNREACHABLE);
});

t.test('upstream is up when it answers, whatever it says', async (t) => {
  let reply: Reply = [200, ''];
  const server = await recordingUpstream((_request, response) => {
    response.writeHead(reply[0], { 'content-type': 'application/json' }).end(reply[1]);
  });
  const upstream = pool(server.port);
  const lookup = createUpstreamLookup(upstream);
  t.teardown(async () => {
    await upstream.destroy();
    await server.close();
  });
  const cases: readonly (readonly [name: string, reply: Reply, expected: unknown])[] = [
    ['a release', [200, '{"version":"1.19.0"}'], true],
    ['an answer that is no release', [200, 'hello'], true],
    ['a route that is not there', [404, ''], true],
    ['a fault of its own', [500, ''], true],
    ['a proxy without an upstream', [502, ''], false],
    ['a proxy that has no room', [503, ''], false],
    ['a proxy that has waited', [504, ''], false],
  ];
  for (const [name, given, expected] of cases) {
    reply = given;
    t.strictSame(await lookup.answers(NEVER), expected, name);
  }
  const nobody = pool(1);
  t.teardown(() => nobody.destroy());
  t.strictSame(await createUpstreamLookup(nobody).answers(NEVER), UPSTREAM_UNREACHABLE, 'nobody listens');
});

t.test('a key is tried where it must manage everything, and once more if a proxy keeps that route', async (t) => {
  const replies = new Map<string, Reply>();
  const server = await recordingUpstream((request, response) => {
    const [status, text] = replies.get(request.url ?? '') ?? [404, ''];
    response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  });
  const upstream = pool(server.port);
  const lookup = createUpstreamLookup(upstream, () => upstreamCredential('the-key', false));
  t.teardown(async () => {
    await upstream.destroy();
    await server.close();
  });
  const access = '{"status":{"error":"Forbidden: Global manage access is required"},"time":0.0}';
  const cases: readonly (readonly [name: string, managed: Reply, listed: Reply | undefined, expected: unknown])[] = [
    ['a key that manages', [200, '{}'], undefined, 'accepted'],
    ['a release without the route', [404, ''], undefined, 'accepted'],
    ['a wrong key', [401, 'Invalid API key or JWT'], undefined, 'refused'],
    ['a key that only reads', [403, access], undefined, 'refused'],
    ['a proxy that keeps the route', [403, '<h1>no</h1>'], [200, '{"result":{"collections":[]}}'], 'accepted'],
    ['a proxy that refuses the key', [403, '{"error":"forbidden"}'], [403, '{"error":"forbidden"}'], 'refused'],
    ['a wrong key of an old release', [403, 'Invalid api-key'], [403, 'Invalid api-key'], 'refused'],
    ['a fault', [503, ''], undefined, UPSTREAM_BROKEN],
  ];
  for (const [name, managed, listed, expected] of cases) {
    replies.set('/debugger', managed);
    if (listed) replies.set('/collections', listed);
    server.received.length = 0;
    t.strictSame(await lookup.checkKey(NEVER), expected, name);
    t.equal(server.received.length, listed ? 2 : 1, `${name}: questions`);
    for (const { headers } of server.received) t.ok(headers.includes('the-key'), `${name}: with the key`);
  }
});

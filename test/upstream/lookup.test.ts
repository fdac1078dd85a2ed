import t from 'tap';
import { UPSTREAM_BROKEN, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE } from '../../src/policy/denial.ts';
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

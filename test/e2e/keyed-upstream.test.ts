import t, { type Test } from 'tap';
import { frameClient } from '../support/clients/raw-grpc.ts';
import { http1Client, http2Client, type RawClient } from '../support/clients/raw-http.ts';
import { message } from '../support/clients/unary.ts';
import { FakeKeys } from '../support/fake-qdrant/secured.ts';
import { KEYS, startGateway, type TestGateway } from '../support/gateway.ts';
import { startLoad } from '../support/load/steady.ts';
import { startOperated } from '../support/operated.ts';
import { FILE_MS } from '../support/patience.ts';
import { collectionToken, makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';

/** A Qdrant with keys of its own: it sees the gateway's key on every request, and nothing of the caller's. */

t.setTimeout(FILE_MS);
const UPSTREAM_KEY = 'key-of-qdrant-0123456789';
const LIST = collectionToken('r', 'books');
const EXISTS = makeToken({
  access: 'r',
  value_exists: { collection: 'books', matches: [{ key: 'kind', value: 'novel' }] },
});

type Answer = readonly [code: number, text: string];
type Way = (credential: string) => Promise<Answer>;

/** Clients with one connection each. */
function openClients(test: Test, gateway: TestGateway) {
  const clients = { http1: http1Client(gateway, 1), http2: http2Client(gateway), calls: frameClient(gateway) };
  test.teardown(() => {
    for (const { close } of Object.values(clients)) close();
  });
  return clients;
}

/** Every way from a client to upstream, with a credential that the gateway accepts there. */
async function openWays(
  test: Test,
  gateway: TestGateway,
): Promise<Readonly<Record<string, readonly [credential: string, way: Way]>>> {
  const { http1, http2, calls } = openClients(test, gateway);
  const over =
    (client: RawClient, target: string): Way =>
    async (credential) => {
      const headers = [
        ['authorization', `Bearer ${credential}`],
        ['api-key', credential],
      ] as const;
      const { status, text } = await client.send({ method: 'GET', target, headers });
      return [status, text];
    };
  const call =
    (method: string, bytes: Uint8Array): Way =>
    async (credential) => {
      const headers = [['api-key', credential]] as const;
      const { code, message: text } = await calls.call({ method, headers, message: Buffer.from(bytes) });
      return [code, text];
    };
  return {
    'the byte relay': [KEYS.admin, over(http1, '/collections/books/exists')],
    'the server over HTTP/1.1': [KEYS.admin, over(http1, '//collections/books/exists')],
    'plain requests over HTTP/2': [KEYS.admin, over(http2, '/collections/books/exists')],
    'the server over HTTP/2': [KEYS.admin, over(http2, '//collections/books/exists')],
    'a filtered list': [LIST, over(http1, '/collections')],
    'a filtered answer that needs the names': [LIST, over(http1, '/telemetry?details_level=3')],
    'a patched answer': [KEYS.readOnly, over(http1, '/telemetry')],
    'a look-up for a claim': [EXISTS, over(http1, '/collections/books/exists')],
    'a relayed call': [KEYS.admin, call('/qdrant.Collections/CollectionExists', message({ 1: 'books' }))],
    'a filtered list of gRPC': [LIST, call('/qdrant.Collections/List', new Uint8Array())],
  };
}

async function startKeyed(test: Test, keys: FakeKeys, settings: Readonly<Record<string, unknown>> = {}) {
  const gateway = await startGateway({
    upstream: { check: keys.check },
    settings: { 'gateway.upstream.api_key': UPSTREAM_KEY, ...settings },
  });
  test.teardown(() => gateway.close());
  const { store } = gateway.upstream;
  await fetch(`${gateway.upstream.restUrl}/collections/books`, {
    method: 'PUT',
    headers: { 'api-key': UPSTREAM_KEY, 'content-type': 'application/json' },
    body: '{"vectors":{"size":1,"distance":"Dot"}}',
  });
  await fetch(`${gateway.upstream.restUrl}/collections/books/points?wait=true`, {
    method: 'PUT',
    headers: { 'api-key': UPSTREAM_KEY, 'content-type': 'application/json' },
    body: '{"points":[{"id":1,"vector":[1],"payload":{"kind":"novel"}}]}',
  });
  test.ok(store.collections.has('books'), 'there is a collection');
  gateway.upstream.recorder.clear();
  return gateway;
}

/** The credentials in what upstream received. */
function credentialsSeen({ upstream: { recorder } }: TestGateway): readonly string[] {
  const heads = [
    ...recorder.rest.map(({ rawHeaders }) => rawHeaders),
    ...recorder.grpc.map(({ metadata }) => metadata),
  ];
  return heads.map((head) => {
    const shown: string[] = [];
    for (let at = 0; at + 1 < head.length; at += 2) {
      const name = head[at]?.toLowerCase() ?? '';
      if (name === 'api-key' || name === 'authorization') shown.push(`${name}: ${head[at + 1]}`);
    }
    return shown.join(', ');
  });
}

t.test('every way to upstream carries the key of the gateway, and nothing of the caller', async (test) => {
  const gateway = await startKeyed(test, new FakeKeys(UPSTREAM_KEY));
  const ways = await openWays(test, gateway);
  for (const [name, [credential, way]] of Object.entries(ways)) {
    gateway.upstream.recorder.clear();
    const [code, text] = await way(credential);
    test.ok(code === 200 || code === 0, `${name} is served`, { code, text });
    // Twice: what is prepared once is the same the second time.
    await way(credential);
    const seen = credentialsSeen(gateway);
    test.ok(seen.length >= 2, `${name} reaches upstream`);
    test.same([...new Set(seen)], [`api-key: ${UPSTREAM_KEY}`], `${name} shows the key of the gateway only`);
  }
});

t.test('a key that upstream refuses is a fault of the server on every way, never of the credential', async (test) => {
  const keys = new FakeKeys(UPSTREAM_KEY);
  const gateway = await startKeyed(test, keys);
  const ways = await openWays(test, gateway);
  keys.manage.clear();
  for (const [name, [credential, way]] of Object.entries(ways)) {
    const [code, text] = await way(credential);
    test.ok(code === 502 || code === 14, `${name}: 502 or UNAVAILABLE`, { code, text });
    test.match(text, 'upstream refuses the key of the gateway', name);
    const [denied] = await way('wrong');
    test.ok(denied === 401 || denied === 16, `${name}: a wrong credential is still one of the caller`, { denied });
  }
  keys.manage.add(UPSTREAM_KEY);
  for (const [name, [credential, way]] of Object.entries(ways)) {
    const [code] = await way(credential);
    test.ok(code === 200 || code === 0, `${name} is served again`, { code });
  }
});

t.test('with a key that only reads, a write is a fault of the server, too', async (test) => {
  const keys = new FakeKeys(UPSTREAM_KEY);
  const gateway = await startKeyed(test, keys);
  keys.manage.clear();
  keys.read.add(UPSTREAM_KEY);
  const { http1, http2, calls } = openClients(test, gateway);
  const headers = [['api-key', KEYS.admin]] as const;
  for (const [name, client] of Object.entries({ http1, http2 })) {
    for (const target of ['/collections/books/points', '//collections/books/points']) {
      const { status, text } = await client.send({ method: 'PUT', target, headers, body: '{"points":[]}' });
      test.equal(status, 502, `${name} ${target}`);
      test.match(text, 'upstream refuses the key of the gateway', `${name} ${target}`);
    }
    const { status } = await client.send({ method: 'GET', target: '/collections/books', headers });
    test.equal(status, 200, `${name}: reads are served`);
  }
  const { code } = await calls.call({
    ...{ method: '/qdrant.Points/Upsert', headers, message: Buffer.from(message({ 1: 'books' })) },
  });
  test.equal(code, 14, 'gRPC');
});

const ELSE_403 = '{"status":{"error":"Forbidden: Snapshot recovery from remote URLs is disabled"},"time":0.0}';

t.test('a 403 that is about something else reaches the caller as it is', async (test) => {
  const gateway = await startGateway({
    settings: { 'gateway.upstream.api_key': UPSTREAM_KEY },
    upstream: {
      onRest: ({ method }, response) => {
        if (method !== 'PUT') return false;
        response.writeHead(403, { 'content-type': 'application/json' }).end(ELSE_403);
        return true;
      },
    },
  });
  test.teardown(() => gateway.close());
  const { http1, http2 } = openClients(test, gateway);
  const headers = [['api-key', KEYS.admin]] as const;
  for (const [name, client] of Object.entries({ http1, http2 })) {
    for (const target of ['/collections/books/snapshots/recover', '//collections/books/snapshots/recover']) {
      const answer = await client.send({ method: 'PUT', target, headers, body: '{"location":"http://a/b"}' });
      test.same(answer, { status: 403, contentType: 'application/json', text: ELSE_403 }, `${name} ${target}`);
    }
  }
});

t.test('the key of upstream is replaced under load, on open connections, and no request fails', async (test) => {
  const keys = new FakeKeys(UPSTREAM_KEY);
  const gateway = await startOperated({
    upstream: { check: keys.check },
    files: { 'upstream.key': `${UPSTREAM_KEY}\n` },
    settings: { 'gateway.upstream.api_key_file': 'upstream.key' },
  });
  test.teardown(() => gateway.close());
  const load = await startLoad(gateway, KEYS.admin);
  await load.round();
  const next = 'next-key-of-qdrant-0123456789';
  keys.manage.add(next);
  gateway.write('upstream.key', next);
  const { recorder } = gateway.upstream;
  await until(() => recorder.rest.some(({ rawHeaders }) => rawHeaders.includes(next)), 'the next key is sent');
  await load.round();
  keys.manage.delete(UPSTREAM_KEY);
  const connections = recorder.openConnections;
  recorder.clear();
  await load.round();
  const { served, wrong } = await load.stop();
  test.same(wrong, [], 'no request failed');
  test.same([...new Set(credentialsSeen(gateway))], [`api-key: ${next}`], 'only the next key is sent in the end');
  test.ok(connections > 0 && recorder.connections.grpc === 0, 'the connections to upstream stayed');
  test.comment(JSON.stringify(served));
});

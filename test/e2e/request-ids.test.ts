import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Flag, FrameType } from '../../src/http2/frames.ts';
import { H2Client, naming } from '../support/clients/h2-client.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { openHttp2 } from '../support/clients/sockets.ts';
import { KEYS, type RunningGateway, startGateway } from '../support/gateway.ts';
import { collectionToken } from '../support/tokens.ts';

/*
 * Beyond what Qdrant answers, every refusal says the id of its request in one more header, and with an audit so does every answer. Status, other headers and body
 * are Qdrant's.
 */

const FRESH = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function overHttp2(gateway: RunningGateway, headers: Record<string, string>): Promise<string> {
  const session = await openHttp2(gateway.rest.port, gateway.ca);
  const stream = session.request({ ':path': '/collections/a', ...headers });
  const { promise, resolve } = Promise.withResolvers<string>();
  stream.on('response', (received) => resolve(String(received['x-request-id'])));
  stream.resume().end();
  const id = await promise;
  session.close();
  return id;
}

async function overGrpc(gateway: RunningGateway, headers: readonly (readonly [string, string])[]): Promise<string> {
  const client = await H2Client.connect(gateway.grpc.port, { ca: gateway.ca });
  client.call(1, '/qdrant.Collections/Get', naming('a'), headers);
  const trailers = await client.until((frames) => frames.find(({ headers }) => headers['grpc-status'] !== undefined));
  client.close();
  return trailers.headers['x-request-id'] ?? '';
}

/** The id in the first block of the answer to a call. */
async function grpcId(
  gateway: RunningGateway,
  path: string,
  message: Buffer,
  key: string,
): Promise<string | undefined> {
  const client = await H2Client.connect(gateway.grpc.port, { ca: gateway.ca });
  client.call(1, path, message, [['api-key', key]]);
  const ids = await client.until((frames) => {
    const blocks = frames.filter(({ type }) => type === FrameType.HEADERS);
    return blocks.some(({ flags }) => (flags & Flag.END_STREAM) !== 0)
      ? blocks.map(({ headers }) => headers['x-request-id'])
      : undefined;
  });
  client.close();
  return ids.filter((id) => id !== undefined).join();
}

t.test('every refusal says the id of its request', async (t) => {
  const gateway = await startGateway();
  t.teardown(() => gateway.close());
  const cases: readonly (readonly [
    name: string,
    method: string,
    path: string,
    key: string | undefined,
    status: number,
    body: string,
  ])[] = [
    [
      'no credential',
      'GET',
      '/collections/a',
      undefined,
      401,
      'Must provide an API key or an Authorization bearer token',
    ],
    ['a wrong one', 'GET', '/collections/a', 'wrong', 401, 'Invalid API key or JWT'],
    [
      'too little access',
      'DELETE',
      '/collections/a',
      KEYS.readOnly,
      403,
      '{"status":{"error":"Forbidden: Global manage access is required"},"time":0.0}',
    ],
    [
      'bare text',
      'POST',
      '/collections/a/snapshots/upload',
      KEYS.readOnly,
      403,
      'Forbidden: Global manage access is required',
    ],
    ['an unknown route', 'GET', '/nowhere', KEYS.readOnly, 404, ''],
  ];
  for (const [name, method, path, key, status, body] of cases) {
    const headers = key === undefined ? {} : { 'api-key': key };
    const fresh = await ask(gateway, method, path, headers);
    t.strictSame([fresh.status, fresh.body], [status, body], `${name}: as Qdrant`);
    t.match(fresh.headers['x-request-id'], FRESH, `${name}: a fresh id`);
    const given = await ask(gateway, method, path, { ...headers, 'x-request-id': 'client-1' });
    t.equal(given.headers['x-request-id'], 'client-1', `${name}: the client's id`);
    const odd = await ask(gateway, method, path, { ...headers, 'x-request-id': 'a b"c', 'x-tracing-id': 't-1' });
    t.equal(odd.headers['x-request-id'], 't-1', `${name}: one that is not well-formed is not repeated`);
  }
  t.match(await overHttp2(gateway, {}), FRESH, 'HTTP/2');
  t.equal(await overHttp2(gateway, { 'x-request-id': 'client-2' }), 'client-2');
  t.match(await overGrpc(gateway, []), FRESH, 'gRPC');
  t.equal(await overGrpc(gateway, [['x-request-id', 'client-3']]), 'client-3');
});

t.test('without an audit, answers of upstream carry none of ours', async (t) => {
  const gateway = await startGateway();
  t.teardown(() => gateway.close());
  const { status, headers } = await ask(gateway, 'GET', '/collections', {
    'api-key': KEYS.admin,
    'x-request-id': 'r-1',
  });
  t.strictSame([status, headers['x-request-id']], [200, undefined]);
});

t.test('with an audit, every answer says the id that is in the log, on every way', async (t) => {
  const dir = t.testdir();
  const gateway = await startGateway({ settings: { 'audit.enabled': true, 'audit.dir': dir } });
  const admin = { 'api-key': KEYS.admin };
  const scoped = { 'api-key': collectionToken('r', 'a') };
  const grpc = (path: string, key: string, message = naming('a')) => grpcId(gateway, path, message, key);
  const ways: readonly (readonly [name: string, ask: () => Promise<unknown>])[] = [
    ['HTTP/1.1', async () => (await ask(gateway, 'GET', '/collections/a', admin)).headers['x-request-id']],
    [
      'HTTP/1.1, the same head again',
      async () => (await ask(gateway, 'GET', '/collections/a', admin)).headers['x-request-id'],
    ],
    [
      'HTTP/1.1, by the server',
      async () =>
        (await ask(gateway, 'GET', '/collections/a', { ...admin, 'x-lane': '1', connection: 'close, x-lane' })).headers[
          'x-request-id'
        ],
    ],
    [
      'HTTP/1.1, a filtered list',
      async () => (await ask(gateway, 'GET', '/collections', scoped)).headers['x-request-id'],
    ],
    ['HTTP/2', () => overHttp2(gateway, admin)],
    ['HTTP/2, by the server', () => overHttp2(gateway, { ...admin, 'content-encoding': 'identity' })],
    ['HTTP/2, refused', () => overHttp2(gateway, {})],
    ['gRPC', () => grpc('/qdrant.Collections/Get', KEYS.admin)],
    ['gRPC, a filtered list', () => grpc('/qdrant.Collections/List', scoped['api-key'], Buffer.alloc(0))],
    ['gRPC, refused', () => grpc('/qdrant.Collections/Get', 'wrong')],
  ];
  const told: (readonly [string, unknown])[] = [];
  for (const [name, way] of ways) told.push([name, await way()]);
  const own = await ask(gateway, 'GET', '/collections/a', { ...admin, 'x-request-id': 'r-1' });
  told.push(['the id of the client', own.headers['x-request-id']]);
  await gateway.close();
  const [file = ''] = readdirSync(dir);
  const events = readFileSync(join(dir, file), 'utf8').trim().split('\n');
  const logged = events.map((line) => JSON.parse(line).tracing_id);
  t.strictSame(
    told,
    told.map(([name], at) => [name, logged[at]]),
  );
  t.equal(new Set(logged).size, ways.length + 1, 'each request has an id of its own');
});

t.test('with an audit, an id of ours goes upstream where it costs no head of its own', async (t) => {
  const dir = t.testdir();
  const settings = { 'audit.enabled': true, 'audit.dir': dir };
  const gateway = await startGateway({ settings });
  const idsUpstream = (): readonly (string | undefined)[] =>
    gateway.upstream.recorder.rest.map(({ rawHeaders }) => {
      const at = rawHeaders.findIndex((part, index) => index % 2 === 0 && part.toLowerCase() === 'x-request-id');
      return at === -1 ? undefined : rawHeaders[at + 1];
    });
  await ask(gateway, 'GET', '/collections/a', { 'api-key': KEYS.admin });
  await overHttp2(gateway, { 'api-key': KEYS.admin });
  await overHttp2(gateway, { 'api-key': KEYS.admin, 'content-encoding': 'identity' });
  await ask(gateway, 'GET', '/collections/a', { 'api-key': KEYS.admin, 'x-request-id': 'r-1' });
  const [relayed, overFrames, byServer, given] = idsUpstream();
  await gateway.close();
  const [file = ''] = readdirSync(dir);
  const logged = readFileSync(join(dir, file), 'utf8').trim().split('\n');
  const ids = logged.map((line) => JSON.parse(line).tracing_id);
  t.strictSame([relayed, overFrames], [undefined, undefined], 'a head that is relayed is made once for all like it');
  t.match(byServer, FRESH);
  t.equal(byServer, ids[2], 'the id in the log is the one upstream heard');
  t.equal(given, 'r-1');
});

t.test('telemetry says how the audit is kept, and only then', async (t) => {
  const dir = t.testdir();
  const audited = await startGateway({
    settings: { 'audit.enabled': true, 'audit.dir': dir, 'audit.rotation': 'hourly' },
  });
  const plain = await startGateway();
  t.teardown(() => Promise.all([audited.close(), plain.close()]));
  const auditOf = async (gateway: RunningGateway): Promise<unknown> => {
    const { body } = await ask(gateway, 'GET', '/telemetry', { 'api-key': KEYS.admin });
    return JSON.parse(body).result.app.audit;
  };
  t.strictSame(await auditOf(audited), {
    dir,
    rotation: 'hourly',
    max_log_files: 7,
    trust_forwarded_headers: false,
    log_api: true,
  });
  t.equal(await auditOf(plain), undefined);
});

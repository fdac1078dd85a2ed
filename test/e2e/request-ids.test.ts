import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { H2Client, naming } from '../support/clients/h2-client.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { openHttp2 } from '../support/clients/sockets.ts';
import { KEYS, type RunningGateway, startGateway } from '../support/gateway.ts';

/*
 * Beyond what Qdrant answers, every refusal says the id of its request in one more header. Status, other headers and body
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

t.test('answers of upstream carry none of ours', async (t) => {
  const gateway = await startGateway();
  t.teardown(() => gateway.close());
  const { status, headers } = await ask(gateway, 'GET', '/collections', {
    'api-key': KEYS.admin,
    'x-request-id': 'r-1',
  });
  t.strictSame([status, headers['x-request-id']], [200, undefined]);
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

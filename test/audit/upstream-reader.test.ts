import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ask } from '../support/clients/raw-rest.ts';
import { openHttp2 } from '../support/clients/sockets.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { KEYS, startGateway, type TestGateway } from '../support/gateway.ts';
import { collectionToken } from '../support/tokens.ts';

/*
 * What reads the audit log of Qdrant v1.19.0 reads this one: it finds the files by their names and dates, takes the entries
 * line by line, and every member it knows has the value that Qdrant would have written.
 */

/** Files of the form that Qdrant's own reader knows the time span of. */
const DATED = /^audit\.\d{4}-\d{2}-\d{2}(?:-(?:[01]\d|2[0-3]))?\.log$/;
/** Its members, in the order it writes them. */
const MEMBERS = [
  ...['timestamp', 'method', 'api', 'auth_type', 'subject', 'remote', 'collection', 'tracing_id', 'result', 'error'],
];
const AUTH_TYPES = ['None', 'ApiKey', 'Jwt', 'Internal'];

type Entry = Readonly<Record<string, string>>;

/** The entries as such a reader has them: its own members alone, the moment apart. */
function readAs(t: Test, dir: string): readonly Entry[] {
  return readdirSync(dir).flatMap((name) => {
    t.match(name, DATED);
    const lines = readFileSync(join(dir, name), 'utf8').trimEnd().split('\n');
    return lines.map((line) => {
      const event: Record<string, string> = JSON.parse(line);
      const known = Object.keys(event).filter((key) => MEMBERS.includes(key));
      t.strictSame(
        known,
        MEMBERS.filter((key) => key in event),
        'its order',
      );
      t.match(event.timestamp, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
      t.ok(AUTH_TYPES.includes(event.auth_type ?? ''), 'a kind of authentication it knows');
      return Object.fromEntries(known.flatMap((key) => (key === 'timestamp' ? [] : [[key, event[key] ?? '']])));
    });
  });
}

async function askHttp2(gateway: TestGateway, path: string): Promise<void> {
  const session = await openHttp2(gateway.rest.port, gateway.ca);
  const stream = session.request({ ':path': path, 'api-key': KEYS.admin, 'x-request-id': 'h2' });
  stream.resume().end();
  await new Promise((resolve) => stream.on('close', resolve));
  session.destroy();
}

async function requests(gateway: TestGateway): Promise<void> {
  const token = collectionToken('r', 'a');
  await ask(gateway, 'GET', '/collections/a?x=1', { 'api-key': KEYS.admin, 'x-request-id': 'relayed' });
  await ask(gateway, 'GET', '/collections/%61', { authorization: `Bearer ${token}`, 'x-request-id': 'escaped' });
  await askHttp2(gateway, '/collections/a/exists');
  await ask(gateway, 'GET', '/collections/b', { 'api-key': token, 'x-request-id': 'other' });
  await ask(gateway, 'GET', '/collections', { 'x-request-id': 'nobody' });
  const client = rawClient(gateway);
  const get = '/qdrant.Collections/Get';
  await unary(client, get, message({ 1: 'a' }), { 'api-key': KEYS.readOnly, 'x-request-id': 'grpc' });
  await unary(client, get, message({ 1: 'b' }), { 'api-key': token, 'x-request-id': 'grpc-other' });
  await unary(client, get, message({ 1: 'a' }), { 'api-key': 'wrong', 'x-request-id': 'grpc-no-credential' });
  client.close();
}

const REMOTE = { remote: '127.0.0.1' };
const TOKEN = { auth_type: 'Jwt', ...REMOTE };
const NOBODY = { auth_type: 'None', ...REMOTE, result: 'denied' };
const GET = 'get_collection';
const ENTRIES: readonly Entry[] = [
  {
    ...{ method: GET, api: '/collections/a', auth_type: 'ApiKey', ...REMOTE },
    ...{ collection: 'a', tracing_id: 'relayed', result: 'ok' },
  },
  { method: GET, api: '/collections/%61', ...TOKEN, collection: 'a', tracing_id: 'escaped', result: 'ok' },
  {
    ...{ method: 'collection_exists', api: '/collections/a/exists', auth_type: 'ApiKey', ...REMOTE },
    ...{ collection: 'a', tracing_id: 'h2', result: 'ok' },
  },
  {
    ...{ method: GET, api: '/collections/b', ...TOKEN, collection: 'b', tracing_id: 'other' },
    ...{ result: 'denied', error: 'Forbidden: Access to collection b is required' },
  },
  {
    ...{ api: '/collections', ...NOBODY, tracing_id: 'nobody' },
    error: 'Unauthorized: Must provide an API key or an Authorization bearer token',
  },
  {
    ...{ method: GET, api: '/qdrant.Collections/Get', auth_type: 'ApiKey', ...REMOTE },
    ...{ collection: 'a', tracing_id: 'grpc', result: 'ok' },
  },
  {
    ...{ method: GET, api: '/qdrant.Collections/Get', ...TOKEN, collection: 'b', tracing_id: 'grpc-other' },
    ...{ result: 'denied', error: 'Forbidden: Access to collection b is required' },
  },
  {
    ...{ api: '/qdrant.Collections/Get', ...NOBODY, tracing_id: 'grpc-no-credential' },
    error: 'Unauthorized: Invalid API key or JWT',
  },
];

for (const relay of [true, false]) {
  t.test(`what reads Qdrant's audit log reads this one, REST ${relay ? 'relayed' : 'by Fastify'}`, async (t) => {
    const dir = t.testdir();
    const settings = { 'audit.enabled': true, 'audit.dir': dir, 'gateway.rest.relay': relay };
    const gateway = await startGateway({ settings });
    await requests(gateway);
    await gateway.close();
    t.strictSame(readAs(t, dir), ENTRIES);
  });
}

t.test('without `log_api` the path stands where a credential was refused, as in Qdrant', async (t) => {
  const dir = t.testdir();
  const gateway = await startGateway({
    settings: { 'audit.enabled': true, 'audit.dir': dir, 'audit.log_api': false, 'audit.rotation': 'hourly' },
  });
  await requests(gateway);
  await gateway.close();
  t.strictSame(
    readAs(t, dir).map(({ api }) => api),
    ENTRIES.map(({ api, method }) => (method === undefined ? api : undefined)),
  );
});

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { rawClient, unary } from '../support/clients/unary.ts';
import { type FakeQdrant, startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { collectionToken } from '../support/tokens.ts';

/* An upstream behind unix sockets, on every lane. */

const folder = mkdtempSync(join(tmpdir(), 'unix-upstream-'));
t.teardown(() => rmSync(folder, { recursive: true }));

/** A unix socket in front of a port of loopback. */
async function unixBefore(url: string, path: string): Promise<Server> {
  const port = Number(url.split(':')[2]);
  const server = createServer((socket) => {
    const behind = connect(port, '127.0.0.1');
    socket.on('error', () => behind.destroy()).on('close', () => behind.destroy());
    behind.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    socket.pipe(behind).pipe(socket);
  });
  server.listen(path);
  await once(server, 'listening');
  return server;
}

async function unixQdrant(): Promise<FakeQdrant> {
  const qdrant = await startFakeQdrant();
  const rest = await unixBefore(qdrant.restUrl, join(folder, 'rest.sock'));
  const grpc = await unixBefore(qdrant.grpcUrl, join(folder, 'grpc.sock'));
  t.teardown(async () => {
    await qdrant.close();
    rest.close();
    grpc.close();
  });
  return qdrant;
}

const settings = {
  'gateway.upstream.rest_url': `unix:${join(folder, 'rest.sock')}`,
  'gateway.upstream.grpc_url': `unix:${join(folder, 'grpc.sock')}`,
};

t.test('requests reach an upstream behind unix sockets', async (t) => {
  const qdrant = await unixQdrant();
  const gateway = await startGateway({ tls: false, settings });
  t.teardown(() => gateway.close());
  qdrant.recorder.clear();
  const get = async (path: string, key: string): Promise<unknown> => {
    const answer = await fetch(`http://127.0.0.1:${gateway.rest.port}${path}`, { headers: { 'api-key': key } });
    return answer.status === 200 ? await answer.json() : answer.status;
  };
  t.match(await get('/collections', KEYS.admin), { result: { collections: [] } }, 'the relay');
  t.equal(await get('/collections', 'wrong'), 401);
  t.match(await get('/collections', collectionToken('r', 'a')), { result: { collections: [] } }, 'the server');
  const client = rawClient(gateway);
  t.teardown(() => client.close());
  t.match(await unary(client, '/qdrant.Collections/List', Buffer.alloc(0), { 'api-key': KEYS.admin }), { code: 0 });
  t.match(await unary(client, '/qdrant.Collections/List', Buffer.alloc(0), { 'api-key': 'wrong' }), { code: 16 });
  const scoped = { 'api-key': collectionToken('r', 'a') };
  t.match(await unary(client, '/qdrant.Collections/List', Buffer.alloc(0), scoped), { code: 0 }, 'its own calls');
  t.strictSame(
    qdrant.recorder.rest.map(({ rawHeaders }) => rawHeaders.slice(0, 2).join(': ').toLowerCase()),
    ['host: localhost', 'host: localhost'],
  );
  t.equal(qdrant.recorder.grpc.length, 2);
});

t.test('a socket without a listener is an upstream that cannot be reached', async (t) => {
  const unheard = `unix:${join(folder, 'nobody.sock')}`;
  const none = { 'gateway.upstream.rest_url': unheard, 'gateway.upstream.grpc_url': unheard };
  const gateway = await startGateway({ tls: false, settings: none });
  t.teardown(() => gateway.close());
  const headers = { 'api-key': KEYS.admin };
  t.equal((await fetch(`http://127.0.0.1:${gateway.rest.port}/collections`, { headers })).status, 502);
  const client = rawClient(gateway);
  t.teardown(() => client.close());
  t.match(await unary(client, '/qdrant.Collections/List', Buffer.alloc(0), headers), { code: 14 });
});

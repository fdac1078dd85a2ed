import type { ServerResponse } from 'node:http';
import t from 'tap';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { writeHeaders } from '../../src/http2/write-frames.ts';
import { Guard } from '../../src/lifetime/guard.ts';
import { UpstreamPlaces } from '../../src/rest/http2/upstream-places.ts';
import { type Share, Shares } from '../../src/upstream/shares.ts';
import { recordingUpstream, startGateway, testCertificate } from '../rest/lane-fixture.ts';
import { H2Client } from '../support/clients/h2-client.ts';
import { outcome, restFields } from '../support/invariants-http2.ts';
import { until } from '../support/until.ts';

/*
 * One HTTP/2 connection has as many requests open as hundreds of HTTP/1.1 connections. Connections to upstream were one pool
 * for all: a client with one connection, or three without a credential, kept all others waiting, health probes included.
 */

const CONNECTIONS = 32;
const { issuer, ...tls } = await testCertificate();
const held: ServerResponse[] = [];
const upstream = await recordingUpstream((request, response) => {
  if (request.url?.includes('slow') || request.url?.startsWith('/dashboard')) held.push(response);
  else response.end('{"result":{"collections":[]},"status":"ok","time":0}');
});
const gateway = await startGateway(upstream.port, {
  tls,
  relayed: true,
  upstreamConnections: CONNECTIONS,
  upstreamOptions: { connections: CONNECTIONS },
});
t.teardown(async () => {
  for (const response of held) response.destroy();
  await gateway.close();
  await upstream.close();
});

const open = () => H2Client.connect(gateway.port, { ca: Buffer.from(issuer) });
const field = (name: string, value: string): HeaderField => [name, value];

/** Opens so many streams with one request. @param ends without a body */
function openMany(client: H2Client, count: number, fields: readonly HeaderField[], ends = true): void {
  const block = encodeHeaders([...fields]);
  client.send(...Array.from({ length: count }, (_, index) => writeHeaders(2 * index + 1, block, ends)));
}

async function served(path: string, key?: string): Promise<string> {
  const client = await open();
  client.send(writeHeaders(1, encodeHeaders(restFields(path, key ? [field('api-key', key)] : [])), true));
  const came = await outcome(client, 1);
  client.socket.destroy();
  return came;
}

async function release(): Promise<void> {
  for (const response of held.splice(0)) response.end('{}');
  await until(() => gateway.upstream.size() === 0, 'nothing is under way');
}

t.test('plain requests of one connection leave others their own connections upstream', async (t) => {
  const client = await open();
  openMany(client, 3 * CONNECTIONS, restFields('/collections/slow', [field('api-key', 'main')]));
  await until(() => held.length === CONNECTIONS, 'as many as one client may have are upstream');
  t.equal(await served('/collections/a', 'main'), 'status 200', 'plain');
  t.equal(await served('/collections', 'listA'), 'status 200', 'filtered');
  t.equal(held.length, CONNECTIONS, 'and no more of them');
  // Those that wait come in their turn.
  while (held.length > 0) await release();
  await until(() => {
    for (const response of held.splice(0)) response.end('{}');
    return [1, 3, 6 * CONNECTIONS - 1].every((id) =>
      client.frames.some(({ streamId, type }) => streamId === id && type === 1),
    );
  }, 'all are answered');
  client.socket.destroy();
});

t.test(
  'requests of the server transport of one connection leave others three quarters of its connections',
  async (t) => {
    const client = await open();
    const coded = [field('api-key', 'main'), field('content-encoding', 'identity')];
    openMany(client, 3 * CONNECTIONS, restFields('/collections/slow', coded));
    await until(() => held.length === CONNECTIONS / 4, 'its share is upstream');
    t.equal(await served('/collections', 'listA'), 'status 200', 'filtered');
    t.equal(held.length, CONNECTIONS / 4);
    client.socket.destroy();
    await until(() => gateway.upstream.size() === 0, 'what waited is left out when its client has gone');
    held.length = 0;
  },
);

t.test('strangers share a quarter, and probes of health do not wait for them', async (t) => {
  const strangers = await Promise.all([open(), open(), open()]);
  for (const client of strangers) openMany(client, CONNECTIONS, restFields('/dashboard/app.js'));
  await until(() => held.length === CONNECTIONS / 4, 'their share is upstream');
  t.equal(await served('/healthz'), 'status 200', 'health');
  t.equal(await served('/collections', 'listA'), 'status 200', 'a known caller');
  for (const client of strangers) client.socket.destroy();
  await until(() => gateway.upstream.size() === 0, 'nothing is under way');
  held.length = 0;
});

t.test('the body of an open operation is not waited for', async (t) => {
  const strangers = await Promise.all([open(), open(), open()]);
  const fields = restFields('/healthz', [field('content-length', '1000')]);
  for (const client of strangers) openMany(client, CONNECTIONS, fields, false);
  for (const client of strangers) t.equal(await outcome(client, 2 * CONNECTIONS - 1), 'status 200');
  await until(() => gateway.upstream.size() === 0, 'none of them keeps a connection upstream');
  t.notOk(
    upstream.received.some(({ headers }) => headers.includes('content-length')),
    'nor is it announced there',
  );
  for (const client of strangers) client.socket.destroy();
});

t.test('a share has an order, and leaves out what is not wanted any more', async (t) => {
  const shares = new Shares();
  const begun: string[] = [];
  const leaves = new Map<string, () => void>();
  const unwanted = new Set(['c']);
  const guard = new Guard({ fail: () => undefined, cut: () => undefined }, 'exchange', (error) =>
    t.fail(String(error)),
  );
  const enter = (name: string): boolean => {
    const share: Share = {
      ...{ owner: 'one', most: 2, mostWaiting: 32, guard },
      isWanted: () => !unwanted.has(name),
      entered: (leave) => leaves.set(name, leave),
    };
    return shares.enter(share, () => begun.push(name));
  };
  for (const name of ['a', 'b', 'c', 'd', 'e']) t.equal(enter(name), true);
  t.strictSame([begun, shares.waiting], [['a', 'b'], 3]);
  leaves.get('a')?.();
  t.strictSame(begun, ['a', 'b'], 'not in the stack of the one that left');
  await until(() => begun.length === 3, 'the next one that is wanted');
  t.strictSame([begun, shares.waiting], [['a', 'b', 'd'], 1]);
  for (let more = 0; shares.waiting < 32; more += 1) enter(`more ${more}`);
  t.equal(enter('too many'), false, 'a bound on those that wait');
});

t.test('places of a connection go from one request to the next', async (t) => {
  const places = new UpstreamPlaces(1);
  const placed: string[] = [];
  const waiter = (name: string, isWaiting = true) => ({ isWaiting, placed: () => void placed.push(name) });
  t.equal(places.take(waiter('a')), true);
  for (const one of [waiter('gone', false), waiter('b'), waiter('c')]) t.equal(places.take(one), false);
  places.leave();
  t.strictSame(placed, ['b']);
  places.leave();
  t.strictSame(placed, ['b', 'c']);
  places.leave();
  t.equal(places.take(waiter('d')), true);
});

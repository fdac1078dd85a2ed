import { readdirSync, readFileSync } from 'node:fs';
import type { ClientHttp2Session } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Client } from '@grpc/grpc-js';
import t from 'tap';
import type { AuditEvent } from '../../src/audit/event.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { openHttp2, openTls } from '../support/clients/sockets.ts';
import { message, metadataOf, rawClient, same, unary } from '../support/clients/unary.ts';
import type { FakeQdrantOptions } from '../support/fake-qdrant/main.ts';
import { KEYS, startGateway, type TestGateway } from '../support/gateway.ts';
import { collectionToken } from '../support/tokens.ts';
import { parseLines, until } from './fixture.ts';

/*
 * Every decided request leaves one event, whatever becomes of it. Each request has an id of its own, and the ids in the
 * log are the ids that were sent: none is missing, none is there twice.
 */

/** Each kind of request, what its event has to say, and how many there are. */
type Expected = Pick<AuditEvent, 'result' | 'status'>;
const ROUNDS = 12;

/** Upstream that breaks off, holds or answers badly, by path. */
const upstream: FakeQdrantOptions = {
  onRest: (request, response) => {
    const path = request.url ?? '';
    if (path.includes('/collections/dies')) response.socket?.destroy();
    else if (path.includes('/collections/half')) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"half":', () => response.socket?.destroy());
    } else return path.includes('/collections/hangs');
    return true;
  },
  onGrpc: (stream, headers) => {
    if (headers['x-what'] === 'reset') stream.close(2);
    else if (headers['x-what'] === 'dies') stream.session?.destroy();
    else return headers['x-what'] === 'hangs';
    return true;
  },
};

class Load {
  readonly expected = new Map<string, Expected>();
  readonly #gateway: TestGateway;
  readonly #tokenA = collectionToken('r', 'a');
  #number = 0;

  constructor(gateway: TestGateway) {
    this.#gateway = gateway;
  }

  id(result: Expected['result'], status: number | undefined): string {
    this.#number += 1;
    const id = `load-${this.#number}`;
    this.expected.set(id, { result, status });
    return id;
  }

  async rest(
    result: Expected['result'],
    status: number,
    request: readonly [method: string, path: string, key?: string, body?: string],
  ) {
    const [method, path, key, body] = request;
    const headers = { 'x-request-id': this.id(result, status), ...(key ? { 'api-key': key } : {}) };
    await ask(this.#gateway, method, path, headers, body).catch(() => undefined);
  }

  /** Over HTTP/2, which the relay does not take. */
  async http2(session: ClientHttp2Session, result: Expected['result'], status: number, path: string, key: string) {
    const stream = session.request({ ':path': path, 'api-key': key, 'x-request-id': this.id(result, status) });
    stream.resume().end();
    await new Promise((resolve) => stream.on('close', resolve).on('error', resolve));
  }

  async grpc(
    client: Client,
    result: Expected['result'],
    status: number | undefined,
    path: string,
    name: string,
    headers: Record<string, string>,
  ) {
    const id = this.id(result, status);
    await unary(client, path, message({ 1: name }), { 'x-request-id': id, ...headers });
  }

  /** A client that leaves while upstream holds its request. */
  async leaves(): Promise<void> {
    const { rest, ca, upstream } = this.#gateway;
    const id = this.id('ok', undefined);
    const socket = await openTls(rest.port, { ca });
    const head = `POST /collections/hangs/points/query HTTP/1.1\r\nhost: x\r\napi-key: ${KEYS.admin}\r\nx-request-id: ${id}\r\n`;
    socket.on('error', () => undefined).write(`${head}content-length: 10\r\n\r\n{}`);
    await until(() => upstream.recorder.rest.some(({ rawHeaders }) => rawHeaders.includes(id)));
    socket.destroy();
  }

  /** A client that leaves in the middle of a body that has to be judged. */
  async leavesUndecided(): Promise<void> {
    const { rest, ca } = this.#gateway;
    const socket = await openTls(rest.port, { ca });
    const head = (id: string, length: number): string =>
      `POST /collections/a/points/query HTTP/1.1\r\nhost: x\r\napi-key: ${this.#tokenA}\r\nx-request-id: ${id}\r\ncontent-length: ${length}\r\n\r\n`;
    // The answer to the first shows that the second, in the same write, has been begun.
    const first = this.id('ok', 200);
    const second = this.id('denied', undefined);
    const answered = new Promise((resolve) => socket.once('data', resolve).once('close', resolve));
    socket.on('error', () => undefined).write(`${head(first, 11)}{"limit":1}${head(second, 11)}{"lim`);
    await answered;
    socket.destroy();
  }

  async leavesGrpc(client: Client): Promise<void> {
    const id = this.id('ok', undefined);
    const metadata = metadataOf({ 'x-request-id': id, 'api-key': KEYS.admin, 'x-what': 'hangs' });
    const call = client.makeUnaryRequest(
      '/qdrant.Collections/Get',
      same,
      same,
      Buffer.from(message({ 1: 'a' })),
      metadata,
      () => undefined,
    );
    await until(() => this.#gateway.upstream.recorder.grpc.some(({ metadata }) => metadata.includes(id)));
    call.cancel();
  }

  async round(client: Client, session: ClientHttp2Session): Promise<void> {
    const lookup = '{"query":[1,2],"lookup_from":{"collection":"secret"},"limit":1}';
    const get = '/qdrant.Collections/Get';
    const admin = { 'api-key': KEYS.admin };
    await Promise.all([
      this.rest('ok', 200, ['GET', '/collections/a', KEYS.admin]),
      this.rest('ok', 200, ['GET', '/collections/a', KEYS.readOnly]),
      this.rest('ok', 404, ['GET', '/collections/none', KEYS.admin]),
      this.rest('denied', 401, ['GET', '/collections/a']),
      this.rest('denied', 401, ['GET', '/collections/a', 'wrong']),
      this.rest('denied', 403, ['PUT', '/collections/b', KEYS.readOnly, '{}']),
      this.rest('denied', 403, ['POST', '/collections/secret/points/query', this.#tokenA, '{}']),
      this.rest('denied', 403, ['POST', '/collections/a/points/query', this.#tokenA, lookup]),
      this.rest('denied', 400, ['POST', '/collections/a/points/query', this.#tokenA, '{"lookup_from":{"coll']),
      this.rest('ok', 200, ['GET', '/collections', this.#tokenA]),
      this.rest('ok', 200, ['GET', '/telemetry', this.#tokenA]),
      this.rest('denied', 404, ['GET', '/nowhere', KEYS.readOnly]),
      this.rest('denied', 400, ['GET', '/collections/%ff', KEYS.admin]),
      this.rest('ok', 502, ['GET', '/collections/dies', KEYS.admin]),
      this.rest('ok', 200, ['GET', '/collections/half', KEYS.admin]),
      this.http2(session, 'ok', 200, '/collections/a', KEYS.admin),
      this.http2(session, 'denied', 401, '/collections/a', 'wrong'),
      this.http2(session, 'ok', 502, '/collections/dies', KEYS.admin),
      this.leaves(),
      this.leavesUndecided(),
      this.grpc(client, 'ok', 0, get, 'a', admin),
      this.grpc(client, 'ok', 5, get, 'none', admin),
      this.grpc(client, 'denied', 16, get, 'a', {}),
      this.grpc(client, 'denied', 7, get, 'secret', { 'api-key': this.#tokenA }),
      this.grpc(client, 'denied', 12, '/qdrant.Nothing/Get', 'a', { 'api-key': KEYS.readOnly }),
      this.grpc(client, 'ok', 0, '/qdrant.Collections/List', '', { 'api-key': this.#tokenA }),
      this.grpc(client, 'ok', undefined, get, 'a', { ...admin, 'x-what': 'reset' }),
      this.leavesGrpc(client),
      // Public, and not audited.
      ask(this.#gateway, 'GET', '/healthz', { 'x-request-id': 'open' }),
      unary(client, '/qdrant.Qdrant/HealthCheck', message({}), { 'x-request-id': 'open' }),
    ]);
  }
}

for (const relay of [true, false]) {
  t.test(`one event for each request, on both protocols, REST ${relay ? 'relayed' : 'by Fastify'}`, async (t) => {
    const dir = t.testdir();
    const gateway = await startGateway({
      upstream,
      settings: {
        'audit.enabled': true,
        'audit.dir': dir,
        'gateway.audit.hash_chain': true,
        'gateway.rest.relay': relay,
        log_level: 'off',
      },
    });
    await ask(
      gateway,
      'PUT',
      '/collections/a',
      { 'api-key': KEYS.admin, 'x-request-id': 'made' },
      '{"vectors":{"size":2,"distance":"Dot"}}',
    );
    const load = new Load(gateway);
    load.expected.set('made', { result: 'ok', status: 200 });
    const client = rawClient(gateway);
    const session = await openHttp2(gateway.rest.port, gateway.ca);
    for (let round = 0; round < ROUNDS; round++) await load.round(client, session);
    // Upstream loses a connection with a call on it; the client's connection ends with it.
    const lost = rawClient(gateway);
    await load.grpc(lost, 'ok', 14, '/qdrant.Collections/Get', 'a', { 'api-key': KEYS.admin, 'x-what': 'dies' });
    // The gateway stops while upstream holds one of each.
    const held = [load.id('ok', undefined), load.id('ok', 14)] as const;
    void ask(gateway, 'GET', '/collections/hangs', { 'api-key': KEYS.admin, 'x-request-id': held[0] }).catch(
      () => undefined,
    );
    void unary(client, '/qdrant.Collections/Get', message({ 1: 'a' }), {
      'api-key': KEYS.admin,
      'x-what': 'hangs',
      'x-request-id': held[1],
    });
    const { recorder } = gateway.upstream;
    await until(() => recorder.rest.some(({ rawHeaders }) => rawHeaders.includes(held[0])));
    await until(() => recorder.grpc.some(({ metadata }) => metadata.includes(held[1])));
    await gateway.close();
    lost.close();
    client.close();
    session.destroy();
    const files = readdirSync(dir).map((name) => readFileSync(join(dir, name), 'utf8'));
    const events = parseLines(files.join(''));
    t.equal(events.length, load.expected.size, 'as many events as requests');
    t.equal(new Set(events.map(({ id }) => id)).size, events.length, 'each with an id of its own');
    const found = new Map(events.map(({ tracing_id, result, status }) => [tracing_id, { result, status }]));
    t.strictSame(found, load.expected, 'each says what the client got');
    const named = events.filter(
      ({ collection, operation }) => operation === 'qdrant.Collections/Get' && collection === undefined,
    );
    t.ok(
      named.every(({ result }) => result === 'denied'),
      'what an admin reads over gRPC is named, too',
    );
    t.notMatch(files.join(''), /admin-key|read-only-key|eyJ/, 'no key and no token');
    t.match(gateway.snapshot(), {
      audit: { events: events.length, sinks: [{ written: events.length, dropped: 0, queued: 0 }] },
    });
  });
}

t.test('a client that floods plain connections and leaves is written down once each', async (t) => {
  const dir = t.testdir();
  const gateway = await startGateway({
    tls: false,
    settings: { 'audit.enabled': true, 'audit.dir': dir, 'gateway.audit.trusted_proxies': 1 },
  });
  const sent = 200;
  await Promise.all(
    Array.from({ length: sent }, async (_, index) => {
      const socket = connect(gateway.rest.port, '127.0.0.1');
      socket.on('error', () => undefined);
      await new Promise((resolve) => {
        socket.once('data', resolve).once('close', resolve);
        socket.write(
          `GET /collections HTTP/1.1\r\nhost: x\r\nx-request-id: f-${index}\r\nx-forwarded-for: 203.0.113.${index}\r\n\r\n`,
        );
      });
      socket.resetAndDestroy();
    }),
  );
  await gateway.close();
  const events = parseLines(
    readdirSync(dir)
      .map((name) => readFileSync(join(dir, name), 'utf8'))
      .join(''),
  );
  t.equal(new Set(events.map(({ tracing_id }) => tracing_id)).size, sent);
  t.equal(events.length, sent);
  t.ok(events.every(({ tracing_id, remote }) => remote === `203.0.113.${tracing_id.slice(2)}`));
});

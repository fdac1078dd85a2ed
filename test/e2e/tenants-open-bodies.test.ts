import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import t from 'tap';
import type { TenantSettings } from '../../src/policy/tenants/settings.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';

/*
 * The policy changes while a body is being received: nothing goes upstream that the tenants in force have not judged. Each request sends
 * its head and a part of its body, then the policy changes, then the rest comes.
 */

t.setTimeout(FILE_MS);
const options = {
  tls: false,
  settings: {
    'gateway.admin.port': 0,
    'gateway.admin.token': 'admin-token-0123456789',
    'gateway.rest.relay': true,
  },
} as const;
const relaying = await startGateway(options);
const serving = await startGateway({
  ...options,
  settings: { ...options.settings, 'gateway.rest.relay': false },
  before: relaying.upstream,
});
const encrypted = await startGateway({ ...options, tls: true, before: relaying.upstream });
t.teardown(async () => {
  for (const gateway of [serving, encrypted, relaying]) await gateway.close();
});
const { upstream } = relaying;
const direct = async (method: string, path: string, body: object): Promise<void> => {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${upstream.restUrl}${path}`, { method, headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
};
await direct('PUT', '/collections/books', { vectors: { size: 1, distance: 'Dot' } });
const points = ['acme', 'umbrella'].map((tenant, at) => ({ id: at + 1, vector: [1], payload: { tenant } }));
await direct('PUT', '/collections/books/points?wait=true', { points });

/** A list access: names in the body are read, so that it is held. */
const token = makeToken({ access: [{ collection: 'books', access: 'rw' }], tenant: 'acme', team: 'umbrella' });
const body = JSON.stringify({ query: [1], limit: 10, with_payload: true, prefetch: { query: [1], limit: 10 } });
const message = Buffer.from(
  toBinary(
    q.QueryPointsSchema,
    create(q.QueryPointsSchema, {
      collectionName: 'books',
      limit: 10n,
      query: { variant: { case: 'nearest', value: { variant: { case: 'dense', value: { data: [1] } } } } },
      withPayload: { selectorOptions: { case: 'enable', value: true } },
    }),
  ),
);

/** Sends all but the end of the body; `finish` sends that, and resolves to the code and all bytes of the answer. */
interface Begun {
  readonly finish: () => Promise<string>;
}

async function overHttp1({ rest }: RunningGateway): Promise<Begun> {
  const socket = connect(rest.port, '127.0.0.1');
  const heard: Buffer[] = [];
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('data', (bytes: Buffer) => heard.push(bytes));
  socket.on('error', () => undefined);
  const head = `POST /collections/books/points/query HTTP/1.1\r\nhost: a\r\napi-key: ${token}\r\nconnection: close\r\n`;
  socket.write(`${head}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 10)}`);
  return {
    async finish() {
      socket.write(body.slice(10));
      await closed;
      return Buffer.concat(heard).toString();
    },
  };
}

async function overHttp2(url: string, headers: Record<string, string>, sent: Buffer, ca?: Buffer): Promise<Begun> {
  const session = connectHttp2(url, ca ? { ca } : {});
  const stream = session.request({ ':method': 'POST', 'api-key': token, ...headers });
  const heard: string[] = [];
  stream.on('response', (fields) =>
    heard.push(`${fields[':status']} ${fields['grpc-status']} ${fields['grpc-message']}`),
  );
  stream.on('trailers', (fields) => heard.push(` ${fields['grpc-status']}`));
  stream.on('data', (bytes: Buffer) => heard.push(bytes.toString()));
  stream.on('error', () => undefined);
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.write(sent.subarray(0, 10));
  return {
    async finish() {
      stream.end(sent.subarray(10));
      await closed;
      session.close();
      return heard.join('');
    },
  };
}

const framed = Buffer.alloc(5 + message.length);
framed.writeUInt32BE(message.length, 1);
message.copy(framed, 5);

const LANES: Readonly<Record<string, readonly [RunningGateway, () => Promise<Begun>]>> = {
  'HTTP/1.1, relay': [relaying, () => overHttp1(relaying)],
  'HTTP/1.1, server': [serving, () => overHttp1(serving)],
  'HTTP/2': [
    encrypted,
    () =>
      overHttp2(
        encrypted.rest.url,
        { ':path': '/collections/books/points/query', 'content-type': 'application/json' },
        Buffer.from(body),
        encrypted.ca,
      ),
  ],
  gRPC: [
    relaying,
    () =>
      overHttp2(
        relaying.grpc.url,
        { ':path': '/qdrant.Points/Query', 'content-type': 'application/grpc', te: 'trailers' },
        framed,
      ),
  ],
};

const entry = (more: object): readonly TenantSettings[] => [
  { id: 'books', credentials: 'tokens', collections: ['books'], field: 'tenant', ...more },
];
const NONE: readonly TenantSettings[] = [];
const BY_TENANT = entry({ from: 'tenant' });
const BY_TEAM = entry({ from: 'team' });
const FREE: readonly TenantSettings[] = [{ id: 'books', credentials: 'tokens', collections: ['books'], free: true }];

/** The tenants of whose points an answer tells. */
const told = (answer: string): string => ['acme', 'umbrella'].filter((name) => answer.includes(name)).join(' ');
const CHANGED = /the access or tenant of the caller has changed while the request waited/;

const CASES: readonly [
  name: string,
  before: readonly TenantSettings[],
  after: readonly TenantSettings[],
  result: string | RegExp,
][] = [
  ['no tenants at all', NONE, NONE, 'acme umbrella'],
  ['a caller that is bound', NONE, BY_TENANT, CHANGED],
  ['a caller that is bound to another tenant', BY_TENANT, BY_TEAM, CHANGED],
  ['a caller that is no longer bound', BY_TENANT, NONE, CHANGED],
  ['a caller that was free', FREE, BY_TENANT, CHANGED],
  ['a caller whose tenant stays', BY_TENANT, [...BY_TENANT], 'acme'],
];

for (const [lane, [gateway, begin]] of Object.entries(LANES)) {
  const inFlight = (): number => {
    const { rest = 0, grpc = 0 } = gateway.snapshot().observed?.inFlight ?? {};
    return rest + grpc;
  };
  t.test(lane, async (t) => {
    for (const [name, before, after, result] of CASES) {
      gateway.setTenants(before);
      // The token is known, so that a head is judged as soon as it has been read.
      await (await begin()).finish();
      await until(() => inFlight() === 0, 'the first request has ended');
      upstream.recorder.clear();
      const { finish } = await begin();
      await until(() => inFlight() === 1, 'the head has been read');
      gateway.setTenants(after);
      const answer = await finish();
      if (typeof result === 'string') t.equal(told(answer), result, name);
      else {
        t.match(decodeURIComponent(answer), result, name);
        t.equal(told(answer), '', `${name}: no point is told`);
        const { rest, grpc } = upstream.recorder;
        t.strictSame(
          [...rest.map(({ target }) => target), ...grpc.map(({ path }) => path)],
          [],
          `${name}: nothing goes upstream`,
        );
      }
    }
  });
}

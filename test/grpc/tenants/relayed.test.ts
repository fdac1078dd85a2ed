import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import t, { type Test } from 'tap';
import { rewriteMessage } from '../../../src/grpc/tenants/rewrite.ts';
import { type Frame, FrameType, readUint31 } from '../../../src/http2/frames.ts';
import { writeData, writeWindowUpdate } from '../../../src/http2/write-frames.ts';
import type { Principal } from '../../../src/identity/principal.ts';
import type { TenantCondition } from '../../../src/policy/tenants/tenancy.ts';
import { framed } from '../../support/clients/h2-client.ts';
import { answer, SCOPED, setUp, type Upstream } from '../relay-fixture.ts';

/* Calls that are made anew for a tenant and then relayed, beside those that the gateway asks itself. */

const holds: TenantCondition = {
  ...{ id: 'shop', field: ['tenant'], values: ['acme'], hides: false, sharedStatistics: false },
};
const TENANT: Principal = { ...SCOPED, tenancy: { scopes: [{ names: new Set(['docs']), prefixes: [], holds }] } };

const COUNT = '/qdrant.Points/Count';
const SCROLL = '/qdrant.Points/Scroll';
const count = Buffer.from(toBinary(q.CountPointsSchema, create(q.CountPointsSchema, { collectionName: 'docs' })));
const isNull = (letters: number) =>
  ({ conditionOneOf: { case: 'isNull', value: { key: 'x'.repeat(letters) } } }) as const;
const scroll = Buffer.from(
  toBinary(
    q.ScrollPointsSchema,
    create(q.ScrollPointsSchema, { collectionName: 'docs', filter: { must: [isNull(100)] } }),
  ),
);

const KEY = [['api-key', 'tenant']] as const;

/** A client of a tenant. What is not relayed is asked: `asked` has the paths. */
async function open(t: Test, streamWindow?: number) {
  const asked: string[] = [];
  const ask = async (path: string) => {
    asked.push(path);
    return { kind: 'message' as const, message: Buffer.alloc(0) };
  };
  const found = await setUp(t, {
    ask,
    authenticate: () => TENANT,
    ...(streamWindow !== undefined && { streamWindow }),
  });
  return { ...found, asked };
}

/** The messages that came on streams of upstream, in their order. */
function messages({ frames }: Upstream): Buffer[] {
  const data = new Map<number, Buffer[]>();
  for (const { type, streamId, payload } of frames) {
    if (type !== FrameType.DATA) continue;
    const known = data.get(streamId);
    if (known) known.push(payload);
    else data.set(streamId, [payload]);
  }
  return [...data.values()].map((parts) => Buffer.concat(parts));
}

t.test('the first call of a connection is asked, further ones are relayed in their new form', async (t) => {
  const { upstream, client, asked } = await open(t);
  for (const id of [1, 3, 5, 7]) {
    client.call(id, SCROLL, scroll, KEY);
    t.equal(await client.status(id), '0');
  }
  t.strictSame(asked, [SCROLL]);
  const sent = messages(upstream);
  t.equal(sent.length, 3);
  for (const message of sent) {
    t.equal(message.readUInt32BE(1), message.length - 5);
    const { collectionName, filter } = fromBinary(q.ScrollPointsSchema, message.subarray(5));
    t.equal(collectionName, 'docs');
    t.strictSame(
      filter?.must.map(({ conditionOneOf: { case: kind, value } }) => [kind, (value as q.FieldCondition).key]),
      [
        ['field', 'tenant'],
        ['isNull', 'x'.repeat(100)],
      ],
    );
  }
});

t.test('a call stays asked whose length is announced, or whose answer is changed', async (t) => {
  const { upstream, client, asked } = await open(t);
  client.call(1, SCROLL, scroll, KEY);
  t.equal(await client.status(1), '0');
  client.call(3, SCROLL, scroll, [...KEY, ['content-length', String(scroll.length + 5)]]);
  t.equal(await client.status(3), '0');
  const get = create(q.GetPointsSchema, {
    collectionName: 'docs',
    ids: [{ pointIdOptions: { case: 'num', value: 1n } }],
  });
  client.call(5, '/qdrant.Points/Get', Buffer.from(toBinary(q.GetPointsSchema, get)), KEY);
  t.equal(await client.status(5), '0');
  t.strictSame(asked, [SCROLL, SCROLL, SCROLL]);
  t.strictSame(messages(upstream), []);
});

t.test('a message in parts, and one of several frames, are relayed whole', async (t) => {
  const { upstream, client, asked } = await open(t);
  client.call(1, SCROLL, scroll, KEY);
  t.equal(await client.status(1), '0');
  const data = framed(count);
  client.send(client.headers(3, COUNT, KEY), writeData(3, data.subarray(0, 3), false));
  client.send(writeData(3, data.subarray(3, 9), false), writeData(3, data.subarray(9), true));
  t.equal(await client.status(3), '0');
  const must = Array.from({ length: 40 }, () => isNull(1000));
  const wide = create(q.ScrollPointsSchema, { collectionName: 'docs', filter: { must } });
  client.send(client.headers(5, SCROLL, KEY));
  await client.stream(5, framed(Buffer.from(toBinary(q.ScrollPointsSchema, wide))));
  t.equal(await client.status(5), '0');
  client.send(client.headers(7, COUNT, KEY), writeData(7, data, true));
  t.equal(await client.status(7), '0');
  t.strictSame(asked, [SCROLL]);
  const sent = messages(upstream);
  t.equal(sent.length, 3);
  const large = fromBinary(q.ScrollPointsSchema, sent[1]?.subarray(5) ?? Buffer.alloc(0));
  t.equal(large.filter?.must.length, 41);
});

const windowSetting = (bytes: number): Buffer => {
  const setting = Buffer.from([0, 4, 0, 0, 0, 0]);
  setting.writeUInt32BE(bytes, 2);
  return setting;
};

t.test('a message larger than the first stream window of upstream comes whole', async (t) => {
  const must = Array.from({ length: 40 }, () => isNull(1000));
  const wide = create(q.ScrollPointsSchema, { collectionName: 'docs', filter: { must } });
  const data = framed(Buffer.from(toBinary(q.ScrollPointsSchema, wide)));
  for (const streamWindow of [1, 5000, 16_000]) {
    const { client } = await open(t, streamWindow);
    for (const id of [1, 3]) {
      client.call(id, SCROLL, scroll, KEY);
      t.equal(await client.status(id), '0');
    }
    await client.until((frames) =>
      frames.find(({ type, payload }) => type === FrameType.SETTINGS && payload.includes(windowSetting(streamWindow))),
    );
    const message = streamWindow < 100 ? framed(count) : data;
    client.send(client.headers(5, streamWindow < 100 ? COUNT : SCROLL, KEY));
    const waits = await client.stream(5, message, true, streamWindow);
    t.equal(await client.status(5), '0', `a window of ${streamWindow}`);
    t.ok(waits > 0, 'and it has waited for more');
  }
});

/** Upstream's windows, as it counts them. Grants half a window at a time, as Qdrant does. */
function counting(upstream: Upstream, window: number): { least: number } {
  const seen = { least: window };
  let left = window;
  upstream.onFrame = (socket, frame: Frame) => {
    if (frame.type !== FrameType.DATA) return;
    left -= frame.length;
    seen.least = Math.min(seen.least, left);
    if (left < window / 2) {
      socket.write(writeWindowUpdate(0, window - left));
      left = window;
    }
    answer(socket, frame.streamId);
  };
  return seen;
}

t.test('neither window is exceeded, nor used up, over many calls that grow', async (t) => {
  const { upstream, client, asked } = await open(t);
  const seen = counting(upstream, 1_065_535);
  const data = framed(scroll);
  const calls = 10_000;
  let sent = 0;
  for (let at = 0; at < calls; at += 100) {
    const parts: Buffer[] = [];
    for (let id = 2 * at + 1; id < 2 * (at + 100); id += 2) {
      parts.push(client.headers(id, SCROLL, KEY), writeData(id, data, true));
      sent += data.length;
    }
    client.send(...parts);
    t.equal(await client.status(2 * (at + 100) - 1), '0');
  }
  const granted = client.frames
    .filter(({ type, streamId }) => type === FrameType.WINDOW_UPDATE && streamId === 0)
    .reduce((sum, { payload }) => sum + readUint31(payload, 0), 65_535);
  t.ok(seen.least >= 0, 'upstream gets no more than it has granted');
  t.ok(granted - sent <= 1_065_535, 'the client gets no more than upstream has granted');
  t.ok(granted - sent > 400_000, 'and keeps a wide window');
  t.ok(asked.length <= 100, `only the first are asked: ${asked.length}`);
});

t.test('small messages that become long are made from their own bytes, whatever comes behind them', async (t) => {
  const values = Array.from({ length: 700 }, (_, at) => `a-value-of-the-claim-${at}`);
  const many: TenantCondition = { ...holds, values };
  const tenancy = { scopes: [{ names: new Set(['docs']), prefixes: [], holds: many }] };
  const sent: Buffer[] = [];
  const { upstream, client } = await setUp(t, {
    ask: async (path, message) => {
      if (path === BATCH) sent.push(Buffer.from(message));
      return { kind: 'message', message: Buffer.alloc(0) };
    },
    authenticate: () => ({ ...SCOPED, tenancy }),
  });
  const operation = (at: number) =>
    create(q.PointsUpdateOperationSchema, {
      operation: { case: 'deletePayload', value: { keys: [`key-${at}`], pointsSelector: ALL } },
    });
  const batches = Array.from({ length: 6 }, (_, at) => {
    const operations = Array.from({ length: 40 + at }, () => operation(at));
    const batch = create(q.UpdateBatchPointsSchema, { collectionName: 'docs', operations });
    return Buffer.from(toBinary(q.UpdateBatchPointsSchema, batch));
  });
  const ids = batches.map((_, at) => 2 * at + 1);
  const later = [101, 103, 105, 107];
  client.send(
    ...batches.flatMap((batch, at) => [
      client.headers(ids[at] ?? 0, BATCH, KEY),
      writeData(ids[at] ?? 0, framed(batch), true),
    ]),
  );
  for (const id of later) client.call(id, SCROLL, scroll, KEY);
  for (const id of [...ids, ...later]) t.equal(await client.status(id), '0');
  sent.push(...messages(upstream).map((message) => message.subarray(5)));
  for (const batch of batches) {
    const made = rewriteMessage('qdrant.Points/UpdateBatch', batch, {
      ...{ tenancy, collection: 'docs', conditions: [many], idfVectors: new Set<string>(), mostBytes: 1 << 25 },
      features: { updateFilter: true, idfCorpus: true },
    });
    if (typeof made === 'string' || 'kind' in made) throw new TypeError('it is not made');
    const { message } = made.request;
    t.ok(batch.length < 16_384 && message.length > 600_000, `${batch.length} bytes become ${message.length}`);
    t.ok(sent.some((one) => one.equals(message)));
  }
});

const BATCH = '/qdrant.Points/UpdateBatch';
const ALL = { pointsSelectorOneOf: { case: 'filter', value: {} } } as const;

import t, { type Test } from 'tap';
import { FrameType } from '../../src/http2/frames.ts';
import { HpackDecoder } from '../../src/http2/hpack.ts';
import { writeData, writeHeaders } from '../../src/http2/write-frames.ts';
import { type Authenticator, createAuthenticator } from '../../src/identity/authenticate.ts';
import { createKeyRing } from '../../src/identity/key-ring.ts';
import { NO_REVOCATIONS, type Revocations } from '../../src/identity/revocations.ts';
import { mintToken } from '../../src/identity/token.ts';
import { framed, H2Client, naming } from '../support/clients/h2-client.ts';
import { setUp, startRelay, startUpstream, type Upstream } from './relay-fixture.ts';

/*
 * A client that repeats a header block byte for byte: what is known of the block saves reading it, and nothing else.
 */

const GET = '/qdrant.Points/Get';
const KEY = 'the-first-key';
const REFUSED = '16 Invalid API key or JWT';

/** One header block with a call's head: inserts once, indices ever after. */
function indexed(credential: string): { readonly first: Buffer; readonly next: Buffer } {
  const text = (value: string): number[] => {
    const bytes = [...Buffer.from(value, 'latin1')];
    if (bytes.length < 127) return [bytes.length, ...bytes];
    const rest = bytes.length - 127;
    return [127, (rest & 0x7f) | 0x80, rest >> 7, ...bytes];
  };
  const fields = [
    [':path', GET],
    [':authority', 'localhost'],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ['api-key', credential],
  ];
  const head = [0x83, 0x86];
  return {
    first: Buffer.from([
      ...head,
      ...fields.flatMap(([name = '', value = '']) => [0x40, ...text(name), ...text(value)]),
    ]),
    next: Buffer.from([...head, ...fields.map((_, at) => 0x80 | (61 + fields.length - at))]),
  };
}

function call(client: H2Client, streamId: number, block: Buffer, collection = 'docs'): Promise<string> {
  client.send(writeHeaders(streamId, block, false), writeData(streamId, framed(naming(collection)), true));
  return client.status(streamId);
}

interface Held {
  readonly authenticator: Authenticator;
  now: number;
  revocations: Revocations;
}

function holdKeys(): Held {
  const held: Held = {
    now: 1_000_000,
    revocations: NO_REVOCATIONS,
    authenticator: createAuthenticator({
      ring: createKeyRing({ apiKey: KEY, jwtRbac: true }, 1),
      cacheEntries: 10,
      now: () => held.now,
      revocations: () => held.revocations,
    }),
  };
  return held;
}

async function begin(t: Test, held: Held) {
  return await setUp(t, { authenticate: held.authenticator.authenticate });
}

t.test('a key that was taken back is refused in the very header block it was accepted in', async (t) => {
  const held = holdKeys();
  const { client } = await begin(t, held);
  const { first, next } = indexed(KEY);
  t.equal(await call(client, 1, first), '0');
  t.equal(await call(client, 3, next), '0');
  held.authenticator.replaceRing(createKeyRing({ apiKey: 'the-next-key', jwtRbac: true }, 2));
  t.equal(await call(client, 5, next), REFUSED);
  held.authenticator.replaceRing(createKeyRing({ apiKey: KEY, jwtRbac: true }, 3));
  t.equal(await call(client, 7, next), '0');
});

t.test('a token is judged each time its header block comes', async (t) => {
  const held = holdKeys();
  const { client } = await begin(t, held);
  const claims = { exp: 1_000, access: [{ collection: 'docs', access: 'r' }] };
  const { first, next } = indexed(await mintToken(claims, KEY));
  t.equal(await call(client, 1, first), '0');
  t.equal(await call(client, 3, next), '0');
  t.equal(
    await call(client, 5, next, 'notes'),
    '7 Forbidden: Access to collection notes is required',
    'for the collection of this call',
  );
  held.now = 1_030_000;
  t.equal(await call(client, 7, next), '0', 'within the leeway');
  held.now = 1_031_000;
  t.equal(await call(client, 9, next), '7 ExpiredSignature', 'past it');
  held.now = 1_000_000;
  t.equal(await call(client, 11, next), '0');
  held.revocations = { ...NO_REVOCATIONS, unknown: true };
  t.not(await call(client, 13, next), '0', 'while the revocations are unknown');
});

t.test('equal bytes on two connections mean what each of them has said', async (t) => {
  const held = holdKeys();
  const { client, listener } = await begin(t, held);
  const good = indexed(KEY);
  const bad = indexed('the-wrong-key');
  t.same(good.next, bad.next);
  const other = await H2Client.connect(listener.address.port);
  t.teardown(() => other.close());
  t.equal(await call(client, 1, good.first), '0');
  t.equal(await call(other, 1, bad.first), REFUSED);
  for (let id = 3; id < 9; id += 2) {
    t.equal(await call(client, id, good.next), '0');
    t.equal(await call(other, id, bad.next), REFUSED);
  }
});

t.test('equal bytes after the header table has changed mean what they mean now', async (t) => {
  const held = holdKeys();
  const { client } = await begin(t, held);
  const good = indexed(KEY);
  t.equal(await call(client, 1, good.first), '0');
  t.equal(await call(client, 3, good.next), '0');
  t.equal(await call(client, 5, indexed('the-wrong-key').first), REFUSED);
  t.equal(await call(client, 7, good.next), REFUSED);
  t.equal(await call(client, 9, good.first), '0');
  t.equal(await call(client, 11, good.next), '0');
});

/** Header lists of all calls upstream has seen. */
function headsOf(upstream: Upstream): string[][] {
  const decoder = new HpackDecoder({ maxHeaderBytes: 65_536, maxHeaders: 100 });
  return upstream.frames
    .filter(({ type }) => type === FrameType.HEADERS)
    .map(({ payload }) => {
      const fields: string[] = [];
      decoder.decode(payload, (name, value) => fields.push(`${name}: ${value}`));
      return fields;
    });
}

t.test('a head that is sent again is the same head on a stream of its own', async (t) => {
  const held = holdKeys();
  const { client, upstream } = await begin(t, held);
  const { first, next } = indexed(KEY);
  await call(client, 1, first);
  await call(client, 3, next);
  await call(client, 5, next);
  client.send(writeHeaders(7, next, true));
  await upstream.waitFor(() => headsOf(upstream).length === 4);
  const expected = [
    ':method: POST',
    ':scheme: http',
    `:path: ${GET}`,
    ':authority: upstream',
    'te: trailers',
    'content-type: application/grpc',
    'x-forwarded-for: 127.0.0.1',
    'x-forwarded-proto: http',
  ];
  t.same(headsOf(upstream), [expected, expected, expected, expected]);
  const ids = upstream.frames
    .filter(({ type }) => type === FrameType.HEADERS)
    .map(({ streamId, flags }) => [streamId, flags]);
  t.same(ids, [
    [1, 4],
    [3, 4],
    [5, 4],
    [7, 5],
  ]);
});

t.test('a head too large to be gathered is sent again, too', async (t) => {
  const upstream = await startUpstream(t);
  const held = holdKeys();
  const listener = await startRelay(t, upstream, { authenticate: held.authenticator.authenticate });
  const client = await H2Client.connect(listener.address.port);
  t.teardown(() => client.close());
  const large = 'v'.repeat(1500);
  for (const id of [1, 3, 5]) {
    client.call(id, GET, naming('docs'), [
      ['api-key', KEY],
      ['x-large', large],
    ]);
    t.equal(await client.status(id), '0');
  }
  const heads = headsOf(upstream);
  t.equal(heads.length, 3);
  for (const head of heads) t.ok(head.includes(`x-large: ${large}`));
});

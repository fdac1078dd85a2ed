import t from 'tap';
import type { ExchangeParts } from '../../src/exchange/exchange.ts';
import { ErrorCode, Flag, FrameType, SettingId } from '../../src/http2/frames.ts';
import { encodeHeaders } from '../../src/http2/hpack.ts';
import {
  writeData,
  writeGoaway,
  writeHeaders,
  writePing,
  writeRstStream,
  writeSettings,
  writeWindowUpdate,
} from '../../src/http2/write-frames.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { framed, H2Client, naming } from '../support/clients/h2-client.ts';
import {
  ADMIN,
  answer,
  OK_END,
  OK_HEAD,
  principal,
  SCOPED,
  setUp,
  startRelay,
  startUpstream,
} from './relay-fixture.ts';

const UPSERT = '/qdrant.Points/Upsert';
const GET = '/qdrant.Collections/Get';

const admin = [['api-key', 'admin']] as const;
const scoped = [['api-key', 'scoped']] as const;

t.test('a denied call is answered with trailers only and upstream is not even connected to', async (t) => {
  const { upstream, client } = await setUp(t);
  client.call(1, GET, naming('docs'));
  t.equal(await client.status(1), '16 Must provide an API key or an Authorization bearer token');
  client.call(3, GET, naming('notes'), scoped);
  t.equal(await client.status(3), '7 Forbidden: Access to collection notes is required');
  t.equal(upstream.sockets.length, 0);
  client.call(5, GET, naming('docs'), scoped);
  t.equal(await client.status(5), '0');
  t.equal(upstream.sockets.length, 1);
});

t.test('the credential stays here and the peer is named', async (t) => {
  const { upstream, client } = await setUp(t);
  client.call(1, GET, naming('docs'), [
    ...admin,
    ['x-request-id', 'r1'],
    ['x-forwarded-for', '6.6.6.6'],
    ['grpc-timeout', '5S'],
  ]);
  t.equal(await client.status(1), '0');
  const head = upstream.frames.find(({ type }) => type === FrameType.HEADERS)?.payload.toString('latin1') ?? '';
  t.notMatch(head, /admin|api-key|6\.6\.6\.6/);
  t.match(head, /x-request-id.*r1/);
  t.match(head, /grpc-timeout.*5S/);
  t.match(head, /x-forwarded-for.*127\.0\.0\.1/);
});

t.test('a call that waits for its identity holds up no other, and order is kept inside it', async (t) => {
  let release: ((identity: Principal) => void) | undefined;
  const authenticate: ExchangeParts['authenticate'] = (raw) =>
    raw.includes('slow')
      ? new Promise((resolve) => {
          release = resolve;
        })
      : ADMIN;
  const { upstream, client } = await setUp(t, { authenticate });
  client.call(1, UPSERT, naming('one'), [['api-key', 'slow']]);
  client.call(3, UPSERT, naming('two'), admin);
  t.equal(await client.status(3), '0', 'the later call is done first');
  release?.(ADMIN);
  t.equal(await client.status(1), '0');
  const data = upstream.frames
    .filter(({ type }) => type === FrameType.DATA)
    .map(({ streamId, payload }) => [streamId, payload]);
  t.same(data, [
    [1, framed(naming('two'))],
    [3, framed(naming('one'))],
  ]);
});

t.test('credit of denied calls comes back, so that a connection outlives any number of them', async (t) => {
  const { client } = await setUp(t);
  const message = framed(Buffer.alloc(10_000));
  for (let id = 1; id < 101; id += 2) {
    client.send(client.headers(id, UPSERT), writeData(id, message, true));
    t.match(await client.status(id), /^16 /);
  }
});

t.test('a message in one-byte frames is judged before its last byte is sent on', async (t) => {
  const { upstream, client } = await setUp(t);
  for (const [id, name, expected] of [
    [1, 'docs', '0'],
    [3, 'notes', '7 Forbidden: Access to collection notes is required'],
  ] as const) {
    client.send(client.headers(id, GET, scoped));
    for (const byte of framed(naming(name))) client.send(writeData(id, Buffer.from([byte]), false));
    client.send(writeData(id, Buffer.alloc(0), true));
    t.equal(await client.status(id), expected, name);
  }
  t.equal(upstream.frames.filter(({ type }) => type === FrameType.HEADERS).length, 1, 'only one call went upstream');
});

t.test('a message too large to hold streams on, but never its end before the verdict', async (t) => {
  const { upstream, client } = await setUp(t);
  const filler = Buffer.concat([Buffer.from([0x12, 0x80, 0x80, 0x10]), Buffer.alloc(262_144)]);
  const whole = (name: string, first: boolean) =>
    framed(first ? Buffer.concat([naming(name), filler]) : Buffer.concat([filler, naming(name)]));
  client.call(1, GET, naming('docs'), scoped);
  await client.status(1);
  await client.until((frames) =>
    frames.find(({ type, streamId }) => type === FrameType.WINDOW_UPDATE && streamId === 0),
  );
  const cases: readonly [number, Buffer, string, string][] = [
    [9, whole('docs', true), '0', 'an allowed name at the start'],
    [11, whole('docs', false), '0', 'an allowed name at the end'],
    [13, whole('notes', true), '7 Forbidden: Access to collection notes is required', 'a forbidden name at the start'],
    [15, whole('notes', false), '7 Forbidden: Access to collection notes is required', 'a forbidden name at the end'],
  ];
  for (const [id, bytes, expected, name] of cases) {
    upstream.frames.length = 0;
    client.send(client.headers(id, UPSERT, scoped));
    for (let at = 0; at < bytes.length; at += 16_384) {
      const end = Math.min(at + 16_384, bytes.length);
      // A real client would keep its window: here upstream's 1 MiB grant is known to cover it.
      client.send(writeData(id, bytes.subarray(at, end), end === bytes.length));
    }
    t.equal(await client.status(id), expected, name);
    const sent = upstream.frames.filter(({ type }) => type === FrameType.DATA);
    const bytesSent = sent.reduce((sum, { payload }) => sum + payload.length, 0);
    if (expected === '0') {
      t.equal(bytesSent, bytes.length, `${name}: everything arrived`);
    } else {
      t.ok(bytesSent < bytes.length, `${name}: the end did not arrive`);
      t.notOk(
        sent.some(({ flags }) => (flags & Flag.END_STREAM) !== 0),
        `${name}: the call was never completed`,
      );
      if (name.endsWith('start')) t.equal(bytesSent, 0, `${name}: not one byte`);
      else await upstream.waitFor(() => upstream.frames.some(({ type }) => type === FrameType.RST_STREAM));
    }
  }
});

t.test('a cancelled call is cancelled upstream, and a late answer reaches no other call', async (t) => {
  const { upstream, client } = await setUp(t);
  upstream.onFrame = () => undefined;
  client.call(1, GET, naming('docs'), admin);
  await upstream.waitFor(() => upstream.frames.some(({ type }) => type === FrameType.DATA));
  client.send(writeRstStream(1, ErrorCode.CANCEL));
  await upstream.waitFor(() => upstream.frames.some(({ type }) => type === FrameType.RST_STREAM));
  const [socket] = upstream.sockets;
  if (socket) answer(socket, 1);
  upstream.onFrame = (from, frame) => {
    if (frame.type === FrameType.DATA && frame.has(Flag.END_STREAM)) answer(from, frame.streamId);
  };
  client.call(3, GET, naming('docs'), admin);
  t.equal(await client.status(3), '0');
  t.equal(client.body(1).length, 0, 'no body for the call that was cancelled');
});

t.test('request trailers give nothing: only their end is passed on', async (t) => {
  const { upstream, client } = await setUp(t);
  client.send(
    client.headers(1, GET, admin),
    writeData(1, framed(naming('docs')), false),
    writeHeaders(
      1,
      encodeHeaders([
        ['api-key', 'scoped'],
        ['x-evil', 'yes'],
      ]),
      true,
    ),
  );
  t.equal(await client.status(1), '0');
  t.equal(upstream.frames.filter(({ type }) => type === FrameType.HEADERS).length, 1);
});

t.test('an answer of our own keeps the windows of the client', async (t) => {
  const big = Buffer.alloc(200_000, 7);
  const { client } = await setUp(t, { ask: () => Promise.resolve({ kind: 'message', message: big }) });
  client.call(1, '/qdrant.Qdrant/HealthCheck', Buffer.alloc(0));
  await client.until(() => (client.body(1).length === 65_535 ? true : undefined));
  client.send(writeWindowUpdate(1, 1_000_000));
  client.send(writePing(Buffer.alloc(8, 1), false));
  await client.until((frames) => frames.find(({ type }) => type === FrameType.PING));
  t.equal(client.body(1).length, 65_535, 'the connection window is spent');
  client.send(writeWindowUpdate(0, 1_000_000));
  t.equal(await client.status(1), '0');
  t.same(client.body(1), framed(big));
});

t.test('upstream data waits when an answer of our own has used the client window', async (t) => {
  const { upstream, client } = await setUp(t, {
    ask: () => Promise.resolve({ kind: 'message', message: Buffer.alloc(60_000) }),
  });
  upstream.onFrame = (socket, frame) => {
    if (frame.type !== FrameType.DATA || !frame.has(Flag.END_STREAM)) return;
    socket.write(
      Buffer.concat([
        writeHeaders(frame.streamId, OK_HEAD, false),
        writeData(frame.streamId, framed(Buffer.alloc(30_000)), false),
        writeHeaders(frame.streamId, OK_END, true),
      ]),
    );
  };
  client.call(1, GET, naming('docs'), admin);
  t.equal(await client.status(1), '0');
  client.call(3, '/qdrant.Qdrant/HealthCheck', Buffer.alloc(0));
  await client.until(() => (client.body(3).length === 65_535 - 30_005 ? true : undefined));
  client.call(5, GET, naming('docs'), admin);
  client.send(writePing(Buffer.alloc(8, 1), false));
  await client.until((frames) => frames.find(({ type }) => type === FrameType.PING));
  t.equal(client.body(5).length, 0, 'no more than the window allows');
  client.send(writeWindowUpdate(0, 200_000));
  t.equal(await client.status(3), '0');
  t.equal(await client.status(5), '0');
  t.equal(client.body(5).length, 30_005);
});

t.test('our header blocks follow a header table the client has shrunk', async (t) => {
  const { client } = await setUp(t);
  client.send(writeSettings([[SettingId.HEADER_TABLE_SIZE, 0]]));
  client.call(1, GET, naming('docs'));
  await client.status(1);
  const block = client.frames.find(({ type }) => type === FrameType.HEADERS)?.payload;
  t.equal(block?.[0], 0x20, 'a size update to 0 comes first');
});

t.test('upstream lost in the middle of a call is an error, never a short success', async (t) => {
  const { upstream, client } = await setUp(t);
  upstream.onFrame = (socket, frame) => {
    if (frame.type !== FrameType.DATA) return;
    socket.write(
      Buffer.concat([
        writeHeaders(frame.streamId, OK_HEAD, false),
        writeData(frame.streamId, framed(Buffer.alloc(100)).subarray(0, 50), false),
      ]),
      () => socket.destroy(),
    );
  };
  client.call(1, GET, naming('docs'), admin);
  t.match(await client.status(1), /^14 /);
  await client.until((frames) => frames.find(({ type }) => type === FrameType.GOAWAY));
});

t.test('upstream that cannot be reached is UNAVAILABLE, and the connection goes on', async (t) => {
  const upstream = await startUpstream(t);
  const listener = await startRelay(t, upstream, { port: 1 });
  const client = await H2Client.connect(listener.address.port);
  t.teardown(() => client.close());
  for (const id of [1, 3, 5]) {
    client.call(id, GET, naming('docs'), admin);
    t.equal(await client.status(id), '14 upstream is not reachable');
  }
});

t.test('GOAWAY from upstream: what it served ends well, the rest may be sent again elsewhere', async (t) => {
  const { upstream, client } = await setUp(t);
  upstream.onFrame = () => undefined;
  client.call(1, GET, naming('docs'), admin);
  client.call(3, GET, naming('docs'), admin);
  await upstream.waitFor(() => upstream.frames.filter(({ type }) => type === FrameType.DATA).length === 2);
  const [socket] = upstream.sockets;
  socket?.write(writeGoaway(1, ErrorCode.NO_ERROR));
  t.equal(await client.status(3), `reset ${ErrorCode.REFUSED_STREAM}`);
  if (socket) answer(socket, 1);
  t.equal(await client.status(1), '0');
  t.ok(client.frames.some(({ type }) => type === FrameType.GOAWAY));
});

t.test('a flood of frames that cost more than they carry ends the connection', async (t) => {
  const { listener } = await setUp(t);
  const floods: readonly [string, Buffer][] = [
    ['ping', writePing(Buffer.alloc(8), false)],
    ['settings', writeSettings([])],
    ['empty data', writeData(1, Buffer.alloc(0), false)],
  ];
  for (const [name, frame] of floods) {
    const client = await H2Client.connect(listener.address.port);
    client.send(client.headers(1, GET, [['api-key', 'admin']]));
    client.send(Buffer.concat(Array.from({ length: 3000 }, () => frame)));
    const goaway = await client.until((frames) => frames.find(({ type }) => type === FrameType.GOAWAY));
    t.equal(goaway.payload.readUInt32BE(4), ErrorCode.ENHANCE_YOUR_CALM, name);
    client.close();
  }
});

t.test('a client that leaves takes its upstream connection with it', async (t) => {
  const { upstream, client } = await setUp(t);
  client.call(1, GET, naming('docs'), admin);
  await client.status(1);
  client.close();
  await upstream.waitFor(() => upstream.sockets.every((socket) => socket.destroyed));
  t.pass();
});

t.test('drain: open calls finish, new ones are sent elsewhere, then the connection closes', async (t) => {
  const { upstream, client, listener } = await setUp(t);
  upstream.onFrame = () => undefined;
  client.call(1, GET, naming('docs'), admin);
  await upstream.waitFor(() => upstream.frames.some(({ type }) => type === FrameType.DATA));
  const closed = listener.close(10_000);
  await client.until((frames) => frames.find(({ type }) => type === FrameType.GOAWAY));
  client.call(3, GET, naming('docs'), admin);
  const [socket] = upstream.sockets;
  if (socket) answer(socket, 1);
  t.equal(await client.status(1), '0');
  await closed;
  t.notOk(
    client.frames.some(({ streamId }) => streamId === 3),
    'the new call got no answer here',
  );
});

t.test('nesting deeper than upstream can bear never reaches it, for any caller below global manage', async (t) => {
  const groups = (depth: number) => Buffer.concat([Buffer.alloc(depth, 0x7b), Buffer.alloc(depth, 0x7c)]); // field 15
  const reader = principal({ kind: 'global', mode: 'r' });
  const nobody = principal({ kind: 'list', modes: new Map() });
  const authenticate: ExchangeParts['authenticate'] = (raw) =>
    raw.includes('read') ? reader : raw.includes('nobody') ? nobody : raw.includes('scoped') ? SCOPED : ADMIN;
  const { upstream, client } = await setUp(t, { authenticate });
  const reflection = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  const deep = Buffer.concat([naming('docs'), groups(101)]);
  const flat = Buffer.concat([naming('docs'), groups(99)]);
  const refused = '3 ';
  const cases: readonly [name: string, path: string, key: string, message: Buffer, expected: string][] = [
    ['a read-only key, too deep', GET, 'read', deep, refused],
    ['a read-only key, just deep enough', GET, 'read', flat, '0'],
    ['a collection token, too deep', GET, 'scoped', deep, refused],
    ['a collection token, just deep enough', GET, 'scoped', flat, '0'],
    ['reflection with an empty list, too deep', reflection, 'nobody', groups(101), refused],
    ['reflection with an empty list, just deep enough', reflection, 'nobody', groups(99), '0'],
    ['global manage is trusted', GET, 'admin', deep, '0'],
  ];
  let id = 1;
  for (const [name, path, key, message, expected] of cases) {
    upstream.frames.length = 0;
    client.call(id, path, message, [['api-key', key]]);
    t.ok((await client.status(id)).startsWith(expected), name);
    const sent = upstream.frames.some(({ type, payload }) => type === FrameType.DATA && payload.length > 0);
    t.equal(sent, expected === '0', `${name}: ${expected === '0' ? 'reached' : 'did not reach'} upstream`);
    id += 2;
  }
});

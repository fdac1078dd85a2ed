import t, { type Test } from 'tap';
import { ErrorCode, FrameType, MAX_WINDOW, type Setting, SettingId } from '../../src/http2/frames.ts';
import { writeData, writeHeaders, writeSettings, writeWindowUpdate } from '../../src/http2/write-frames.ts';
import { answer, OK_END, OK_HEAD, startRelay, startUpstream } from '../grpc/relay-fixture.ts';
import { framed, H2Client, naming } from '../support/clients/h2-client.ts';

/*
 * The windows of relayed calls were not counted. DATA that overran one went on to the client, which may end its connection for
 * it with all calls; grants past the largest window went on as well, in both directions.
 */

const COUNT = '/qdrant.Points/Count';
const UPSERT = '/qdrant.Points/Upsert';
const KEY = [['api-key', 'admin']] as const;
const INITIAL = 65_535;

function window(bytes: number): Setting {
  return [SettingId.INITIAL_WINDOW_SIZE, bytes];
}

/** An upstream that says nothing by itself, and a client with these settings. */
async function begin(t: Test, settings: readonly Setting[] = []) {
  const upstream = await startUpstream(t);
  upstream.onFrame = () => undefined;
  const listener = await startRelay(t, upstream);
  const client = await H2Client.connect(listener.address.port, { settings });
  t.teardown(() => client.close());
  const told = (type: number, streamId: number): number[] =>
    upstream.frames
      .filter((frame) => frame.type === type && frame.streamId === streamId)
      .map(({ payload }) => payload.readUInt32BE(0));
  /** Upstream has seen this call. */
  const asked = (streamId: number): Promise<void> =>
    upstream.waitFor(() => upstream.frames.some((frame) => frame.streamId === streamId));
  const say = (...parts: readonly Buffer[]): void => void upstream.sockets[0]?.write(Buffer.concat(parts));
  return { upstream, client, told, asked, say };
}

t.test(
  'a call whose window is overrun ends on both sides, and its credit for the connection is returned',
  async (t) => {
    const { upstream, client, told, asked, say } = await begin(t, [window(100)]);
    client.call(1, COUNT, naming('docs'), KEY);
    client.call(3, COUNT, naming('docs'), KEY);
    await asked(3);
    say(writeHeaders(1, OK_HEAD, false), writeData(1, Buffer.alloc(60), false), writeData(1, Buffer.alloc(41), false));
    t.match(await client.status(1), /^14 /);
    t.equal(client.body(1).length, 60, 'what was allowed had come');
    await upstream.waitFor(
      () => told(FrameType.RST_STREAM, 1).length > 0 && told(FrameType.WINDOW_UPDATE, 0).length > 0,
    );
    t.same(told(FrameType.RST_STREAM, 1), [ErrorCode.FLOW_CONTROL_ERROR]);
    t.same(told(FrameType.WINDOW_UPDATE, 0), [41]);
    say(writeData(1, Buffer.alloc(500), false), writeHeaders(1, OK_END, true));
    await upstream.waitFor(() => told(FrameType.WINDOW_UPDATE, 0).length > 1);
    t.same(told(FrameType.WINDOW_UPDATE, 0), [41, 500], 'what was on its way is swallowed');
    const socket = upstream.sockets[0];
    if (socket) answer(socket, 3);
    t.equal(await client.status(3), '0', 'the other call goes on');
  },
);

t.test('a call that still sends is answered, and then reset', async (t) => {
  const { client, asked, say } = await begin(t, [window(0)]);
  client.send(client.headers(1, UPSERT, KEY), writeData(1, framed(naming('docs')), false));
  await asked(1);
  say(writeHeaders(1, OK_HEAD, false), writeData(1, Buffer.alloc(1), false));
  t.match(await client.status(1), /^14 /);
  const reset = await client.until((frames) => frames.find(({ type }) => type === FrameType.RST_STREAM));
  t.equal(reset.payload.readUInt32BE(0), ErrorCode.NO_ERROR);
});

t.test('grants of the client count, before the call goes upstream and after', async (t) => {
  const { upstream, client, told, asked, say } = await begin(t, [window(100)]);
  const message = framed(naming('docs'));
  client.send(client.headers(1, COUNT, KEY), writeWindowUpdate(1, 20), writeData(1, message, true));
  await asked(1);
  client.send(writeWindowUpdate(1, 30));
  await upstream.waitFor(() => told(FrameType.WINDOW_UPDATE, 1).length === 2);
  t.same(told(FrameType.WINDOW_UPDATE, 1), [20, 30]);
  say(writeHeaders(1, OK_HEAD, false), writeData(1, Buffer.alloc(150), false));
  await client.until(() => client.body(1).length === 150 || undefined);
  say(writeData(1, Buffer.alloc(1), false));
  t.match(await client.status(1), /^14 /);
  t.equal(client.body(1).length, 150);
});

t.test('a window that new settings make negative lets the end of an answer pass, and no DATA', async (t) => {
  for (const bytes of [0, 1]) {
    const { upstream, client, asked, say } = await begin(t);
    client.call(1, COUNT, naming('docs'), KEY);
    await asked(1);
    say(writeHeaders(1, OK_HEAD, false), writeData(1, Buffer.alloc(5000), false));
    await client.until(() => client.body(1).length === 5000 || undefined);
    client.send(writeSettings([window(1000)]));
    await upstream.waitFor(() => upstream.frames.filter(({ type }) => type === FrameType.SETTINGS).length > 1);
    say(writeData(1, Buffer.alloc(bytes), false), writeHeaders(1, OK_END, true));
    t.match(await client.status(1), bytes === 0 ? /^0$/ : /^14 /, `${bytes} bytes`);
  }
});

t.test('DATA that goes nowhere does not wait for room at the client', async (t) => {
  const { client, asked, say } = await begin(t, [window(INITIAL)]);
  for (const id of [1, 3, 5]) client.call(id, COUNT, naming('docs'), KEY);
  await asked(5);
  say(writeHeaders(1, OK_HEAD, false), writeData(1, Buffer.alloc(INITIAL), false));
  await client.until(() => client.body(1).length === INITIAL || undefined);
  // Past the windows of the call and of the connection; then of a call that is gone.
  say(writeData(1, Buffer.alloc(10), false), writeHeaders(1, OK_END, true), writeData(1, Buffer.alloc(10), false));
  say(writeHeaders(3, OK_HEAD, false), writeHeaders(3, OK_END, true));
  t.match(await client.status(1), /^14 /);
  t.equal(await client.status(3), '0');
});

t.test(
  'what the client grants a relayed call past the largest window ends that call, and upstream is not granted it',
  async (t) => {
    const { upstream, client, told, asked } = await begin(t);
    for (const id of [1, 3]) client.call(id, COUNT, naming('docs'), KEY);
    await asked(3);
    client.send(writeWindowUpdate(3, MAX_WINDOW - INITIAL), writeWindowUpdate(1, MAX_WINDOW));
    t.equal(await client.status(1), `reset ${ErrorCode.FLOW_CONTROL_ERROR}`);
    await upstream.waitFor(() => told(FrameType.RST_STREAM, 1).length > 0);
    t.same(told(FrameType.WINDOW_UPDATE, 1), []);
    t.same(told(FrameType.WINDOW_UPDATE, 3), [MAX_WINDOW - INITIAL], 'the largest window there may be is passed on');
    const socket = upstream.sockets[0];
    if (socket) answer(socket, 3);
    t.equal(await client.status(3), '0');
  },
);

t.test('settings of the client that overflow the window of a relayed call end its connection', async (t) => {
  const { client, asked } = await begin(t);
  client.call(1, COUNT, naming('docs'), KEY);
  await asked(1);
  client.send(writeWindowUpdate(1, 1), writeSettings([window(MAX_WINDOW)]));
  const goaway = await client.until((frames) => frames.find(({ type }) => type === FrameType.GOAWAY));
  t.equal(goaway.payload.readUInt32BE(4), ErrorCode.FLOW_CONTROL_ERROR);
});

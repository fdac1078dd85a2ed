import t, { type Test } from 'tap';
import { Flag, type Frame, FrameType, SettingId } from '../../src/http2/frames.ts';
import { writeSettings, writeWindowUpdate } from '../../src/http2/write-frames.ts';
import { startRelay, startUpstream } from '../grpc/relay-fixture.ts';
import { framed, H2Client } from '../support/clients/h2-client.ts';
import { message } from '../support/clients/unary.ts';

/**
 * A message of a caller with a list of collections is held until it can be judged, or is too large for that. Upstream grants
 * windows for what it has got, so a message that has begun to stream must not be held again, and nothing may be held beyond
 * what leaves the client a whole frame to send: otherwise client, gateway and upstream wait for each other.
 */

const UPSERT = '/qdrant.Points/Upsert';
const BYTES = 400_000;
const CREDENTIAL: readonly [string, string][] = [['api-key', 'scoped']];

interface Grants {
  readonly name: string;
  /** SETTINGS_INITIAL_WINDOW_SIZE of upstream. */
  readonly window: number;
  /** Upstream grants what it has got once it is so much. */
  readonly after: number;
}

const GRANTS: readonly Grants[] = [
  { name: 'at once', window: 65_535, after: 1 },
  { name: 'after half a window', window: 65_535, after: 32_767 },
  { name: 'after nearly a window', window: 65_535, after: 60_000 },
  { name: 'of small windows', window: 20_000, after: 10_000 },
  { name: 'of windows below a frame', window: 8_000, after: 4_000 },
];

async function upload(test: Test, { window, after }: Grants): Promise<void> {
  const upstream = await startUpstream(test);
  const answers = upstream.onFrame;
  const got = new Map<number, number>();
  upstream.onFrame = (socket, frame: Frame) => {
    if (frame.type === FrameType.SETTINGS && !frame.has(Flag.ACK)) {
      socket.write(writeSettings([[SettingId.INITIAL_WINDOW_SIZE, window]]));
    }
    if (frame.type === FrameType.DATA && frame.length > 0) {
      // The connection's window is never what is waited for here.
      socket.write(writeWindowUpdate(0, frame.length));
      const waiting = (got.get(frame.streamId) ?? 0) + frame.length;
      got.set(frame.streamId, waiting >= after ? 0 : waiting);
      if (waiting >= after) socket.write(writeWindowUpdate(frame.streamId, waiting));
    }
    answers(socket, frame);
  };
  const listener = await startRelay(test, upstream);
  const client = await H2Client.connect(listener.address.port);
  test.teardown(() => client.close());
  // The first call opens the connection: from then on the client goes by upstream's settings.
  client.call(1, UPSERT, Buffer.from(message({ 1: 'docs' })), CREDENTIAL);
  test.equal(await client.status(1), '0');
  await client.until((frames) =>
    frames.some(({ type, payload }) => type === FrameType.SETTINGS && payload.includes(uint32(window))),
  );
  client.send(client.headers(3, UPSERT, CREDENTIAL));
  await client.stream(3, framed(Buffer.from(message({ 1: 'docs', 1000: Buffer.alloc(BYTES) }))), true, window);
  test.equal(await client.status(3), '0', 'it arrives');
  client.send(client.headers(5, UPSERT, CREDENTIAL));
  await client.stream(5, framed(Buffer.from(message({ 1000: Buffer.alloc(BYTES), 1: 'secret' }))), true, window);
  test.equal(
    await client.status(5),
    '7 Forbidden: Access to collection secret is required',
    'one that names another collection at its end is refused',
  );
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

for (const grants of GRANTS) {
  t.test(`a large message goes on with grants ${grants.name}`, (test) => upload(test, grants));
}

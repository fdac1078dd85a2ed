import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { Flag, FrameType, SettingId } from '../../src/http2/frames.ts';
import { writeData, writeHeaders, writeWindowUpdate } from '../../src/http2/write-frames.ts';
import { framed, H2Client, naming } from '../support/clients/h2-client.ts';
import { OK_END, OK_HEAD, startRelay, startUpstream } from './relay-fixture.ts';

const UPSERT = '/qdrant.Points/Upsert';
const SIZE = 400_000;
const WINDOW = 1_000_000;

/** Bytes that tell where they stand. */
function pattern(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32BE(at * 7 + 1, at);
  return bytes;
}

/** A message that names a collection in front of a field upstream does not know. */
const message = framed(Buffer.concat([naming('docs'), Buffer.from([0xfa, 0x3e, 0x80, 0xb5, 0x18]), pattern(SIZE)]));
const answer = framed(pattern(SIZE));

const cuts: readonly [name: string, sizes: readonly number[]][] = [
  ['as TLS records', [16_384]],
  ['in the middle of each frame', [8_000, 16_393]],
  ['within heads of frames', [16_395, 16_390, 3]],
  ['in many', [1, 700, 5_000, 40_000]],
];

for (const caller of ['admin', 'scoped']) {
  for (const [name, sizes] of cuts) {
    t.test(`the bytes of a large call pass unchanged both ways, cut ${name}, for the ${caller} caller`, async (t) => {
      const upstream = await startUpstream(t);
      upstream.onFrame = (socket, frame) => {
        if (frame.type !== FrameType.DATA || !frame.has(Flag.END_STREAM)) return;
        const { streamId } = frame;
        const parts = [writeHeaders(streamId, OK_HEAD, false), writeData(streamId, answer, false)];
        socket.write(Buffer.concat([...parts, writeHeaders(streamId, OK_END, true)]));
      };
      const listener = await startRelay(t, upstream);
      const settings = [[SettingId.INITIAL_WINDOW_SIZE, WINDOW] as const];
      const client = await H2Client.connect(listener.address.port, { settings });
      t.teardown(() => client.close());
      client.send(writeWindowUpdate(0, 3 * WINDOW));
      // The first call brings the windows of upstream.
      client.call(1, UPSERT, naming('docs'), [['api-key', caller]]);
      t.equal(await client.status(1), '0');
      client.send(client.headers(3, UPSERT, [['api-key', caller]]));
      const sent = writeData(3, message, true);
      for (let at = 0, turn = 0; at < sent.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1;
        client.send(sent.subarray(at, at + size));
        at += size;
        await nextTurn();
      }
      t.equal(await client.status(3), '0');
      const got = upstream.frames.filter(({ type, streamId }) => type === FrameType.DATA && streamId === 3);
      t.ok(Buffer.concat(got.map(({ payload }) => payload)).equals(message), 'upstream has the message');
      t.ok(client.body(3).equals(answer), 'the client has the answer');
    });
  }
}

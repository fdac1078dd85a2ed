import t from 'tap';
import { FrameType, type Setting, SettingId } from '../../src/http2/frames.ts';
import { HpackDecoder } from '../../src/http2/hpack.ts';
import { writeHeaders, writeSettings } from '../../src/http2/write-frames.ts';
import { Choices } from '../fuzz/harness.ts';
import { OK_END, OK_HEAD, startRelay, startUpstream } from '../grpc/relay-fixture.ts';
import { H2Client, naming } from '../support/clients/h2-client.ts';

/*
 * Upstream and the gateway both wrote into one compression state, and both followed the client's HEADER_TABLE_SIZE: after 0
 * and then 4096 the gateway's own answer carried a size update that upstream did not know of, after 65536 and then 4096 one
 * was missing. The client could not read any answer after that.
 */

const KEY = [['api-key', 'admin']] as const;
const CALLS = 12;

/** Sends calls with changes of the table between them, and reads each block with the limits in force when it came. */
async function readAll(t: Tap, changes: readonly (readonly number[])[]): Promise<void> {
  const upstream = await startUpstream(t);
  // Upstream uses its table: an entry for each answer, and the one before.
  let answers = 0;
  upstream.onFrame = (socket, frame) => {
    if (frame.type !== FrameType.DATA || (frame.flags & 1) === 0) return;
    answers += 1;
    const entry = Buffer.from([0x40, 1, 0x61, 1, 0x30 + (answers % 10)]);
    const before = answers > 1 ? Buffer.from([0xbe]) : Buffer.alloc(0);
    const head = Buffer.concat([OK_HEAD, before, entry]);
    socket.write(
      Buffer.concat([writeHeaders(frame.streamId, head, false), writeHeaders(frame.streamId, OK_END, true)]),
    );
  };
  const listener = await startRelay(t, upstream);
  const client = await H2Client.connect(listener.address.port);
  t.teardown(() => client.close());
  const settings: number[][] = [[]];
  for (let call = 0; call < CALLS; call += 1) {
    for (const size of changes[call] ?? []) {
      client.send(writeSettings([[SettingId.HEADER_TABLE_SIZE, size] satisfies Setting]));
      settings.push([size]);
    }
    const id = 2 * call + 1;
    client.call(id, '/qdrant.Points/Count', naming('docs'), call % 3 === 0 ? [['api-key', 'nobody']] : KEY);
    await client.until((frames) =>
      frames.find((f) => f.streamId === id && f.type === FrameType.HEADERS && f.flags & 1),
    );
  }
  await client.until(
    (frames) =>
      frames.filter(({ type, flags }) => type === FrameType.SETTINGS && flags === 1).length >= settings.length ||
      undefined,
  );
  const decoder = new HpackDecoder({ maxHeaderBytes: 100_000, maxHeaders: 100 });
  for (const { type, flags, payload } of client.frames) {
    if (type === FrameType.SETTINGS && flags === 1)
      for (const size of settings.shift() ?? []) decoder.setMaxTableBytes(size);
    if (type === FrameType.HEADERS) decoder.decode(payload, () => undefined);
  }
  t.pass(JSON.stringify(changes));
}

type Tap = Parameters<typeof startUpstream>[0];

t.test('a smaller table and then the usual one', (t) => readAll(t, [[], [0, 4096]]));
t.test('a larger table and then the usual one', (t) => readAll(t, [[], [], [65_536], [4096]]));
t.test('a table that is taken away before the first answer', (t) => readAll(t, [[0]]));

t.test('any changes between refusals and answers of upstream leave every block readable', async (t) => {
  const choices = new Choices(5);
  for (let round = 0; round < 40; round += 1) {
    const changes = Array.from({ length: CALLS }, () =>
      Array.from({ length: choices.below(4) }, () =>
        choices.of([0, 1, 31, 64, 100, 4095, 4096, 4097, 65_536, 0xffff_ffff]),
      ),
    );
    await readAll(t, changes);
  }
});

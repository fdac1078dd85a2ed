import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { CLIENT_PREFACE, Flag, FrameType, parseSettings, type Setting, SettingId } from '../../src/http2/frames.ts';
import { encodeHeaders, encodeTableSizeUpdate } from '../../src/http2/hpack.ts';
import { writeData, writeFrameHeader, writeHeaders, writeSettings } from '../../src/http2/write-frames.ts';
import { framed, H2Client, naming } from '../support/clients/h2-client.ts';
import { OK_HEAD, startRelay, startUpstream, type Upstream } from './relay-fixture.ts';

/*
 * The header blocks of answers are read, and written again for the client: the exchange tells their gRPC status.
 */

const GET = '/qdrant.Collections/Get';
const ADMIN = [['api-key', 'admin']] as const;

const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')]);
/** A literal that goes into the dynamic table. */
const insert = (name: string, value: string): Buffer => Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);
const newest = (position = 1): Buffer => Buffer.from([0x80 | (61 + position)]);
const status = (code: string): Buffer => encodeHeaders([['grpc-status', code]]);

async function begin(t: Test) {
  const upstream = await startUpstream(t);
  const recorded: (number | undefined)[] = [];
  const seen = new EventEmitter();
  const untilRecorded = async (count: number): Promise<void> => {
    while (recorded.length < count) await once(seen, 'record', { signal: AbortSignal.timeout(10_000) });
  };
  const record = (_exchange: unknown, outcome: { readonly status: number | undefined }): void => {
    recorded.push(outcome.status);
    seen.emit('record');
  };
  const listener = await startRelay(t, upstream, { record });
  const client = await H2Client.connect(listener.address.port);
  t.teardown(() => client.close());
  return { upstream, client, recorded, untilRecorded, port: listener.address.port };
}

/** A client that calls and does not listen, so that an answer may come in any form. */
async function deafClient(t: Test, port: number, settings: readonly Setting[]): Promise<(streamId: number) => void> {
  const socket = connect({ host: '127.0.0.1', port });
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  socket.resume();
  socket.write(Buffer.concat([CLIENT_PREFACE, writeSettings(settings)]));
  const head = encodeHeaders([[':method', 'POST'], [':scheme', 'http'], [':path', GET], ['te', 'trailers'], ...ADMIN]);
  return (id) => {
    socket.write(Buffer.concat([writeHeaders(id, head, false), writeData(id, framed(naming('docs')), true)]));
  };
}

/** Answers the calls to come with these pieces, one list after the other. */
function answering(upstream: Upstream, answers: readonly ((id: number) => Buffer[])[]): void {
  let next = 0;
  upstream.onFrame = (socket: Socket, frame) => {
    if (frame.type !== FrameType.DATA || !frame.has(Flag.END_STREAM)) return;
    const answer = answers[next++];
    if (answer) socket.write(Buffer.concat(answer(frame.streamId)));
  };
}

const whole =
  (end: Buffer, head: Buffer = OK_HEAD) =>
  (id: number): Buffer[] => [
    writeHeaders(id, head, false),
    writeData(id, framed(Buffer.alloc(0)), false),
    writeHeaders(id, end, true),
  ];
const trailersOnly =
  (block: Buffer) =>
  (id: number): Buffer[] => [writeHeaders(id, block, true)];

/** A block as one padded HEADERS frame with a priority, and one CONTINUATION for each further byte. */
function inPieces(block: Buffer): (id: number) => Buffer[] {
  return (id) => {
    const first = Buffer.alloc(9 + 1 + 5 + 1 + 3);
    writeFrameHeader(first, 0, 10, FrameType.HEADERS, Flag.END_STREAM | Flag.PADDED | Flag.PRIORITY, id);
    first[9] = 3;
    first[15] = block[0] ?? 0;
    const rest = [...block.subarray(1)].map((byte, at) => {
      const frame = Buffer.alloc(10);
      const last = at === block.length - 2;
      writeFrameHeader(frame, 0, 1, FrameType.CONTINUATION, last ? Flag.END_HEADERS : 0, id);
      frame[9] = byte;
      return frame;
    });
    return [writeHeaders(id, OK_HEAD, false), first, ...rest];
  };
}

const CASES: readonly (readonly [name: string, answer: (id: number) => Buffer[], status: number | undefined])[] = [
  ['trailers that say it went well', whole(status('0')), 0],
  ['trailers that say it did not', whole(status('5')), 5],
  [
    'trailers only',
    trailersOnly(
      encodeHeaders([
        [':status', '200'],
        ['grpc-status', '15'],
      ]),
    ),
    15,
  ],
  ['trailers without a status', whole(encodeHeaders([['x-other', '1']])), undefined],
  ['a status that is no number', whole(status('ok')), 2],
  [
    'a status in the head of an answer that goes on',
    whole(encodeHeaders([['x', '']]), Buffer.concat([OK_HEAD, status('7')])),
    undefined,
  ],
  ['a status put into the header table', whole(insert('grpc-status', '3')), 3],
  ['a status from the header table', whole(newest()), 3],
  ['the same block again', whole(newest()), 3],
  ['the same block over another table', whole(insert('grpc-status', '9')), 9],
  ['and from there', whole(newest()), 9],
  ['the one before it', whole(newest(2)), 3],
  ['a block in pieces', inPieces(status('13')), 13],
  ['a block in pieces that fills the table', inPieces(insert('grpc-status', '11')), 11],
  ['and its entry', whole(newest()), 11],
];

t.test('an exchange tells the status of its answer, however upstream has written it', async (t) => {
  const { upstream, port, recorded, untilRecorded } = await begin(t);
  const send = await deafClient(t, port, []);
  answering(
    upstream,
    CASES.map(([, answer]) => answer),
  );
  for (const [at, [name, , expected]] of CASES.entries()) {
    send(at * 2 + 1);
    await untilRecorded(at + 1);
    t.equal(recorded[at], expected, name);
  }
});

t.test('the client gets the fields upstream has sent, whatever table upstream wrote them with', async (t) => {
  const ends = [insert('grpc-status', '3'), newest(), Buffer.concat([encodeTableSizeUpdate(0), status('4')])];
  const { upstream, client } = await begin(t);
  answering(
    upstream,
    ends.map((end) => whole(end)),
  );
  for (const [at, code] of ['3', '3', '4'].entries()) {
    const id = at * 2 + 1;
    client.call(id, GET, naming('docs'), ADMIN);
    await client.status(id);
    const seen = client.frames.filter(({ streamId }) => streamId === id);
    t.strictSame(
      seen.map(({ headers }) => ({ ...headers })),
      [{ ':status': '200', 'content-type': 'application/grpc' }, {}, { 'grpc-status': code }],
    );
    const update = at === 0 ? [encodeTableSizeUpdate(0)] : [];
    t.same(
      seen.map(({ payload }) => payload),
      [Buffer.concat([...update, OK_HEAD]), framed(Buffer.alloc(0)), status(code)],
    );
  }
});

t.test(
  'the answer of a cancelled call is read, so that the header table stays in step, and goes nowhere',
  async (t) => {
    const { upstream, client, recorded } = await begin(t);
    const open: number[] = [];
    upstream.onFrame = (socket, frame) => {
      if (frame.type === FrameType.DATA) open.push(frame.streamId);
      if (frame.type === FrameType.RST_STREAM) {
        socket.write(Buffer.concat(trailersOnly(insert('grpc-status', '8'))(open[0] ?? 0)));
        socket.write(Buffer.concat(whole(newest())(open[1] ?? 0)));
      }
    };
    client.call(1, GET, naming('docs'), ADMIN);
    client.call(3, GET, naming('docs'), ADMIN);
    await upstream.waitFor(() => open.length === 2);
    client.send(Buffer.from([0, 0, 4, FrameType.RST_STREAM, 0, 0, 0, 0, 1, 0, 0, 0, 8]));
    t.equal(await client.status(3), '8');
    t.same(recorded, [undefined, 8]);
  },
);

t.test('a block that cannot be decoded ends the upstream connection, and the call with an error', async (t) => {
  const faults: readonly (readonly [name: string, block: Buffer])[] = [
    ['an index without an entry', newest()],
    ['a header list far over the limit', encodeHeaders([['x', 'v'.repeat(5)], ...Array(9000).fill(['y', ''])])],
  ];
  for (const [name, block] of faults) {
    const { upstream, client, recorded } = await begin(t);
    answering(upstream, [trailersOnly(block)]);
    client.call(1, GET, naming('docs'), ADMIN);
    t.match(await client.status(1), /^14 /, name);
    t.same(recorded, [14]);
    await upstream.waitFor(() => upstream.sockets.every(({ destroyed }) => destroyed));
  }
});

t.test('upstream is told nothing of the header table of the client, whatever it is', async (t) => {
  for (const asked of [0, 8192, 0xffff_ffff]) {
    const { upstream, port, recorded, untilRecorded } = await begin(t);
    const fills = Buffer.concat([OK_HEAD, ...Array(60).fill(insert('x', 'v'.repeat(100))), status('6')]);
    answering(upstream, [trailersOnly(fills)]);
    const send = await deafClient(t, port, [[SettingId.HEADER_TABLE_SIZE, asked]]);
    send(1);
    await untilRecorded(1);
    const told = upstream.frames
      .filter(({ type, flags }) => type === FrameType.SETTINGS && flags === 0)
      .flatMap(({ payload }) => parseSettings(payload, 'client'));
    t.same([told, recorded], [[[SettingId.ENABLE_PUSH, 0]], [6]], String(asked));
  }
});

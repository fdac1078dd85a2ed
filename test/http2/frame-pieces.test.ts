import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { FrameReader } from '../../src/http2/frame-reader.ts';
import { dataOf, Flag, FRAME_HEADER_BYTES, type Frame, FrameType, leadingDataOf } from '../../src/http2/frames.ts';
import { Outbox } from '../../src/http2/outbox.ts';
import { writeFrameHeader } from '../../src/http2/write-frames.ts';
import { runs } from '../support/generators/runs.ts';

const LARGE = 16_384;

/** A frame whose payload tells where each of its bytes stands. */
function frame(type: number, length: number, flags = 0, streamId = 1): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + length);
  for (let at = 0; at < length; at++) bytes[FRAME_HEADER_BYTES + at] = at % 251;
  if ((flags & Flag.PADDED) !== 0) bytes[FRAME_HEADER_BYTES] = Math.min(length - 1, 7);
  writeFrameHeader(bytes, 0, length, type, flags, streamId);
  return bytes;
}

type Seen = readonly [type: number, flags: number, streamId: number, raw: string, payload: string];

/** What a reader gives of these chunks, and how many frames came in two pieces. */
function read(chunks: readonly Buffer[], pieces: boolean): { readonly seen: readonly Seen[]; readonly split: number } {
  const reader = new FrameReader(LARGE, false, pieces);
  const seen: Seen[] = [];
  let split = 0;
  const take = (one: Frame): void => {
    const { type, flags, streamId, raw, payload, trailingData } = one;
    if (trailingData) split += 1;
    if (type === FrameType.DATA) {
      const parts = Buffer.concat([leadingDataOf(one), trailingData ?? Buffer.alloc(0)]);
      if (!parts.equals(dataOf(one))) throw new Error('the pieces are not the payload');
    }
    seen.push([type, flags, streamId, raw.toString('latin1'), payload.toString('latin1')]);
  };
  for (const chunk of chunks) reader.push(chunk, take);
  return { seen, split };
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (let turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    // Each in memory of its own, as they come from a socket.
    const chunk = Buffer.allocUnsafeSlow(Math.min(size, bytes.length - at));
    bytes.copy(chunk, 0, at);
    chunks.push(chunk);
    at += size;
  }
  return chunks;
}

const cases: readonly [name: string, bytes: Buffer, at: number, split: number][] = [
  ['DATA in two chunks comes in two pieces', frame(FrameType.DATA, LARGE), 5_000, 1],
  ['also with END_STREAM', frame(FrameType.DATA, LARGE, Flag.END_STREAM), 5_000, 1],
  ['and when only its last byte is missing', frame(FrameType.DATA, LARGE), LARGE + FRAME_HEADER_BYTES - 1, 1],
  ['and when no more than its header has come', frame(FrameType.DATA, LARGE), FRAME_HEADER_BYTES, 1],
  ['within its header it is copied', frame(FrameType.DATA, LARGE), FRAME_HEADER_BYTES - 1, 0],
  ['with padding it is copied', frame(FrameType.DATA, LARGE, Flag.PADDED), 5_000, 0],
  ['a small one is copied', frame(FrameType.DATA, 2_047), 1_000, 0],
  ['a header block is copied', frame(FrameType.HEADERS, LARGE, Flag.END_HEADERS), 5_000, 0],
];

for (const [name, bytes, at, split] of cases) {
  t.test(name, async (t) => {
    const chunks = [Buffer.from(bytes.subarray(0, at)), Buffer.from(bytes.subarray(at))];
    const got = read(chunks, true);
    t.equal(got.split, split);
    t.same(got.seen, read([bytes], false).seen);
    t.equal(read(chunks, false).split, 0, 'never without being asked for');
  });
}

t.test('in three chunks it is copied', async (t) => {
  const bytes = frame(FrameType.DATA, LARGE);
  t.equal(read(cut(bytes, [6_000]), true).split, 0);
});

t.test('of a large chunk not a small part is kept for it', async (t) => {
  const bytes = Buffer.concat([
    frame(FrameType.DATA, LARGE),
    frame(FrameType.DATA, LARGE),
    frame(FrameType.DATA, LARGE),
  ]);
  const first = 2 * (LARGE + FRAME_HEADER_BYTES);
  t.equal(read([bytes.subarray(0, first + 1_000), bytes.subarray(first + 1_000)], true).split, 0);
  t.equal(read([bytes.subarray(0, first + 15_000), bytes.subarray(first + 15_000)], true).split, 1);
});

t.test('a frame that the callback stops behind leaves the rest of the chunk', async (t) => {
  const bytes = Buffer.concat([frame(FrameType.DATA, LARGE), frame(FrameType.PING, 8, 0, 0)]);
  const reader = new FrameReader(LARGE, false, true);
  const types: number[] = [];
  const stopping = ({ type }: Frame): void => {
    types.push(type);
    reader.stop();
  };
  t.equal(reader.push(bytes.subarray(0, 100), stopping), 100);
  const second = bytes.subarray(100);
  const taken = reader.push(second, stopping);
  t.equal(taken, LARGE + FRAME_HEADER_BYTES - 100);
  t.equal(reader.push(second.subarray(taken), stopping), second.length - taken);
  t.same(types, [FrameType.DATA, FrameType.PING]);
});

t.test('what passes whole leaves in the chunks that came, without a copy', async (t) => {
  const written: Buffer[] = [];
  const socket = new Writable({
    write(bytes, _encoding, done) {
      written.push(bytes);
      done();
    },
  });
  const outbox = new Outbox();
  outbox.attach(Object.assign(socket, { cork: () => undefined, uncork: () => undefined }) as unknown as Socket);
  const chunks = cut(Buffer.concat(Array.from({ length: 4 }, () => frame(FrameType.DATA, LARGE))), [15_000]);
  const reader = new FrameReader(LARGE, false, true);
  for (const chunk of chunks) reader.push(chunk, (one) => outbox.frame(one));
  outbox.flush();
  t.equal(written.length, chunks.length);
  t.ok(written.every((bytes, at) => bytes === chunks[at]));
});

/** Passes the frames of some chunks on, those of `kept` streams as used elsewhere. Gives the sizes of the chunks afterwards. */
async function passOn(chunks: readonly Buffer[], kept: readonly number[], flushes = false): Promise<number[]> {
  const socket = new Writable({ write: (_bytes, _encoding, done) => done() });
  const outbox = new Outbox();
  outbox.attach(socket as unknown as Socket);
  const reader = new FrameReader(LARGE, false, true);
  for (const chunk of chunks) {
    reader.push(chunk, (one) => outbox.frame(one, !kept.includes(one.streamId)));
    if (flushes) outbox.flush();
  }
  outbox.flush();
  await new Promise((resolve) => socket.end(resolve));
  return chunks.map(({ length }) => length);
}

t.test('the memory of chunks is freed once they are written, if all of their frames may be', async (t) => {
  const all = (): Buffer => Buffer.concat([1, 3, 5, 5].map((id) => frame(FrameType.DATA, LARGE, 0, id)));
  const sizes = [2 * (LARGE + FRAME_HEADER_BYTES), 24_000, 2 * (LARGE + FRAME_HEADER_BYTES) - 24_000];
  t.same(await passOn(cut(all(), sizes), []), [0, 0, 0]);
  t.same(await passOn(cut(all(), sizes), [1]), [sizes[0], 0, 0], 'not one with frames that are used elsewhere');
  t.same(await passOn(cut(all(), sizes), [3]), [sizes[0], 0, 0], 'wherever it stands');
  t.same(await passOn(cut(all(), sizes), [5]), [0, sizes[1], sizes[2]], 'and whether it ends there');
  t.same(await passOn(cut(all(), sizes), [], true), [0, 0, 0], 'one that was written in parts as well');
});

t.test('however a stream is cut, its frames are the same', async (t) => {
  const length = fc.oneof(
    fc.nat(40),
    fc.integer({ min: 1_900, max: 2_200 }),
    fc.integer({ min: 8_000, max: LARGE - 1 }),
  );
  const one = fc
    .tuple(fc.constantFrom(0, 0, 0, 1, 6, 8, 0x42), length, fc.constantFrom(0, 0, Flag.END_STREAM, Flag.PADDED))
    .map(([type, size, flags]) => frame(type, (flags & Flag.PADDED) === 0 ? size : size + 1, flags));
  const sizes = fc.array(
    fc.oneof(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 9_000, max: 17_000 }),
      fc.nat(40_000).map((size) => size + 1),
    ),
    {
      minLength: 1,
      maxLength: 6,
    },
  );
  let split = 0;
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 12 }), sizes, (frames, by) => {
      const bytes = Buffer.concat(frames);
      const got = read(cut(bytes, by), true);
      split += got.split;
      return isDeepStrictEqual(got.seen, read([bytes], false).seen);
    }),
    { numRuns: runs(400) },
  );
  t.ok(split > runs(400) / 20, `${split} in two pieces`);
});

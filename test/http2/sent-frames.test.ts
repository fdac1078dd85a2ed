import t from 'tap';
import { Flag, FrameType } from '../../src/http2/frames.ts';
import { SentFrames } from '../../src/http2/sent-frames.ts';

function frame(type: number, flags: number, streamId: number, length: number): Buffer {
  const bytes = Buffer.alloc(9 + length, 0xff);
  bytes.writeUIntBE(length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(streamId, 5);
  return bytes;
}

const { DATA, HEADERS, CONTINUATION, RST_STREAM, SETTINGS, PING } = FrameType;
const { ACK, END_STREAM, END_HEADERS } = Flag;

const FRAMES: readonly (readonly [about: string, bytes: Buffer, ended: number | undefined])[] = [
  ['SETTINGS', frame(SETTINGS, ACK, 0, 0), undefined],
  ['a head with more to come', frame(HEADERS, END_HEADERS, 1, 30), undefined],
  ['DATA', frame(DATA, 0, 1, 300), undefined],
  ['the last DATA', frame(DATA, END_STREAM, 1, 5), 1],
  ['a head that is all', frame(HEADERS, END_HEADERS | END_STREAM, 3, 30), 3],
  ['empty DATA that is the last', frame(DATA, END_STREAM, 5, 0), 5],
  ['a head that goes on', frame(HEADERS, END_STREAM, 7, 10), undefined],
  ['its second piece', frame(CONTINUATION, 0, 7, 10), undefined],
  ['its last piece', frame(CONTINUATION, END_HEADERS, 7, 10), 7],
  ['the last piece of a head with more to come', frame(CONTINUATION, END_HEADERS, 9, 10), undefined],
  ['PING with the flag of ACK', frame(PING, ACK, 0, 8), undefined],
  ['a reset', frame(RST_STREAM, END_STREAM, 11, 4), undefined],
];

t.test('each stream is told once, when the last byte of its last frame has come, in pieces of any size', async (t) => {
  const whole = Buffer.concat(FRAMES.map(([, bytes]) => bytes));
  const expected: [number, number][] = [];
  let end = 0;
  for (const [, bytes, ended] of FRAMES) {
    end += bytes.length;
    if (ended !== undefined) expected.push([ended, end]);
  }
  for (const size of [1, 2, 8, 9, 10, 64, whole.length]) {
    const told: [number, number][] = [];
    let at = 0;
    const sent = new SentFrames((streamId) => told.push([streamId, at]));
    while (at < whole.length) {
      const piece = whole.subarray(at, at + size);
      at += piece.length;
      sent.push(piece);
    }
    const due = expected.map(([id, byte]) => [id, Math.min(whole.length, Math.ceil(byte / size) * size)]);
    t.strictSame(told, due, `pieces of ${size}`);
  }
});

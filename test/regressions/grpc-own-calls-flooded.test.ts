import t, { type Test } from 'tap';
import type { Frame } from '../../src/http2/frames.ts';
import { encodeHeaders } from '../../src/http2/hpack.ts';
import { writeData, writeHeaders } from '../../src/http2/write-frames.ts';
import { OK_END, OK_HEAD, answer as whole } from '../grpc/relay-fixture.ts';
import { Granted, isWhole, startOwnCalls } from '../grpc/unary/own-calls.ts';
import { framed } from '../support/clients/h2-client.ts';
import { inPatience } from '../support/reference.ts';

/*
 * The gateway asks upstream itself for lists that it filters. A broken upstream that sent its answer in DATA frames of one byte
 * (bytes are bounded, frames were not) or heads of 1xx without end made the client that was used then keep 800 MB in twelve
 * seconds. Frames that carry next to nothing have a price now, as on the connections of the relay.
 */

/** More small frames than the price of one connection allows, and than one window holds. */
const FLOOD = 150_000;

/** The answer of one call in pieces of so many bytes, sent as the client grants them; then its end. */
async function inPieces(t: Test, message: Buffer, size: number) {
  let sent = 0;
  const body = framed(message);
  const { list, upstream } = await startOwnCalls(t, () => undefined);
  let granted: Granted | undefined;
  const { onFrame } = upstream;
  upstream.onFrame = (socket, frame: Frame) => {
    onFrame(socket, frame);
    granted?.take(frame);
    if (!granted && isWhole(frame)) {
      granted = new Granted(frame.streamId);
      socket.write(writeHeaders(frame.streamId, OK_HEAD, false));
    }
    if (!granted || sent === body.length) return;
    const frames: Buffer[] = [];
    for (; sent < body.length && granted.bytes >= size; sent += Math.min(size, body.length - sent)) {
      const piece = body.subarray(sent, sent + size);
      granted.spend(piece.length);
      frames.push(writeData(1, piece, false));
    }
    if (sent === body.length) frames.push(writeHeaders(1, OK_END, true));
    socket.write(Buffer.concat(frames));
  };
  const answer = await inPatience(list());
  return { answer, sent: Math.ceil(sent / size), list, upstream };
}

const PIECES: readonly (readonly [name: string, bytes: number, size: number])[] = [
  ['a short list, byte for byte', 300, 1],
  ['1 MiB in frames of 1 KiB', 1_048_576, 1_024],
  ['1 MiB in frames of 700 bytes', 1_048_576, 700],
  ['8 MiB in the largest frames', 8_388_608, 16_384],
];

for (const [name, bytes, size] of PIECES) {
  t.test(`${name} is read`, async (t) => {
    const { answer } = await inPieces(t, Buffer.alloc(bytes, 'm'), size);
    t.match(answer, { kind: 'message' });
    t.ok(
      answer !== 'late' && answer.kind === 'message' && answer.message.equals(Buffer.alloc(bytes, 'm')),
      'every byte',
    );
  });
}

t.test('an answer in frames of one byte ends its connection, and the next call is answered on another', async (t) => {
  const { answer, sent, list, upstream } = await inPieces(t, Buffer.alloc(FLOOD), 1);
  t.match(answer, { kind: 'denial', code: 'upstream_broken' });
  t.ok(sent < FLOOD, `${sent} frames were sent`);
  upstream.onFrame = (socket, frame) => {
    if (isWhole(frame)) whole(socket, frame.streamId);
  };
  t.match(await inPatience(list()), { kind: 'message' });
  t.equal(upstream.sockets.length, 2);
});

const EARLY_HINTS = encodeHeaders([
  [':status', '103'],
  ['link', '</a>'],
]);

for (const [heads, kind] of [
  [8, 'message'],
  [9, 'denial'],
  [5_000, 'denial'],
] as const) {
  t.test(`an answer with ${heads} heads of 1xx is a ${kind}`, async (t) => {
    const { list } = await startOwnCalls(t, (socket, id) => {
      const head = writeHeaders(id, EARLY_HINTS, false);
      const rest = [
        writeHeaders(id, OK_HEAD, false),
        writeData(id, framed(Buffer.alloc(0)), false),
        writeHeaders(id, OK_END, true),
      ];
      socket.write(Buffer.concat([...Array(heads).fill(head), ...rest]));
    });
    t.match(await inPatience(list()), { kind });
  });
}

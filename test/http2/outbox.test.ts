import { Socket } from 'node:net';
import t from 'tap';
import { Outbox } from '../../src/http2/outbox.ts';
import { writeData } from '../../src/http2/write-frames.ts';
import { nextTurn } from '../support/later.ts';

/** A socket that takes what is written whenever the test lets it; each piece is looked at only then. */
class SlowSocket extends Socket {
  readonly taken: Buffer[] = [];
  readonly #waiting: { readonly chunks: readonly Buffer[]; readonly done: (error?: Error | null) => void }[] = [];

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#waiting.push({ chunks: [chunk], done });
  }

  override _writev(pieces: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#waiting.push({ chunks: pieces.map(({ chunk }) => chunk), done });
  }

  /** Takes one write, where there is one. */
  takeOne(): void {
    const next = this.#waiting.shift();
    if (!next) return;
    this.taken.push(Buffer.concat(next.chunks));
    next.done();
  }

  /** One write fails; its bytes are still the socket's. */
  failOne(): readonly Buffer[] {
    const next = this.#waiting.shift();
    next?.done(new Error('gone'));
    return next?.chunks ?? [];
  }
}

const CONNECTIONS = 7;
const BURSTS = 400;

t.test('copied pieces are not written over before they have been sent, however late sockets take them', async (t) => {
  const lines = Array.from({ length: CONNECTIONS }, () => {
    const outbox = new Outbox();
    const socket = new SlowSocket();
    outbox.attach(socket);
    return { outbox, socket, expected: [] as Buffer[] };
  });
  for (let burst = 0; burst < BURSTS; burst++) {
    for (const [index, { outbox, expected }] of lines.entries()) {
      for (let piece = 0; piece < 1 + ((burst * 7 + index) % 20); piece++) {
        const bytes = writeData(1, Buffer.alloc(((burst + piece) * 131) % 3000, burst * 31 + index * 7 + piece), false);
        expected.push(Buffer.from(bytes));
        outbox.bytes(bytes);
      }
      outbox.flush();
    }
    // The first takes everything at once, the last nearly nothing until the end.
    for (const [index, { socket }] of lines.entries()) {
      if (burst % (index + 1) === 0) socket.takeOne();
      await nextTurn();
    }
  }
  for (const { socket } of lines) {
    for (let left = 0; left < BURSTS + 1 && socket.writableLength > 0; left++) {
      socket.takeOne();
      await nextTurn();
    }
  }
  for (const [index, { socket, expected }] of lines.entries()) {
    t.ok(Buffer.concat(socket.taken).equals(Buffer.concat(expected)), `connection ${index} sent what it was given`);
  }
});

t.test('memory of a write that fails is not used again', async (t) => {
  const outbox = new Outbox();
  const socket = new SlowSocket();
  socket.on('error', () => undefined);
  outbox.attach(socket);
  outbox.bytes(Buffer.alloc(100, 1));
  outbox.flush();
  const bytes = socket.failOne();
  await nextTurn();
  const other = new Outbox();
  const otherSocket = new SlowSocket();
  other.attach(otherSocket);
  for (let burst = 0; burst < 2000; burst++) {
    other.bytes(Buffer.alloc(1000, 2));
    other.flush();
    otherSocket.takeOne();
    await nextTurn();
  }
  t.ok(Buffer.concat(bytes).equals(Buffer.alloc(100, 1)), 'its bytes are as they were');
});

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { Guard } from '../../src/lifetime/guard.ts';
import { fillsMemory, freeMemory, type Outgoing, writeAll } from '../../src/net/written-bytes.ts';

const LARGE = 16_384;

/** Bytes with memory of their own, as a socket gives them. */
const own = (size: number, byte: number): Buffer => Buffer.alloc(size, byte);

const [ONE, OTHER] = [{}, {}];
const HALF = LARGE / 2;

/** Parts of one piece of memory, in the order they are written, and by whom; which of them fills it. */
const parts: readonly [name: string, size: number, parts: readonly [object, number, number][], filled: boolean[]][] = [
  ['a large buffer fills its memory', LARGE, [[ONE, 0, LARGE]], [true]],
  ['a part of one does not', LARGE, [[ONE, 1, LARGE]], [false]],
  ['a small one is not worth it', 1024, [[ONE, 0, 1024]], [false]],
  [
    'parts fill it together, small ones as well',
    LARGE,
    [
      [ONE, 0, HALF],
      [ONE, HALF, LARGE - 10],
      [ONE, LARGE - 10, LARGE],
    ],
    [false, false, true],
  ],
  [
    'parts of two connections do not',
    LARGE,
    [
      [ONE, 0, HALF],
      [OTHER, HALF, LARGE],
    ],
    [false, false],
  ],
  [
    'nor do parts with a gap between them',
    LARGE,
    [
      [ONE, 0, HALF],
      [ONE, HALF + 1, LARGE],
    ],
    [false, false],
  ],
  [
    'nor parts in another order',
    LARGE,
    [
      [ONE, HALF, LARGE],
      [ONE, 0, HALF],
    ],
    [false, false],
  ],
  [
    'nor the same end again',
    LARGE,
    [
      [ONE, 0, LARGE],
      [ONE, HALF, LARGE],
    ],
    [true, false],
  ],
];

for (const [name, size, written, filled] of parts) {
  t.test(name, async (t) => {
    const { buffer: memory } = own(size, 1);
    const fills = written.map(([owner, from, to]) => {
      // Half of the bytes before them belong to the same view.
      const start = from >> 1;
      return fillsMemory(owner, Buffer.from(memory, start), from - start, to - start);
    });
    t.same(fills, filled);
  });
}

t.test('a buffer of the pool does not fill its memory', async (t) => {
  t.equal(fillsMemory(ONE, Buffer.from('x'.repeat(3000)), 0, 3000), false);
});

t.test('freed memory has no bytes any more', async (t) => {
  const bytes = own(LARGE, 7);
  const view = bytes.subarray(10, 20);
  freeMemory(bytes);
  t.same([bytes.length, view.length, view[0]], [0, 0, undefined]);
});

/** Two ends of a connection. */
async function pair(t: Test): Promise<{ readonly socket: Socket; readonly peer: Socket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  const accepted = once(server, 'connection');
  const socket = connect(address.port, '127.0.0.1');
  const [peer]: Socket[] = await accepted;
  if (!peer) throw new TypeError('no connection');
  t.teardown(() => {
    socket.destroy();
    peer.destroy();
    server.close();
  });
  return { socket, peer };
}

const faults: unknown[] = [];
const guard = new Guard({ fail: (error) => faults.push(error), cut: () => undefined }, 'rest_relay', (error) =>
  faults.push(error),
);

const writes: readonly [name: string, outgoing: () => Outgoing[], left: readonly number[]][] = [
  ['one that is used once', () => [{ bytes: own(LARGE, 1), once: true }], [0]],
  ['one that is used again', () => [{ bytes: own(LARGE, 1), once: false }], [LARGE]],
  [
    'several, freed with the last of them',
    () => [
      { bytes: own(LARGE, 1), once: true },
      { bytes: own(LARGE, 2), once: false },
      { bytes: own(10, 3), once: true },
      { bytes: own(LARGE + 1, 4), once: true },
      { bytes: own(LARGE, 5), once: false },
    ],
    [0, LARGE, 10, 0, LARGE],
  ],
  [
    'the parts of one piece of memory',
    () => {
      const whole = own(LARGE, 6);
      return [
        { bytes: whole.subarray(0, HALF), once: true },
        { bytes: whole.subarray(HALF), once: true },
      ];
    },
    [0, 0],
  ],
  [
    'parts of one piece of memory, one of which is used again',
    () => {
      const whole = own(LARGE, 6);
      return [
        { bytes: whole.subarray(0, HALF), once: false },
        { bytes: whole.subarray(HALF), once: true },
      ];
    },
    [HALF, HALF],
  ],
];

for (const [name, make, left] of writes) {
  t.test(`the peer gets all bytes: ${name}`, async (t) => {
    const { socket, peer } = await pair(t);
    const got = buffer(peer);
    const outgoing = make();
    const sent = Buffer.concat(outgoing.map(({ bytes }) => bytes));
    writeAll(socket, outgoing, guard);
    socket.end();
    t.ok((await got).equals(sent));
    t.same(
      outgoing.map(({ bytes }) => bytes.length),
      left,
    );
    t.same(faults, []);
  });
}

t.test('what could not be written keeps its memory', async (t) => {
  const { socket, peer } = await pair(t);
  const bytes = own(LARGE, 1);
  peer.destroy();
  socket.on('error', () => undefined);
  socket.destroy();
  writeAll(socket, [{ bytes, once: true }], guard);
  await once(socket, 'close');
  t.equal(bytes.length, LARGE);
});

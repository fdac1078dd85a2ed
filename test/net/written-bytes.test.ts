import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { Guard } from '../../src/lifetime/guard.ts';
import { fillMemory, freeMemory, type Outgoing, writeAll } from '../../src/net/written-bytes.ts';

const LARGE = 16_384;

/** Bytes with memory of their own, as a socket gives them. */
const own = (size: number, byte: number): Buffer => Buffer.alloc(size, byte);

const sizes: readonly [name: string, bytes: () => Buffer, filled: boolean][] = [
  ['a large buffer fills its memory', () => own(LARGE, 1), true],
  ['a part of one does not', () => own(LARGE, 1).subarray(1), false],
  ['a small one is not worth it', () => own(1024, 1), false],
  ['nor is one of the pool', () => Buffer.from('x'.repeat(100)), false],
];

for (const [name, bytes, filled] of sizes) t.test(name, async (t) => t.equal(fillMemory(bytes()), filled));

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

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Guard } from '../../src/lifetime/guard.ts';
import { clientAddressOf } from '../../src/net/client-address.ts';
import { identifyClient } from '../../src/net/identify-client.ts';
import { trustedProxies } from '../../src/net/trusted-proxies.ts';
import { addresses4, checked, tlv } from '../support/proxy-header.ts';

/* What stands before a connection's bytes is read whatever pieces it comes in, and nothing of what follows. */

interface Seen {
  readonly client: string;
  readonly bytes: Buffer;
}

/** A listener that tells the client and the bytes of each connection; `undefined` = it was ended before its first byte. */
async function listener(t: Test, protocol: 'accept' | 'require', own: string) {
  const faults: string[] = [];
  const seen: Promise<Seen | undefined>[] = [];
  const trusted = trustedProxies([own], 'x-forwarded-for');
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const { promise, resolve } = Promise.withResolvers<Seen | undefined>();
    seen.push(promise);
    const owner = { fail: () => socket.destroy(), cut: () => socket.destroy() };
    const guard = new Guard(owner, 'rest_listener', (error) => faults.push(String(error)));
    const options = { proxies: { trusted, protocol }, unix: false, timeoutMs: 60_000, guard };
    let begun = false;
    identifyClient(socket, { ...options, faulted: (fault) => void faults.push(fault) }, () => {
      begun = true;
      const chunks: Buffer[] = [];
      const { address: client } = clientAddressOf(socket);
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('end', () => {
        resolve({ client, bytes: Buffer.concat(chunks) });
        socket.end();
      });
    });
    socket.on('close', () => {
      if (!begun) resolve(undefined);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  /** Sends the pieces one by one and ends; gives what the listener saw. */
  const send = async (pieces: readonly Buffer[]): Promise<Seen | undefined> => {
    const socket = connect({ port: address.port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => undefined).resume();
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    for (const piece of pieces) await written(socket, piece);
    socket.end();
    await closed;
    return await seen.pop();
  };
  return { send, faults };
}

async function written(socket: Socket, piece: Buffer): Promise<void> {
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    socket.write(piece, () => resolve());
  });
  // A turn, so that each piece is a read of its own more often than not.
  await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Cuts bytes at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set([...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return ends.map((end, at) => bytes.subarray(ends[at - 1] ?? 0, end)).filter(({ length }) => length > 0);
}

const header = fc
  .array(fc.tuple(fc.integer({ min: 4, max: 255 }), fc.uint8Array({ maxLength: 100 })), { maxLength: 4 })
  .map((tlvs) => {
    const all = tlvs.map(([type, value]) => tlv(type, Buffer.from(value)));
    return checked(0x21, 0x11, Buffer.concat([addresses4('203.0.113.5'), ...all]));
  });
const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((array) => Buffer.from(array));
const places = fc.array(fc.nat({ max: 1000 }), { maxLength: 12 });

t.test('a header in any pieces, and the bytes behind it', async (t) => {
  const { send, faults } = await listener(t, 'require', '127.0.0.1');
  const property = fc.asyncProperty(header, bytes, places, async (head, body, at) => {
    const seen = await send(cut(Buffer.concat([head, body]), at));
    return seen?.client === '203.0.113.5' && seen.bytes.equals(body);
  });
  await t.resolves(fc.assert(property, { numRuns: 60 }));
  t.strictSame(faults, []);
});

t.test('bytes without a header pass as they are, where it may be left out', async (t) => {
  const { send, faults } = await listener(t, 'accept', '127.0.0.1');
  const begins = fc
    .constantFrom('GET / ', 'P', 'PROX', 'PRI * HTTP/2.0', '\r\n', '\r\n\r\n\0\r', '\x16\x03\x01')
    .map((text) => Buffer.from(text, 'latin1'));
  const property = fc.asyncProperty(begins, places, async (begin, at) => {
    const body = Buffer.concat([begin, Buffer.from('x behind')]);
    const seen = await send(cut(body, at));
    return seen?.client === '127.0.0.1' && seen.bytes.equals(body);
  });
  await t.resolves(fc.assert(property, { numRuns: 40 }));
  t.strictSame(faults, []);
});

t.test('bytes of others pass as they are, a header with them', async (t) => {
  const { send, faults } = await listener(t, 'require', '127.0.0.9');
  const property = fc.asyncProperty(header, bytes, places, async (head, body, at) => {
    const all = Buffer.concat([head, body]);
    const seen = await send(cut(all, at));
    return seen?.client === '127.0.0.1' && seen.bytes.equals(all);
  });
  await t.resolves(fc.assert(property, { numRuns: 30 }));
  t.strictSame([...new Set(faults)], ['proxy_untrusted']);
});

t.test(
  'a connection of any other peer that ends within what begins like a header is no fault of a proxy',
  async (t) => {
    const { send, faults } = await listener(t, 'require', '127.0.0.9');
    for (const begin of ['P', 'PROXY TCP4', '\r\n\r\n\0'])
      t.equal(await send([Buffer.from(begin, 'latin1')]), undefined);
    t.strictSame(faults, []);
  },
);

t.test('a connection that ends within a header, before it or right behind it', async (t) => {
  const { send, faults } = await listener(t, 'require', '127.0.0.1');
  const whole = checked(0x21, 0x11, addresses4('203.0.113.5'));
  for (const length of [1, 11, 15, 30]) t.equal(await send([whole.subarray(0, length)]), undefined, `${length} bytes`);
  t.strictSame(faults, Array(4).fill('proxy_header'));
  t.equal(await send([]), undefined, 'a probe of the port');
  t.equal((await send([whole]))?.bytes.length ?? 0, 0, 'nothing behind it');
  t.equal(faults.length, 4, 'these are no faults');
});

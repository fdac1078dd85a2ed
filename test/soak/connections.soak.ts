import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { openTls } from '../support/clients/sockets.ts';
import { KEYS } from '../support/gateway.ts';
import {
  type Arena,
  casesOf,
  head,
  legitimate,
  only,
  percentile,
  settles,
  startArena,
  usageOf,
} from '../support/invariants.ts';
import { until } from '../support/until.ts';

const arena = await startArena(
  {
    QDRANT_GATEWAY__LIMITS__MAX_CONNECTIONS: '18000',
    QDRANT_GATEWAY__LIMITS__KEEP_ALIVE_TIMEOUT_MS: '600000',
    QDRANT_GATEWAY__LIMITS__HEADER_TIMEOUT_MS: '5000',
    QDRANT_GATEWAY__LIMITS__BODY_IDLE_TIMEOUT_MS: '5000',
  },
  {
    onRest(incoming, response) {
      if (incoming.url !== '/collections/slow') return false;
      response.writeHead(200, { 'content-length': 1_000_000 });
      response.write('x'.repeat(10_000));
      return true;
    },
  },
);
const test = casesOf(arena);

/** TLS from one of several loopback sources, so that no pair of addresses runs out of ports. */
async function open({ gateway }: Arena, index: number): Promise<TLSSocket> {
  const plain = connect({ port: gateway.rest.port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (index % 4)}` });
  const socket = connectTls({ socket: plain, servername: 'localhost', ca: gateway.ca, ALPNProtocols: ['http/1.1'] });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

test('U10: 5 000 clients leave in the middle: upstream hears of each, nothing stays', async (t) => {
  const before = usageOf(arena);
  const took: number[] = [];
  for (let round = 0; round < 5000; round += 50) {
    const leavers = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const socket = await open(arena, index);
        if (index % 2 === 0) socket.write(only('GET', '/collections/slow', KEYS.admin));
        else socket.write(`${head('PUT', '/collections/mine/points', KEYS.admin, ['content-length: 100000'])}\r\n{`);
        if (index % 2 === 0) await once(socket, 'data');
        return socket;
      }),
    );
    const began = performance.now();
    for (const socket of leavers) socket.destroy();
    await until(() => usageOf(arena).upstreamConnections <= before.upstreamConnections + 2, 'upstream is let go');
    took.push(performance.now() - began);
  }
  t.comment(
    `U10: fifty at once let go within ${percentile(took, 0.5).toFixed(0)} ms (median), ${percentile(took, 1).toFixed(0)} ms (of all 100 rounds)`,
  );
  t.ok(percentile(took, 1) < 100, `${Math.round(percentile(took, 1))} ms at most for fifty at once`);
  await settles(t, arena, before, 100);
});

test('U12: 2 000 slow sockets are cut at the limits, others are served', async (t) => {
  const before = usageOf(arena);
  const openings = [
    'GET / HTTP/1.1\r\nhost: l',
    '',
    `${head('PUT', '/collections/mine/points', KEYS.admin, ['content-length: 100'])}\r\n{`,
  ];
  const slow: TLSSocket[] = [];
  for (let from = 0; from < 2000; from += 100) {
    slow.push(...(await Promise.all(Array.from({ length: 100 }, (_, index) => open(arena, index)))));
    for (const [index, socket] of slow.slice(from).entries()) socket.resume().write(openings[index % 3] ?? '');
  }
  const cut = until(() => slow.every((socket) => socket.closed), 'all are cut', 40_000);
  const during = await legitimate(arena, cut);
  await cut;
  t.equal(during.wrong, 0);
  t.comment(`U12: p99 of others ${percentile(during.ms, 0.99).toFixed(1)} ms beside 2 000 slow sockets`);
  t.ok(percentile(during.ms, 0.99) < 100, `p99 ${percentile(during.ms, 0.99).toFixed(1)} ms`);
  await settles(t, arena, before, 100);
});

test('U13: 15 000 idle TLS connections are held, and others are served', async (t) => {
  const before = usageOf(arena);
  const idle: TLSSocket[] = [];
  const ended = new Set<TLSSocket>();
  for (let from = 0; from < 15_000; from += 100) {
    const batch = await Promise.all(Array.from({ length: 100 }, (_, index) => open(arena, index)));
    for (const socket of batch) {
      socket.once('close', () => ended.add(socket));
      socket.write(`${head('GET', '/collections/legit/exists', KEYS.readOnly)}\r\n`);
    }
    await Promise.all(batch.map((socket) => once(socket, 'data')));
    idle.push(...batch);
  }
  const grown = usageOf(arena).megabytes - before.megabytes;
  const { ms, wrong } = await legitimate(arena, 300);
  t.equal(wrong, 0);
  t.equal(ended.size, 0, 'none was cut');
  t.comment(
    `U13: ${idle.length} connections, +${grown} MB, ${((grown * 1024) / idle.length).toFixed(1)} KiB each; p99 of others ${percentile(ms, 0.99).toFixed(1)} ms`,
  );
  for (const socket of idle) socket.destroy();
  await until(() => usageOf(arena).handles <= before.handles * 1.1 + 2, 'handles are given back', 60_000);
  (await openTls(arena.gateway.rest.port, { ca: arena.gateway.ca })).destroy();
});

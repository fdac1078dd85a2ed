import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { SettingId } from '../../src/http2/frames.ts';
import type { HeaderField } from '../../src/http2/hpack.ts';
import { writeData, writeSettings, writeWindowUpdate } from '../../src/http2/write-frames.ts';
import { framed, H2Client, naming } from '../support/clients/h2-client.ts';
import { KEYS } from '../support/gateway.ts';
import { CREDENTIALS, casesOf, legitimate, percentile, settles, startArena, usageOf } from '../support/invariants.ts';
import { legitimateBeside } from '../support/invariants-beside.ts';
import { grpcFields, restFields } from '../support/invariants-http2.ts';
import { flood } from '../support/load/flood.ts';
import { guesses } from '../support/load/guesses.ts';

const admin: HeaderField = ['api-key', KEYS.admin];
const COUNT = '/qdrant.Points/Count';
const big = Buffer.alloc(1 << 20, 'x');
const arena = await startArena(
  // At debug every refusal is a line.
  { QDRANT__LOG_LEVEL: 'info' },
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
    onRest: ({ url }) => url === '/collections/legit',
  },
);
const test = casesOf(arena);

/** What upstream is asked by a flood, second by second, however long it takes: the recorder alone keeps 10 000. */
function meter(): { readonly stop: () => { readonly total: number; readonly mostInASecond: number } } {
  const seconds: number[] = [0];
  const { recorder } = arena.upstream;
  const look = (): void => {
    const calls = recorder.grpc.length + recorder.rest.filter(({ target }) => !target.includes('/exists')).length;
    recorder.clear();
    seconds[seconds.length - 1] = (seconds.at(-1) ?? 0) + calls;
  };
  const often = setInterval(look, 50);
  const turning = setInterval(() => seconds.push(0), 1000);
  return {
    stop: () => {
      clearInterval(often);
      clearInterval(turning);
      look();
      return { total: seconds.reduce((sum, one) => sum + one, 0), mostInASecond: Math.max(...seconds) };
    },
  };
}

const FLOODS = [
  { name: 'as fast as it goes', perSecond: 0, connections: 1, apart: false },
  { name: 'resets apart from their calls', perSecond: 0, connections: 1, apart: true },
  { name: 'on 8 connections', perSecond: 0, connections: 8, apart: false },
  { name: 'on 8 connections, resets apart', perSecond: 0, connections: 8, apart: true },
  { name: '5 000 streams a second', perSecond: 5000, connections: 1, apart: false },
] as const;
/**
 * The gateway has a processor of its own. The flood shares the other with upstream and with those who are measured, at the
 * lowest priority, so that what is measured is the gateway.
 */
const [GATEWAY_CORE, FLOOD_CORE] = [0, 1];

test('G5: rapid reset with a reconnect loop: upstream calls bounded, p99 of others < 3 x quiet', async (t) => {
  execFileSync('taskset', ['-acp', String(GATEWAY_CORE), String(arena.gateway.child.pid)]);
  execFileSync('taskset', ['-acp', String(FLOOD_CORE), String(process.pid)]);
  const before = usageOf(arena);
  const quiet = percentile((await legitimateBeside(arena, sleep(5000))).ms, 0.99);
  for (const protocol of ['grpc', 'rest'] as const) {
    for (const { name, ...kind } of FLOODS) {
      const fields = protocol === 'rest' ? restFields('/collections/legit', [admin]) : grpcFields(COUNT, [admin]);
      const { port } = arena.gateway[protocol];
      const order = { port, caFile: arena.gateway.caFile, fields, ends: protocol === 'rest', seconds: 5, ...kind };
      const calls = meter();
      const flooding = flood(order, FLOOD_CORE);
      const during = await legitimateBeside(arena, flooding);
      const { connections, refused, streams } = await flooding;
      const { total, mostInASecond } = calls.stop();
      const p99 = percentile(during.ms, 0.99);
      t.equal(during.wrong, 0, `${protocol}, ${name}: others are served`);
      t.ok(mostInASecond <= 1000, `${protocol}, ${name}: ${mostInASecond} upstream calls in a second at most`);
      t.comment(
        `G5 ${protocol}, ${name}: ${connections} connections, ${refused} refused, ${streams} streams, ${total} calls upstream, ` +
          `p99 ${p99.toFixed(1)} ms, ${(p99 / quiet).toFixed(1)} x quiet (${quiet.toFixed(1)} ms)`,
      );
      t.ok(p99 < quiet * 3, `${protocol}, ${name}: p99 ${(p99 / quiet).toFixed(1)} x quiet`);
      // What was given up is forgotten before the next flood.
      await sleep(5000);
    }
  }
  await settles(t, arena, before, 120);
});

test('G8: windows of nothing on 100 streams of 50 connections hold little memory', async (t) => {
  const before = usageOf(arena);
  const clients = await Promise.all(
    Array.from({ length: 50 }, () =>
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
  t.ok(grown < 200, `+${grown} MB for 5 000 streams that take nothing of 1 MiB each`);
  t.comment(`G8: +${grown} MB, p99 of others ${percentile(ms, 0.99).toFixed(1)} ms`);
  for (const client of clients) client.send(writeSettings([[SettingId.INITIAL_WINDOW_SIZE, 1]]));
  for (const client of clients) client.close();
  await settles(t, arena, before, 120);
});

/** Field 99 of a message, with so many bytes. */
function padding(bytes: number): Buffer {
  const length: number[] = [];
  for (let left = bytes; left > 0; left = Math.floor(left / 128)) length.push(left >= 128 ? (left % 128) | 128 : left);
  return Buffer.concat([Buffer.of(0x9a, 0x06, ...length), Buffer.alloc(bytes)]);
}

test('G13: 64 gzip bombs at once: all are refused, no other client waits for 50 ms', async (t) => {
  // One byte more than may be inflated: upstream, which would inflate it as well, gets none of them.
  const message = framed(gzipSync(Buffer.concat([naming('mine'), padding(32 << 20)])), 1);
  const frames: Buffer[] = [];
  for (let at = 0; at < message.length; at += 16_000) {
    frames.push(writeData(1, message.subarray(at, at + 16_000), at + 16_000 >= message.length));
  }
  const fields: HeaderField[] = [
    ['api-key', CREDENTIALS.reader],
    ['grpc-encoding', 'gzip'],
  ];
  const before = usageOf(arena);
  for (let round = 1; round <= 3; round += 1) {
    const clients = await Promise.all(
      Array.from({ length: 64 }, () => H2Client.connect(arena.gateway.grpc.port, { ca: arena.gateway.ca })),
    );
    const quiet = await legitimateBeside(arena, sleep(1000));
    const bombs = Promise.all(
      clients.map(async (client) => {
        client.send(client.headers(1, COUNT, fields), ...frames);
        return await client.until((seen) => seen.find(({ headers }) => headers['grpc-status'])?.headers['grpc-status']);
      }),
    );
    const during = await legitimateBeside(arena, bombs);
    t.strictSame(await bombs, Array(64).fill('8'), 'all refused');
    t.equal(during.wrong, 0);
    const longest = percentile(during.ms, 1);
    t.ok(longest < 50, `round ${round}: ${longest.toFixed(1)} ms`);
    t.comment(
      `G13: longest wait ${longest.toFixed(1)} ms, p99 ${percentile(during.ms, 0.99).toFixed(1)} ms; quiet ${percentile(quiet.ms, 1).toFixed(1)} ms`,
    );
    for (const client of clients) client.close();
  }
  await settles(t, arena, before, 120);
});

test('H8: 50 000 wrong keys over 50 sockets: others are served, the log stays short', async (t) => {
  const before = usageOf(arena);
  const quiet = percentile((await legitimateBeside(arena, sleep(5000))).ms, 0.99);
  const logged = arena.gateway.errors().length;
  const began = performance.now();
  const guessing = guesses(arena.gateway, { sockets: 50, each: 1000 }, FLOOD_CORE);
  const during = await legitimateBeside(arena, guessing);
  t.equal(await guessing, 50_000, 'all refused');
  const seconds = (performance.now() - began) / 1000;
  const p99 = percentile(during.ms, 0.99);
  t.equal(during.wrong, 0);
  t.comment(`H8: 50 000 in ${seconds.toFixed(1)} s, p99 ${p99.toFixed(1)} ms, ${(p99 / quiet).toFixed(1)} x quiet`);
  t.ok(p99 < quiet * 3, `p99 ${(p99 / quiet).toFixed(1)} x quiet`);
  t.ok(arena.gateway.errors().length - logged < 20_000, 'the log does not grow with them');
  await settles(t, arena, before, 80);
});

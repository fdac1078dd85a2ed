import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { openTls } from '../support/clients/sockets.ts';
import { KEYS } from '../support/gateway.ts';
import { casesOf, head, only, say, settles, startArena, usageOf } from '../support/invariants.ts';
import { FILE_MS } from '../support/patience.ts';
import { findProgram } from '../support/process/programs.ts';
import { runScript } from '../support/process/run-script.ts';
import { stopAndGoOn, stoppableUpstream } from '../support/process/stopped-upstream.ts';
import { until } from '../support/until.ts';

t.setTimeout(FILE_MS);
const TICKS_PER_SECOND = 100;

/** Seconds of processor time a process has used. */
function cpuSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

const prlimit = findProgram('prlimit');
const arena = await startArena({ QDRANT_GATEWAY__LIMITS__TLS_HANDSHAKE_TIMEOUT_MS: '3000' });

casesOf(arena)('O4: with 256 files and 1 000 clients it sheds, idles, answers who is there and recovers', async (t) => {
  if (prlimit === undefined) return t.comment('prlimit is not installed');
  const { child, rest, ca } = arena.gateway;
  const before = usageOf(arena);
  const there = await openTls(rest.port, { ca, ALPNProtocols: ['http/1.1'] });
  const ask = async (): Promise<string> => {
    there.write(`${head('GET', '/collections/there/exists', KEYS.admin)}\r\n`);
    const [chunk] = await once(there, 'data');
    return String(chunk).slice(0, 15);
  };
  t.equal(await ask(), 'HTTP/1.1 200 OK');
  execFileSync(prlimit, ['--pid', String(child.pid), '--nofile=256:']);
  const clients: Socket[] = [];
  let ended = 0;
  for (let index = 0; index < 1000; index += 1) {
    const socket = connect({ port: rest.port, host: '127.0.0.1' });
    socket.on('error', () => undefined).once('close', () => (ended += 1));
    clients.push(socket);
  }
  await until(() => ended >= 700, 'most are let go', 20_000);
  t.ok(usageOf(arena).handles <= 256, `${usageOf(arena).handles} handles`);
  t.equal(await ask(), 'HTTP/1.1 200 OK', 'who was there is served');
  const used = cpuSeconds(child.pid);
  const began = performance.now();
  await until(() => performance.now() - began > 1000, 'a second goes by');
  const busy = cpuSeconds(child.pid) - used;
  t.ok(busy < 0.6, `${busy.toFixed(2)} s of processor time in a second`);
  t.equal(await ask(), 'HTTP/1.1 200 OK');
  for (const socket of clients) socket.destroy();
  await until(() => usageOf(arena).handles < 60, 'handles are given back', 20_000);
  const health = await say(arena, only('GET', '/healthz'));
  t.match(health, { statuses: [200] }, 'health answers');
  execFileSync(prlimit, ['--pid', String(child.pid), '--nofile=4096:']);
  there.destroy();
  await settles(t, arena, before);
});

for (const relay of ['true', 'false']) {
  t.test(
    `U6: upstream that is stopped costs 504 at the limit, and is asked again once it goes on (relay ${relay})`,
    async (t) => {
      const upstream = await stoppableUpstream({ QDRANT_GATEWAY__REST__RELAY: relay });
      t.teardown(() => upstream.close());
      await stopAndGoOn(t, upstream, 2_500);
    },
  );
}

t.test('O11: a second instance on the same ports says so and ends', async (t) => {
  const { rest, grpc } = arena.gateway;
  const env = {
    QDRANT__SERVICE__HOST: '127.0.0.1',
    QDRANT__SERVICE__API_KEY: KEYS.admin,
    QDRANT_GATEWAY__UPSTREAM__REST_URL: arena.upstream.restUrl,
    QDRANT_GATEWAY__UPSTREAM__GRPC_URL: arena.upstream.grpcUrl,
  };
  const own = { QDRANT__SERVICE__HTTP_PORT: '0', QDRANT__SERVICE__GRPC_PORT: '0' };
  const admin = '`gateway.admin.port` (`QDRANT_GATEWAY__ADMIN__PORT`)';
  const [http, grpcOption] = ['`service.http_port` (`--http-port`)', '`service.grpc_port` (`--grpc-port`)'];
  const ports = [
    ['REST', { QDRANT__SERVICE__HTTP_PORT: String(rest.port) }, rest.port, http],
    ['gRPC', { QDRANT__SERVICE__GRPC_PORT: String(grpc.port) }, grpc.port, grpcOption],
    ['admin', { QDRANT_GATEWAY__ADMIN__PORT: String(rest.port) }, rest.port, admin],
    [
      'REST of several processes',
      { QDRANT__SERVICE__HTTP_PORT: String(rest.port), QDRANT_GATEWAY__WORKERS: '2' },
      rest.port,
      http,
    ],
  ] as const;
  for (const [name, taken, port, option] of ports) {
    const { code, err } = await runScript(['src/cli/main.ts', 'serve'], { env: { ...env, ...own, ...taken } });
    t.not(code, 0, name);
    const told = `error: port ${port} is in use: stop what listens there, or choose another with ${option}\n`;
    t.ok(err.endsWith(told), `${name}: ${err}`);
    t.notMatch(err, /^\s+at .*:\d+:\d+/m, `${name}: no stack`);
  }
  t.match(
    await say(arena, only('GET', '/collections/x/exists', KEYS.admin)),
    { statuses: [200] },
    'the first one stays',
  );
});

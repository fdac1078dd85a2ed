import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Pool } from 'undici';
import { askAdmin, seriesOf } from '../support/admin-gateway.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { shortened } from '../support/generators/runs.ts';
import { cachedModules } from '../support/process/cached-modules.ts';
import { inPatience } from '../support/reference.ts';

const ROOT = join(import.meta.dirname, '../..');
const DENIALS = shortened(8_000, 6_000);
const AT_ONCE = 32;
/** MiB that memory may grow by: what waits for the reader is 1. */
const GROWTH = 96;

/** A pipe as a shell makes one, held open at both ends and read only when asked to. */
function openPipe(folder: string) {
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const read = (): string => {
    const bytes = Buffer.alloc(1 << 20);
    try {
      return bytes.toString('utf8', 0, readSync(fd, bytes));
    } catch {
      return '';
    }
  };
  return { fd, read, close: () => closeSync(fd) };
}

/** A pair of sockets, which is what Node gives a child. */
const KINDS = ['pipe', 'socket'] as const;

async function startBlocked(
  kind: (typeof KINDS)[number],
  folder: string,
  upstream: { restUrl: string; grpcUrl: string },
) {
  const pipe = openPipe(folder);
  const child = spawn(process.execPath, ['src/cli/main.ts', 'serve'], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', kind === 'pipe' ? pipe.fd : 'pipe'],
    env: {
      PATH: process.env.PATH,
      ...cachedModules(),
      QDRANT__SERVICE__HOST: '127.0.0.1',
      QDRANT__SERVICE__HTTP_PORT: '0',
      QDRANT__SERVICE__GRPC_PORT: '0',
      QDRANT__SERVICE__API_KEY: KEYS.admin,
      QDRANT__LOG_LEVEL: 'trace',
      QDRANT_GATEWAY__ADMIN__PORT: '0',
      QDRANT_GATEWAY__UPSTREAM__REST_URL: upstream.restUrl,
      QDRANT_GATEWAY__UPSTREAM__GRPC_URL: upstream.grpcUrl,
    },
  });
  let said = '';
  const read = (): string => (child.stderr ? ((child.stderr.read() as Buffer | null)?.toString() ?? '') : pipe.read());
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (let i = 0; i < 3_000; i += 1) {
      said += read();
      const found = pattern.exec(said);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`not said: ${pattern} in ${said.slice(-500)}`);
  };
  const [, admin, port] = await until(
    /admin listens on \S+?:(\d+)"[\s\S]*?rest listens on \S+?:(\d+),[\s\S]*grpc listens on .*\n/,
  );
  const resident = () => Number(readFileSync(`/proc/${child.pid}/statm`, 'utf8').split(' ')[1]) / 256;
  return { child, admin: Number(admin), port: Number(port), until, resident, closePipe: pipe.close };
}

/** Asks without and with the right key; the statuses that came, with their numbers. */
async function ask(port: number, requests: number, key: string): Promise<Record<number, number>> {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: AT_ONCE });
  const statuses: Record<number, number> = {};
  let left = requests;
  const one = async () => {
    while (left-- > 0) {
      const { statusCode, body } = await pool.request({
        method: 'GET',
        path: '/collections',
        headers: { 'api-key': key },
      });
      await body.dump();
      statuses[statusCode] = (statuses[statusCode] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  await pool.close();
  return statuses;
}

for (const kind of KINDS) {
  t.test(`a log ${kind} without a reader holds up no request, grows no memory and keeps no process`, async (t) => {
    const upstream = await startFakeQdrant({ record: false });
    const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-log-'));
    const gateway = await startBlocked(kind, folder, upstream);
    t.teardown(async () => {
      gateway.child.kill('SIGKILL');
      gateway.closePipe();
      await upstream.close();
      rmSync(folder, { recursive: true });
    });
    t.strictSame(await ask(gateway.port, 500, 'wrong'), { 401: 500 });
    const before = gateway.resident();
    t.strictSame(await ask(gateway.port, DENIALS, 'wrong'), { 401: DENIALS });
    t.strictSame(await ask(gateway.port, 100, KEYS.admin), { 200: 100 }, 'and who may, gets through');
    const grown = gateway.resident() - before;
    t.ok(grown < GROWTH, `memory grew by ${Math.round(grown)} MiB, at most ${GROWTH}`);

    const [, lost] = await gateway.until(/"lines":(\d+),"msg":"log lines were lost"\}\n/);
    t.ok(Number(lost) > 1_000, `${lost} lost lines are told`);
    const counted = seriesOf((await askAdmin(gateway.admin, '/metrics')).text).get('log_lines_lost_total');
    t.equal(counted, Number(lost), 'and counted');

    t.strictSame(await ask(gateway.port, DENIALS, 'wrong'), { 401: DENIALS }, 'the pipe is full again');
    const exit = once(gateway.child, 'exit');
    gateway.child.kill('SIGTERM');
    t.same(await inPatience(exit), [0, null], 'it ends all the same');
  });
}

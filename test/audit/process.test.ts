import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/process/gateway-process.ts';
import { parseLines, until } from './fixture.ts';

/* The whole gateway as a process, its audit on standard output, which the reader does not read. */

/** A pipe of the system whose both ends this process holds: it is read only on demand. */
function makePipe(t: Test): { fd: number; read: () => string } {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-pipe-'));
  execFileSync('mkfifo', [join(folder, 'out')]);
  const fd = openSync(join(folder, 'out'), constants.O_RDWR | constants.O_NONBLOCK);
  const writeEnd = openSync(join(folder, 'out'), constants.O_WRONLY);
  t.teardown(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  const chunk = Buffer.alloc(65_536);
  let text = '';
  return {
    fd: writeEnd,
    read: () => {
      try {
        for (let size = 1; size > 0; ) {
          size = readSync(fd, chunk);
          text += chunk.toString('utf8', 0, size);
        }
      } catch {
        // Nothing more is there for now.
      }
      return text;
    },
  };
}

async function start(t: Test, stdout: number, env: Readonly<Record<string, string>> = {}): Promise<GatewayProcess> {
  const upstream = await startFakeQdrant({ record: false });
  t.teardown(() => upstream.close());
  const gateway = await startGatewayProcess(upstream, { QDRANT_GATEWAY__AUDIT__STDOUT: 'true', ...env }, stdout);
  t.teardown(() => gateway.close());
  return gateway;
}

/** Requests one after the other on a few connections; gives how often each status came. */
async function send(t: Test, gateway: GatewayProcess, count: number): Promise<ReadonlyMap<number, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ca: gateway.ca });
  t.teardown(() => agent.destroy());
  const statuses = new Map<number, number>();
  const one = async (id: number): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const headers = { 'api-key': KEYS.admin, 'x-request-id': `p-${id}` };
    const options = { host: 'localhost', port: gateway.rest.port, path: '/collections', agent, headers };
    request(options, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    })
      .on('error', reject)
      .end();
    const status = await promise;
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  };
  for (let from = 0; from < count; from += 20) await Promise.all(Array.from({ length: 20 }, (_, i) => one(from + i)));
  return statuses;
}

async function stop(gateway: GatewayProcess): Promise<{ code: number | null }> {
  const ended = once(gateway.child, 'exit');
  gateway.child.kill('SIGTERM');
  const [code] = (await ended) as [number | null];
  return { code };
}

const lostOf = (gateway: GatewayProcess): number =>
  Number(/"lost":\{"stdout":(\d+)\}/.exec(gateway.errors())?.[1] ?? 0);

t.test('without a reader every request is served, and the end comes in time and says what was lost', async (t) => {
  const pipe = makePipe(t);
  const gateway = await start(t, pipe.fd);
  t.strictSame(await send(t, gateway, 1000), new Map([[200, 1000]]));
  const { code } = await stop(gateway);
  t.equal(code, 0);
  const written = parseLines(pipe.read()).map(({ tracing_id }) => tracing_id);
  t.ok(written.length > 0 && lostOf(gateway) > 0, `${written.length} were written, ${lostOf(gateway)} lost`);
  t.ok(written.length + lostOf(gateway) >= 1000, 'what was not written is counted');
  t.equal(new Set(written).size, written.length, 'none is there twice');
});

t.test('a late reader loses nothing', async (t) => {
  const pipe = makePipe(t);
  const gateway = await start(t, pipe.fd);
  t.strictSame(await send(t, gateway, 1000), new Map([[200, 1000]]));
  await until(() => pipe.read().split('\n').length === 1001);
  t.equal((await stop(gateway)).code, 0);
  t.equal(new Set(parseLines(pipe.read()).map(({ tracing_id }) => tracing_id)).size, 1000);
  t.notMatch(gateway.errors(), /could not be written/);
});

t.test('`deny` refuses without a reader, and serves again with one', async (t) => {
  const pipe = makePipe(t);
  const settings = { QDRANT_GATEWAY__AUDIT__WHEN_FULL: 'deny', QDRANT_GATEWAY__AUDIT__BUFFER_ENTRIES: '16' };
  const gateway = await start(t, pipe.fd, settings);
  const statuses = await send(t, gateway, 1000);
  const served = statuses.get(200) ?? 0;
  t.ok(served > 0 && statuses.get(503) === 1000 - served, `${served} were served, the others refused`);
  await until(async () => {
    pipe.read();
    return (await send(t, gateway, 20)).get(200) === 20;
  });
  await until(() => {
    const events = parseLines(pipe.read().replace(/[^\n]*$/, ''));
    return new Set(events.filter(({ status }) => status === 200).map(({ id }) => id)).size >= served + 20;
  });
  t.equal((await stop(gateway)).code, 0, 'everything that was served is written down');
});

t.test('/dev/full: requests are served, and the process ends', async (t) => {
  const gateway = await start(t, openSync('/dev/full', 'w'));
  t.strictSame(await send(t, gateway, 200), new Map([[200, 200]]));
  t.equal((await stop(gateway)).code, 0);
  t.equal(lostOf(gateway), 200);
  t.match(gateway.errors(), /"reason":"ENOSPC","msg":"the audit log cannot be written; entries are queued"/);
});

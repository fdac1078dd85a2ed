import { spawn } from 'node:child_process';
import type { Test } from 'tap';
import { KEYS } from '../gateway.ts';
import { only, say } from '../invariants.ts';
import { until } from '../until.ts';
import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts';

/** An upstream in a process of its own, which can be stopped, and a gateway before it. */
export interface StoppableUpstream {
  readonly gateway: GatewayProcess;
  readonly pid: number;
  readonly close: () => Promise<void>;
}

const SERVER = `
  const server = require('node:http').createServer((request, response) => response.end('{"at":"' + request.url + '"}'));
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;
const HEADER_TIMEOUT_MS = 1000;

/** Its answers have a second to begin. */
export async function stoppableUpstream(env: Readonly<Record<string, string>> = {}): Promise<StoppableUpstream> {
  const child = spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await until(() => said.includes('\n'), 'upstream listens');
  const url = `http://127.0.0.1:${Number(said)}`;
  const gateway = await startGatewayProcess(
    { restUrl: url, grpcUrl: url },
    {
      QDRANT_GATEWAY__UPSTREAM__RESPONSE_HEADER_TIMEOUT_MS: String(HEADER_TIMEOUT_MS),
      QDRANT_GATEWAY__UPSTREAM__MAX_CONNECTIONS: '2',
      ...env,
    },
  );
  return {
    gateway,
    pid: child.pid ?? 0,
    close: async () => {
      child.kill('SIGKILL');
      await gateway.close();
    },
  };
}

/** Stops upstream for a while, keeps asking, lets it go on: errors in time, then answers at once. */
export async function stopAndGoOn(test: Test, { gateway, pid }: StoppableUpstream, forMs: number): Promise<void> {
  const get = (name: string) => say({ gateway }, only('GET', `/collections/${name}`, KEYS.admin), { withinMs: 10_000 });
  test.match(await get('before'), { statuses: [200] });
  const before = gateway.residentBytes();
  process.kill(pid, 'SIGSTOP');
  const end = performance.now() + forMs;
  const statuses = new Map<number, number>();
  let slowest = 0;
  while (performance.now() < end) {
    for (const answer of await Promise.all(Array.from({ length: 40 }, (_, index) => get(`stopped-${index}`)))) {
      const [status = 0] = answer.statuses;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      slowest = Math.max(slowest, answer.ms);
    }
  }
  process.kill(pid, 'SIGCONT');
  const began = performance.now();
  await until(async () => (await get('after')).statuses[0] === 200, 'it is served again', 10_000);
  const back = performance.now() - began;
  test.ok(back < 2000, `served again within ${Math.round(back)} ms`);
  test.match((await get('again')).text, '/collections/again', 'I7: its own answer');
  test.same(
    [...statuses.keys()].filter((status) => ![502, 503, 504].includes(status)),
    [],
    `only told that upstream does not answer: ${JSON.stringify([...statuses])}`,
  );
  test.ok((statuses.get(504) ?? 0) > 0, 'the limit for an answer was met');
  test.ok(slowest < HEADER_TIMEOUT_MS * 2 + 2000, `the slowest was told after ${Math.round(slowest)} ms`);
  const grown = (gateway.residentBytes() - before) / (1 << 20);
  test.ok(grown < 60, `+${Math.round(grown)} MB`);
  test.comment(
    `U6: stopped for ${forMs} ms: ${JSON.stringify([...statuses])}, slowest ${Math.round(slowest)} ms, back in ${Math.round(back)} ms`,
  );
}

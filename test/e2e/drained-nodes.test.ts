import t from 'tap';
import { ADMIN_TOKEN, askAdmin } from '../support/admin-gateway.ts';
import { loadNodes, startNodeScene, wrongWrites } from '../support/load/node-load.ts';
import { http2Client, loadRest, officialClient } from '../support/load/rest-node-load.ts';
import { until } from '../support/until.ts';

/* Nodes drained through the admin port of a gateway with two workers, under a load of the official clients on both protocols. */

const scene = await startNodeScene({
  QDRANT_GATEWAY__WORKERS: '2',
  QDRANT_GATEWAY__ADMIN__PORT: '0',
  QDRANT_GATEWAY__ADMIN__TOKEN: ADMIN_TOKEN,
});
const http2 = http2Client(scene);
t.teardown(async () => {
  http2.close();
  await scene.close();
});
const { nodes, gateway } = scene;
await until(() => /admin listens on/.test(gateway.errors()), 'the admin port');
const [, port] = /admin listens on \S+?:(\d+)"/.exec(gateway.errors()) ?? [];

interface Shown {
  readonly name: string;
  readonly open: number;
  readonly processes: readonly { readonly pid: number; readonly state: string }[];
}

async function shown(): Promise<readonly Shown[]> {
  const { text } = await askAdmin(Number(port), '/-/nodes', { token: ADMIN_TOKEN });
  return (JSON.parse(text) as { nodes: readonly Shown[] }).nodes;
}

async function change(what: 'drain' | 'undrain', node: string): Promise<number> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ node });
  return (await askAdmin(Number(port), `/-/nodes/${what}`, { method: 'POST', token: ADMIN_TOKEN, headers, body }))
    .status;
}

const isOut = async (name: string): Promise<boolean> => {
  const node = (await shown()).find((one) => one.name === name);
  return node?.processes.length === 2 && node.processes.every(({ state }) => state === 'drained');
};

t.test('each node is drained and taken in again: its calls end on it, no new ones come', async (t) => {
  const total = (): number => nodes.reduce((sum, { writes }) => sum + writes.length, 0);
  const more = (count: number, what: string): Promise<void> => {
    const before = total();
    return until(() => total() - before >= count, what);
  };
  const act = async (): Promise<void> => {
    await more(100, 'a load of 100 writes');
    for (const node of nodes) {
      t.equal(await change('drain', node.name), 200);
      t.ok(await isOut(node.name), 'in both processes');
      await until(
        async () => (await shown()).find(({ name }) => name === node.name)?.open === 0,
        'its calls have ended',
      );
      const then = node.writes.length;
      await more(100, 'the others go on');
      t.equal(node.writes.length, then, 'nothing came to it');
      t.equal(await change('undrain', node.name), 200);
      await until(() => node.writes.length >= then + 5, 'it takes requests again');
    }
  };
  let over = false;
  const beside = async (): Promise<void> => await until(() => over, 'the nodes have had their turns');
  const [grpc, ...rest] = await Promise.all([
    loadNodes(scene, 32, () => act().finally(() => (over = true))),
    loadRest(officialClient(scene), 8, beside),
    loadRest(http2, 8, beside),
  ]);
  for (const { reads, writes, wrong } of rest)
    t.strictSame([[...reads.keys()], [...writes.keys()], wrong], [[200], [200], 0], 'REST: all are answered');
  t.strictSame([[...grpc.reads.keys()], [...grpc.writes.keys()], grpc.wrong], [[0], [0], 0], 'gRPC: all are answered');
  const written = [...grpc.written, ...rest.flatMap((one) => one.written.map((call) => `rest ${call}`))];
  await until(() => wrongWrites(nodes, written).missing.length === 0, 'every write that was answered has run');
  t.strictSame(wrongWrites(nodes, written).doubled, [], 'no write ran twice');
});

t.test('a process that is replaced knows what is drained', async (t) => {
  const [first, second, third] = nodes;
  if (!first || !second || !third) throw new Error('three nodes');
  t.strictSame([await change('drain', first.name), await change('drain', second.name)], [200, 200]);
  t.equal(await change('drain', third.name), 409, 'the last one stays');
  const before = (await shown())[0]?.processes.map(({ pid }) => pid) ?? [];
  process.kill(before[0] ?? Number.NaN, 'SIGKILL');
  await until(async () => {
    const now = (await shown())[0]?.processes ?? [];
    return now.length === 2 && now.some(({ pid }) => !before.includes(pid));
  }, 'another process serves');
  t.strictSame([await isOut(first.name), await isOut(second.name), await isOut(third.name)], [true, true, false]);
});

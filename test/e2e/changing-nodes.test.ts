import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { buildGoClient } from '../support/clients/go.ts';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { KEYS } from '../support/gateway.ts';
import { loadNodes, NodeProcess, wrongWrites } from '../support/load/node-load.ts';
import { StandInNode } from '../support/nodes.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/process/gateway-process.ts';
import { until } from '../support/until.ts';

/* Nodes that DNS adds, takes out and exchanges under 32 parallel calls of one gRPC connection of an official client. */

const HOSTS = ['127.0.0.1', '127.0.0.2', '127.0.0.3'] as const;
const [ONE, TWO, THREE] = HOSTS;

/** A gateway that finds its nodes by a DNS server of its own. */
async function behindDns(
  t: Test,
  [restPort = 0, grpcPort = 0]: readonly number[],
): Promise<{ readonly dns: DnsServer; readonly gateway: GatewayProcess }> {
  const dns = await startDns();
  dns.answer({ a: [ONE, TWO] });
  const gateway = await startGatewayProcess(
    { restUrl: '', grpcUrl: '' },
    {
      QDRANT_GATEWAY__UPSTREAM__REST_URL: undefined,
      QDRANT_GATEWAY__UPSTREAM__GRPC_URL: undefined,
      QDRANT_GATEWAY__UPSTREAM__DISCOVERY__DNS: 'qdrant.test',
      QDRANT_GATEWAY__UPSTREAM__DISCOVERY__SERVER: dns.address,
      QDRANT_GATEWAY__UPSTREAM__DISCOVERY__REST_PORT: String(restPort),
      QDRANT_GATEWAY__UPSTREAM__DISCOVERY__GRPC_PORT: String(grpcPort),
      QDRANT_GATEWAY__UPSTREAM__DISCOVERY__REFRESH_MS: '100',
    },
  );
  t.teardown(async () => {
    await gateway.close();
    dns.close();
  });
  return { dns, gateway };
}

/**
 * A node is added, taken out, and exchanged for another one; then DNS knows none, or does not answer.
 *
 * @param writes of each node so far
 */
async function change(t: Test, dns: DnsServer, writes: () => readonly number[]): Promise<void> {
  const goesOn = async (nodes: readonly number[], what: string): Promise<void> => {
    const before = writes();
    await until(() => nodes.every((node) => (writes()[node] ?? 0) >= (before[node] ?? 0) + 10), what);
  };
  /** What comes to a node that has left: its last calls end first, and then there are none. */
  const isLeft = async (node: number, others: readonly number[]): Promise<void> => {
    let then = writes()[node];
    await until(async () => {
      const last = then;
      await goesOn(others, 'the others go on');
      then = writes()[node];
      return last === then;
    }, 'nothing more comes to it');
  };
  await goesOn([0, 1], 'the first two take calls');
  t.equal(writes()[2], 0);
  dns.answer({ a: [ONE, TWO, THREE] });
  await goesOn([0, 1, 2], 'the third one takes calls');
  dns.answer({ a: [TWO, THREE] });
  await isLeft(0, [1, 2]);
  dns.answer({ a: [ONE] });
  await isLeft(1, [0]);
  await isLeft(2, [0]);
  for (const nothing of [undefined, 'silent'] as const) {
    const asked = dns.asked();
    dns.answer(nothing);
    await until(() => dns.asked() > asked + 1, 'it is asked in vain');
    await goesOn([0], 'the known one goes on');
  }
  dns.answer({ a: [...HOSTS] });
  await goesOn([0, 1, 2], 'all take calls');
}

t.test('the official client for JavaScript', async (t) => {
  const first = new NodeProcess(ONE);
  await first.start();
  const nodes = [first, new NodeProcess(TWO, first.ports), new NodeProcess(THREE, first.ports)];
  t.teardown(() => Promise.all(nodes.map((node) => node.kill())));
  await Promise.all(nodes.slice(1).map((node) => node.start()));
  const { dns, gateway } = await behindDns(t, first.ports);
  const result = await loadNodes({ gateway }, 32, () => change(t, dns, () => nodes.map(({ writes }) => writes.length)));
  t.strictSame([[...result.reads.keys()], [...result.writes.keys()], result.wrong], [[0], [0], 0], 'all are answered');
  await until(() => wrongWrites(nodes, result.written).missing.length === 0, 'every write that was answered has run');
  t.strictSame(wrongWrites(nodes, result.written).doubled, [], 'no write ran twice');
});

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-go-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const program = join(folder, 'go-client');

/** The writes that a stand-in has had, by the text in their payload. */
function writesOf({ fake }: StandInNode): string[] {
  const upserts = fake.recorder.grpc.filter(({ path }) => path === '/qdrant.Points/Upsert');
  return upserts.flatMap(({ messages }) =>
    messages.map((one) => /call-(\d+);/.exec(one.toString('latin1'))?.[1] ?? ''),
  );
}

async function fill({ restUrl, fake }: StandInNode): Promise<void> {
  const put = async (path: string, body: object): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${restUrl}${path}`, { method: 'PUT', headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(await answer.text());
  };
  await put('/collections/docs', { vectors: { size: 2, distance: 'Dot' } });
  const points = Array.from({ length: 100 }, (_, at) => ({ id: at + 1, vector: [0, 1], payload: { n: at + 1 } }));
  await put('/collections/docs/points', { points });
  fake.recorder.clear();
}

t.test('the official client for Go', { skip: buildGoClient(program) }, async (t) => {
  const first = await StandInNode.start({ host: ONE });
  const ports = [first.restUrl, first.grpcUrl].map((url) => Number(new URL(url).port));
  const [restPort = 0, grpcPort = 0] = ports;
  const others = await Promise.all([TWO, THREE].map((host) => StandInNode.start({ host, restPort, grpcPort })));
  const nodes = [first, ...others];
  t.teardown(() => Promise.all(nodes.map((node) => node.stop())));
  await Promise.all(nodes.map(fill));
  const { dns, gateway } = await behindDns(t, ports);
  const args = ['localhost', String(gateway.grpc.port), 'load', gateway.caFile, KEYS.admin, '32'];
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  const [out, err] = [text(child.stdout), text(child.stderr)];
  const upserts = ({ fake }: StandInNode): number =>
    fake.recorder.grpc.reduce((sum, { path }) => sum + (path === '/qdrant.Points/Upsert' ? 1 : 0), 0);
  await change(t, dns, () => nodes.map(upserts));
  child.stdin.end();
  const result = JSON.parse((await out) || 'null') as Record<'reads' | 'wrong', number> & {
    readonly writes: readonly number[];
    readonly errors: Readonly<Record<string, number>>;
  };
  t.equal(await err, '');
  t.strictSame([result.wrong, result.errors], [0, {}], 'every call has the answer that is its own');
  t.ok(result.reads > 100);
  const ran = nodes.flatMap(writesOf).map(Number);
  t.strictSame(
    ran.toSorted((one, other) => one - other),
    result.writes.toSorted((one, other) => one - other),
    'each write ran once, on one node',
  );
});

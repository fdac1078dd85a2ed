import { createHash } from 'node:crypto';
import t from 'tap';
import { framed } from '../../support/clients/h2-client.ts';
import { message, rawClient, unary } from '../../support/clients/unary.ts';
import { KEYS } from '../../support/gateway.ts';
import { loadNodes, startNodeScene, wrongWrites } from '../../support/load/node-load.ts';
import { until } from '../../support/until.ts';

/* The official client over three nodes that are processes: one channel with 32 streams. `soak -- nodes` is the long form. */

const scene = await startNodeScene();
t.teardown(() => scene.close());

t.test('large messages pass up and down over several nodes at once', async (t) => {
  const client = rawClient(scene.gateway);
  t.teardown(() => client.close());
  const bytes = 2 << 20;
  const large = message({ 1: 'docs', 15: Buffer.alloc(bytes, 'u') });
  const small = message({ 1: 'docs' });
  const send = async (up: Uint8Array, down: number, at: number): Promise<void> => {
    const path = at % 2 === 0 ? '/qdrant.Points/Upsert' : '/qdrant.Points/Query';
    const headers = { 'api-key': KEYS.admin, 'x-call': `large-${at}`, 'x-down': String(down) };
    const { code, body } = await unary(client, path, up, headers, 60_000);
    t.equal(code, 0);
    t.equal(body.length, 32 + down);
    t.ok(
      body.subarray(0, 32).equals(
        createHash('sha256')
          .update(framed(Buffer.from(up)))
          .digest(),
      ),
      'as it was sent',
    );
    t.ok(body.subarray(32).equals(Buffer.alloc(down, 7)), 'as it was answered');
  };
  await Promise.all(
    Array.from({ length: 9 }, (_, at) => send(at % 3 === 0 ? small : large, at % 3 === 1 ? 0 : bytes, at)),
  );
});

t.test('one channel uses all nodes, and a node that is killed costs no read and doubles no write', async (t) => {
  const { nodes } = scene;
  for (const { writes } of nodes) writes.length = 0;
  const total = (): number => nodes.reduce((sum, { writes }) => sum + writes.length, 0);
  const steady = await loadNodes(scene, 32, () => until(() => total() >= 300, 'a load of 300 writes'));
  const counts = nodes.map(({ writes }) => writes.length);
  const even = total() / nodes.length;
  t.ok(
    counts.every((count) => count > even / 3),
    `each takes its part, by its pace: ${counts.join(', ')}`,
  );
  t.strictSame([[...steady.reads.keys()], [...steady.writes.keys()], steady.wrong], [[0], [0], 0]);

  const before = total();
  const [first] = nodes;
  const failing = await loadNodes(scene, 32, async () => {
    await until(() => total() - before >= 200, 'a load of 200 writes');
    await first?.kill();
    await until(() => total() - before >= 400, 'the others go on');
    await first?.start();
    const others = total();
    await until(() => total() - others >= 200, 'it is there again');
  });
  t.equal(failing.wrong, 0);
  t.strictSame([...failing.reads.keys()], [0], 'every read is answered');
  t.ok(
    [...failing.writes.keys()].every((code) => code === 0 || code === 14),
    'a write is unavailable at most',
  );
  const written = [...steady.written, ...failing.written];
  await until(() => wrongWrites(nodes, written).missing.length === 0, 'every write that was answered has run');
  t.strictSame(wrongWrites(nodes, written).doubled, [], 'no write ran twice');
});

t.test("the gateway's own calls go on while a node is away", async (t) => {
  const [first] = scene.nodes;
  await first?.kill();
  const client = rawClient(scene.gateway);
  t.teardown(() => client.close());
  for (let call = 0; call < 6; call += 1) {
    t.match(await unary(client, '/qdrant.Qdrant/HealthCheck', new Uint8Array()), { code: 0 });
  }
  await first?.start();
});

t.test('uploads that wait at a node which stands still hold up none to the others', async (t) => {
  const [stopped, other] = scene.nodes;
  if (!stopped || !other) throw new Error('two nodes');
  const client = rawClient(scene.gateway);
  const large = message({ 1: 'docs', 15: Buffer.alloc(1 << 20, 'u') });
  const upload = (node: string) => {
    const headers = { 'api-key': KEYS.admin, 'x-call': 'stuck', 'x-qdrant-gateway-node': node };
    return unary(client, '/qdrant.Points/Upsert', large, headers, 60_000);
  };
  t.match(await upload(stopped.name), { code: 0 }, 'it is there');
  stopped.signal('SIGSTOP');
  const waiting = Array.from({ length: 30 }, () => upload(stopped.name));
  for (let round = 0; round < 3; round += 1) {
    const done = await Promise.all(Array.from({ length: 5 }, () => upload(other.name)));
    t.ok(
      done.every(({ code }) => code === 0),
      'uploads of one connection to another node go on',
    );
  }
  stopped.signal('SIGCONT');
  const codes = (await Promise.all(waiting)).map(({ code }) => code);
  t.ok(
    codes.every((code) => code === 0),
    `those that waited end on it: ${codes.join()}`,
  );
  client.close();
});

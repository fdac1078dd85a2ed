import t from 'tap';
import { loadNodes, startNodeScene, wrongWrites } from '../../support/load/node-load.ts';
import { until } from '../../support/until.ts';

/* The official client over three nodes that are processes: one channel with 32 streams. `soak -- nodes` is the long form. */

t.test('one channel uses all nodes, and a node that is killed costs no read and doubles no write', async (t) => {
  const scene = await startNodeScene();
  t.teardown(() => scene.close());
  const { nodes } = scene;
  const total = (): number => nodes.reduce((sum, { writes }) => sum + writes.length, 0);
  const steady = await loadNodes(scene, 32, () => until(() => total() >= 600, 'a load of 600 writes'));
  const counts = nodes.map(({ writes }) => writes.length);
  const even = total() / nodes.length;
  t.ok(
    counts.every((count) => Math.abs(count - even) < 0.2 * even),
    `spread within 20 % of even: ${counts.join(', ')}`,
  );
  t.strictSame([[...steady.reads.keys()], [...steady.writes.keys()], steady.wrong], [[0], [0], 0]);

  const before = total();
  const [first] = nodes;
  const failing = await loadNodes(scene, 32, async () => {
    await until(() => total() - before >= 200, 'a load of 200 writes');
    await first?.kill();
    await until(() => total() - before >= 600, 'the others go on');
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

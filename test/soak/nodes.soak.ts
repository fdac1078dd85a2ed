import t, { type Test } from 'tap';
import {
  faultsInTurn,
  type LoadResult,
  loadNodes,
  pause,
  percentile,
  startNodeScene,
  wrongWrites,
} from '../support/load/node-load.ts';
import { until } from '../support/until.ts';

/*
 * Three nodes under a load of one gRPC channel with 32 streams: each node killed, stopped and slowed in turn.
 * Arguments: [seconds of each step, 6 when unset].
 */

t.setTimeout(600_000);
const STEP_MS = Number(process.argv[2] ?? 6) * 1000;
const STREAMS = 32;
/** A write that waits for a stopped node ends with its deadline. */
const DEADLINE_MS = 15_000;

const text = (codes: ReadonlyMap<number, number>): string => JSON.stringify(Object.fromEntries(codes));

function note(test: Test, name: string, result: LoadResult): void {
  const { took, reads, writes } = result;
  const times = [0.5, 0.99, 0.999].map((part) => percentile(took, part)).join(' / ');
  test.comment(`${name}: reads ${text(reads)}, writes ${text(writes)}, p50 / p99 / p99.9 ${times} ms`);
}

t.test('each node is killed, stopped and slowed in turn under load', async (test) => {
  const scene = await startNodeScene();
  test.teardown(() => scene.close());
  const all: LoadResult[] = [];
  const step = async (name: string, act: () => Promise<void>): Promise<void> => {
    const result = await loadNodes(scene, STREAMS, act, DEADLINE_MS);
    all.push(result);
    note(test, name, result);
    test.equal(result.wrong, 0, `${name}: no wrong answer`);
    test.strictSame([...result.reads.keys()], [0], `${name}: every read is answered`);
  };
  await step('all nodes up', () => pause(STEP_MS));
  await faultsInTurn(scene.nodes, STEP_MS, step);
  const written = all.flatMap((one) => one.written);
  await until(() => wrongWrites(scene.nodes, written).missing.length === 0, 'every write that was answered has run');
  test.strictSame(wrongWrites(scene.nodes, written).doubled, [], 'no write ran twice');
});

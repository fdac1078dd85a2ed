import t, { type Test } from 'tap';
import { faultsInTurn, pause, percentile, startNodeScene, wrongWrites } from '../support/load/node-load.ts';
import { http2Client, loadRest, officialClient, type RestLoadResult } from '../support/load/rest-node-load.ts';
import { until } from '../support/until.ts';

/*
 * Three nodes under a REST load of 32 requests at a time: each node killed, stopped and slowed in turn, by the official client
 * over HTTP/1.1 and over one HTTP/2 connection. Arguments: [seconds of each step, 6 when unset].
 */

t.setTimeout(1_200_000);
const STEP_MS = Number(process.argv[2] ?? 6) * 1000;
const LOOPS = 32;

const shown = (statuses: ReadonlyMap<number, number>): string => JSON.stringify(Object.fromEntries(statuses));

function note(test: Test, name: string, { took, reads, writes }: RestLoadResult): void {
  const times = [0.5, 0.99, 0.999, 1].map((part) => percentile(took, part)).join(' / ');
  test.comment(`${name}: reads ${shown(reads)}, writes ${shown(writes)}, p50 / p99 / p99.9 / max of reads ${times} ms`);
}

for (const [lane, relay, open] of [
  ['HTTP/1.1, relay', 'true', officialClient],
  ['HTTP/2, relay', 'true', http2Client],
  ['HTTP/1.1, server', 'false', officialClient],
] as const) {
  t.test(`${lane}: each node is killed, stopped and slowed in turn`, async (test) => {
    const scene = await startNodeScene({
      QDRANT_GATEWAY__REST__RELAY: relay,
      // A write that waits for a stopped node ends with this.
      QDRANT_GATEWAY__UPSTREAM__RESPONSE_HEADER_TIMEOUT_MS: '15000',
    });
    const client = open(scene);
    test.teardown(async () => {
      client.close();
      await scene.close();
    });
    const all: RestLoadResult[] = [];
    const step = async (name: string, act: () => Promise<void>): Promise<void> => {
      const result = await loadRest(client, LOOPS, act);
      all.push(result);
      note(test, name, result);
      test.equal(result.wrong, 0, `${name}: no wrong answer`);
      test.strictSame([...result.reads.keys()], [200], `${name}: every read is answered`);
    };
    await step('all nodes up', () => pause(STEP_MS));
    await faultsInTurn(scene.nodes, STEP_MS, step, 2 * STEP_MS);
    const written = all.flatMap((result) => result.written.map((call) => `rest ${call}`));
    await until(() => wrongWrites(scene.nodes, written).missing.length === 0, 'every write that was answered has run');
    test.strictSame(wrongWrites(scene.nodes, written).doubled, [], 'no write ran twice');
  });
}

import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { stampsOf } from '../../src/config/file-reads.ts';
import { watchFiles } from '../../src/config/watch.ts';
import { until } from '../support/clients.ts';
import { mountSecret } from '../support/operated.ts';

/** A watch on files that are there, and how often it has called. */
async function watching(test: Test, paths: readonly string[]) {
  let calls = 0;
  const watch = watchFiles(() => {
    calls += 1;
  });
  test.teardown(watch.stop);
  watch.expect(await stampsOf(paths));
  return {
    watch,
    calls: () => calls,
    /** Resolves to the milliseconds until the next call. */
    nextCall: async (): Promise<number> => {
      const [before, start] = [calls, performance.now()];
      await until(() => calls > before, 'a change is seen', 5000);
      return performance.now() - start;
    },
  };
}

/** Long enough for several looks: what has not been seen by then is not seen. */
const looks = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 700));

t.test('every way a file changes is seen within a second, and once', async (test) => {
  const folder = test.testdir();
  const path = join(folder, 'a');
  const link = join(folder, 'mounted');
  const secret = mountSecret(link);
  secret.swap({ key: 'one' });
  writeFileSync(path, 'one');
  const { calls, nextCall } = await watching(test, [path, join(link, 'key')]);
  const ways: readonly [name: string, change: () => void][] = [
    ['written in place', () => writeFileSync(path, 'two')],
    [
      'replaced by another file of the same size',
      () => {
        writeFileSync(`${path}.new`, 'owt');
        renameSync(`${path}.new`, path);
      },
    ],
    ['touched', () => utimesSync(path, new Date(), new Date(0))],
    ['removed', () => rmSync(path)],
    ['there again', () => writeFileSync(path, 'owt')],
    ['a mounted Secret swapped, to the same content', () => secret.swap({ key: 'one' })],
  ];
  for (const [name, change] of ways) {
    const seen = nextCall();
    change();
    const tookMs = await seen;
    test.ok(tookMs < 1000, `${name}: after ${tookMs} ms`);
  }
  const after = calls();
  await looks();
  test.equal(calls(), after, 'nothing is told twice');
});

t.test('a file that is being written is waited for, but not for ever', async (test) => {
  const path = join(test.testdir(), 'a');
  writeFileSync(path, '');
  const { calls, nextCall } = await watching(test, [path]);
  const seen = nextCall();
  const writing = setInterval(() => writeFileSync(path, 'x', { flag: 'a' }), 20);
  test.teardown(() => clearInterval(writing));
  const tookMs = await seen;
  test.ok(tookMs > 450, `it goes on changing: ${tookMs} ms`);
  clearInterval(writing);
  const counts: number[] = [];
  while (counts.length < 6 && (counts.length < 2 || counts.at(-1) !== counts.at(-2))) {
    counts.push(calls());
    await looks();
  }
  test.equal(counts.at(-1), counts.at(-2), `what it came to is seen, and then it is quiet: ${counts}`);
});

t.test('what it looks at can change, and stops', async (test) => {
  const folder = test.testdir();
  mkdirSync(join(folder, 'sub'));
  const [one, two] = [join(folder, 'one'), join(folder, 'sub', 'two')];
  writeFileSync(one, '1');
  const { watch, calls, nextCall } = await watching(test, [one]);
  watch.expect(await stampsOf([two]));
  writeFileSync(one, '2');
  await looks();
  test.equal(calls(), 0, 'a file that is no longer expected');
  const seen = nextCall();
  writeFileSync(two, '2');
  test.ok((await seen) < 1000, 'one that was not there');
  watch.stop();
  writeFileSync(two, '3');
  await looks();
  test.equal(calls(), 1, 'stopped');
});

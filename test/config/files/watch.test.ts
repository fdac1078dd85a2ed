import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fileProbe, type Readings, readingOf, statFile } from '../../../src/config/files/file-reads.ts';
import { SettledFiles } from '../../../src/config/files/settled-files.ts';
import { watchFiles } from '../../../src/config/files/watch.ts';
import { mountSecret } from '../../support/operated.ts';
import { quickClock } from '../../support/quick-clock.ts';
import { until } from '../../support/until.ts';

const readingsOf = (paths: readonly string[]): Readings =>
  new Map(paths.map((path) => [path, readingOf(statFile(path), undefined)]));

/** A watch on files that are there, and how often it has called. Each call is one that has read them. */
function watching(test: Test, paths: readonly string[]) {
  let calls = 0;
  let expected = paths;
  const clock = quickClock();
  const files = new SettledFiles(clock, fileProbe);
  files.expect(readingsOf(paths));
  const watch = watchFiles(files, clock, async () => {
    calls += 1;
    files.expect(readingsOf(expected));
    return 'read';
  });
  test.teardown(watch.stop);
  return {
    watch,
    clock,
    calls: () => calls,
    expect: (next: readonly string[]) => {
      expected = next;
      files.expect(readingsOf(next));
    },
    nextCall: async (): Promise<void> => {
      const before = calls;
      await until(() => calls > before, 'a change is seen', 5000);
    },
  };
}

t.test('every way a file changes is seen, and once', async (test) => {
  const folder = test.testdir();
  const path = join(folder, 'a');
  const link = join(folder, 'mounted');
  const secret = mountSecret(link);
  secret.swap({ key: 'one' });
  writeFileSync(path, 'one');
  const { calls, nextCall, clock } = watching(test, [path, join(link, 'key')]);
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
    await seen;
    test.pass(name);
  }
  const after = calls();
  await clock.pause(5_000);
  test.equal(calls(), after, 'nothing is told twice');
});

t.test('what it looks at can change, and stops', async (test) => {
  const folder = test.testdir();
  mkdirSync(join(folder, 'sub'));
  const [one, two] = [join(folder, 'one'), join(folder, 'sub', 'two')];
  writeFileSync(one, '1');
  const { watch, calls, nextCall, expect, clock } = watching(test, [one]);
  expect([two]);
  writeFileSync(one, '2');
  await clock.pause(5_000);
  test.equal(calls(), 0, 'a file that is no longer expected');
  const seen = nextCall();
  writeFileSync(two, '2');
  await seen;
  watch.stop();
  writeFileSync(two, '3');
  await clock.pause(5_000);
  test.equal(calls(), 1, 'stopped');
});

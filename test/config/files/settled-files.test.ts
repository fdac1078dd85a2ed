import t from 'tap';
import type { FileProbe, FileStat, Readings } from '../../../src/config/files/file-reads.ts';
import { hasEndMark } from '../../../src/config/files/file-reads.ts';
import { type Arrival, SettledFiles } from '../../../src/config/files/settled-files.ts';
import { heldClock } from '../../support/quick-clock.ts';

const SECOND_NS = 1_000_000_000n;
/** Long ago, as a file system says it. */
const OLD_NS = 1_000n * SECOND_NS;

const BEFORE: FileStat = { target: '/a', inode: '1:1', size: 5, modifiedNs: OLD_NS, changedNs: OLD_NS };

/** Files that a test paints. */
function easel({ start }: { readonly start: FileStat | undefined } = { start: BEFORE }) {
  const clock = heldClock();
  let stat: FileStat | undefined = start;
  let digest = 'one';
  const probe: FileProbe = { stat: async () => stat, digest: async () => digest };
  const files = new SettledFiles(clock, probe);
  files.expect(new Map([['/a', { stat: start, digest: 'one', ended: false }]]));
  return {
    clock,
    files,
    paint: (next: FileStat | undefined, content = digest) => {
      stat = next;
      digest = content;
    },
  };
}

const later = (change: Partial<FileStat>): FileStat => ({
  ...BEFORE,
  modifiedNs: OLD_NS + SECOND_NS,
  changedNs: OLD_NS + SECOND_NS,
  ...change,
});

const CASES: readonly (readonly [
  name: string,
  before: FileStat | undefined,
  now: FileStat | undefined,
  arrival: Arrival,
])[] = [
  ['the same file with another size', BEFORE, later({ size: 6 }), 'written'],
  ['the same file with another time', BEFORE, later({}), 'written'],
  ['the same file with times that were set back', BEFORE, later({ modifiedNs: 0n }), 'written'],
  ['another file, renamed after it was written', BEFORE, later({ inode: '1:2', modifiedNs: OLD_NS }), 'whole'],
  ['another file with equal times', BEFORE, later({ inode: '1:2' }), 'new'],
  ['another file that is empty', BEFORE, later({ inode: '1:2', size: 0, modifiedNs: OLD_NS }), 'written'],
  ['a link that leads elsewhere', BEFORE, later({ inode: '1:2', target: '/b' }), 'whole'],
  ['no file any more', BEFORE, undefined, 'written'],
  ['a file where none was', undefined, later({}), 'written'],
  ['a file where none was, renamed', undefined, later({ modifiedNs: OLD_NS }), 'whole'],
];
const TIMES: Readonly<Record<Arrival, readonly [settled: number, lasting: number]>> = {
  whole: [100, 100],
  new: [200, 500],
  written: [2_000, 10_000],
};

for (const [name, before, now, arrival] of CASES) {
  t.test(`${name}: ${arrival}`, async (test) => {
    const { clock, files, paint } = easel({ start: before });
    test.same((await files.check()).paths, [], 'nothing has changed');
    paint(now, 'two');
    test.match(await files.check(), { paths: ['/a'], settled: false, lasting: false });
    test.equal(files.arrivalOf('/a'), arrival);
    const [settled, lasting] = TIMES[arrival];
    await clock.pass(settled - 1);
    test.match(await files.check(), { settled: false, lasting: false }, 'not yet');
    await clock.pass(1);
    test.match(await files.check(), { settled: true, lasting: settled === lasting });
    await clock.pass(lasting - settled - 1);
    if (lasting > settled) test.match(await files.check(), { settled: true, lasting: false }, 'not yet long enough');
    await clock.pass(1);
    test.match(await files.check(), { paths: ['/a'], settled: true, lasting: true });
  });
}

t.test('each change begins the wait anew; a renamed file that is written on is one that is written', async (test) => {
  const { clock, files, paint } = easel();
  for (let step = 1; step <= 20; step += 1) {
    paint(later({ size: 5 + step }), `step ${step}`);
    await files.check();
    await clock.pass(1_999);
    test.match(await files.check(), { settled: false }, `step ${step}`);
  }
  paint(later({ inode: '1:2', modifiedNs: OLD_NS }), 'whole');
  await files.check();
  await clock.pass(100);
  test.match(await files.check(), { settled: true }, 'renamed over it');
  paint(later({ inode: '1:2', size: 9 }), 'and on');
  await files.check();
  await clock.pass(1_999);
  test.match(await files.check(), { settled: false }, 'the same file, written on');
});

t.test('content that changes behind the back of its times begins the wait anew', async (test) => {
  const { clock, files, paint } = easel();
  paint(later({}), 'half');
  await files.check();
  await clock.pass(2_000);
  test.match(await files.check(), { settled: true });
  const read: Readings = new Map([['/a', { stat: later({}), digest: 'whole', ended: false }]]);
  test.equal(files.holds(read), false, 'what was read is not what was seen at first');
  test.match(await files.check(), { settled: false });
  await clock.pass(2_000);
  test.match(await files.check(), { settled: true });
  test.equal(files.holds(read), true);
});

t.test('of several files all have to stand still; those that were never read count as changed', async (test) => {
  const clock = heldClock();
  const stats = new Map<string, FileStat>([
    ['/a', BEFORE],
    ['/b', BEFORE],
  ]);
  const files = new SettledFiles(clock, { stat: async (path) => stats.get(path), digest: async () => 'x' });
  files.expect(new Map([['/a', { stat: BEFORE, digest: 'x', ended: false }]]));
  stats.set('/a', later({ inode: '1:2', modifiedNs: OLD_NS }));
  files.include(['/a', '/b']);
  await files.check();
  await clock.pass(1_000);
  test.match(await files.check(), { paths: ['/a', '/b'], settled: false });
  test.match(await files.check(new Set(['/a'])), { paths: ['/a'], settled: true }, 'asked of one of them');
  await clock.pass(1_000);
  test.match(await files.check(), { paths: ['/a', '/b'], settled: true, lasting: false });
});

const MARKED = [
  'rules: []\n# end\n',
  'rules: []\n#end',
  'rules: []\n...\n',
  '# end',
  'a\r\n# end\r\n',
  'a\n# end\n\n\n',
];
const UNMARKED = ['', 'rules: []\n', '# end\nrules: []\n', '# ended\n', 'a # end\n', '- ...\n', '# en'];

t.test('an end mark is the last line', async (test) => {
  for (const text of MARKED) test.equal(hasEndMark(text), true, JSON.stringify(text));
  for (const text of UNMARKED) test.equal(hasEndMark(text), false, JSON.stringify(text));
});

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type FileOptions, fileDestination } from '../../../src/audit/sinks/file.ts';
import { compareFileNames, fileName, parseFileName, periodOf } from '../../../src/audit/sinks/file-name.ts';
import { Sink } from '../../../src/audit/sinks/sink.ts';
import { entries, entryOf, NOON, parseLines, until } from '../fixture.ts';

const HOUR = 3_600_000;

function optionsOf(dir: string, more: Partial<FileOptions> = {}): FileOptions {
  const plain = { rotation: 'daily', maxFiles: 7, maxBytes: undefined, hashChain: false, worker: undefined } as const;
  return { dir, ...plain, clock: () => NOON, ...more };
}

const idsIn = (dir: string, file: string): string[] =>
  parseLines(readFileSync(join(dir, file), 'utf8')).map(({ id }) => id);

t.test('files are named by their period, worker and sequence', async (t) => {
  const cases = [
    ['audit.2026-11-25.log', { period: '2026-11-25', worker: undefined, sequence: 0, former: false }],
    ['audit.2026-11-25.12.log', { period: '2026-11-25', worker: undefined, sequence: 12, former: false }],
    ['audit.2026-11-25-14.log', { period: '2026-11-25-14', worker: undefined, sequence: 0, former: false }],
    ['audit.2026-11-25-14-w3.2.log', { period: '2026-11-25-14', worker: 3, sequence: 2, former: false }],
    ['audit.2026-11-25-w0.log', { period: '2026-11-25', worker: 0, sequence: 0, former: false }],
    ['audit-2026-11-25.log', { period: '2026-11-25', worker: undefined, sequence: 0, former: true }],
    ['audit-2026-11-25-14-w3.2.log', { period: '2026-11-25-14', worker: 3, sequence: 2, former: true }],
  ] as const;
  for (const [name, parts] of cases) {
    t.strictSame(parseFileName(name), parts, name);
    t.equal(fileName(parts), name);
  }
  for (const name of [
    'audit.log',
    'audit.2026-11-25.log.gz',
    'xaudit.2026-11-25.log',
    'audit.2026-11-25.x.log',
    'audit_2026-11-25.log',
  ]) {
    t.equal(parseFileName(name), undefined, name);
  }
  const order = [
    ...['audit.2026-11-24.3.log', 'audit-2026-11-25.log', 'audit-2026-11-25.11.log'],
    ...['audit.2026-11-25.log', 'audit.2026-11-25.9.log', 'audit.2026-11-25.10.log'],
  ];
  const parsed = order.toReversed().flatMap((name) => parseFileName(name) ?? []);
  t.strictSame(parsed.toSorted(compareFileNames).map(fileName), order);
  t.equal(periodOf(NOON, 'daily'), '2026-11-25');
  t.equal(periodOf(NOON + 2 * HOUR, 'hourly'), '2026-11-25-14');
});

t.test('a new file is begun with the day and with the hour, and old ones go', async (t) => {
  for (const [rotation, step, names] of [
    ['daily', 24 * HOUR, ['audit.2026-11-27.log', 'audit.2026-11-28.log']],
    ['hourly', HOUR, ['audit.2026-11-25-14.log', 'audit.2026-11-25-15.log']],
  ] as const) {
    const dir = t.testdir();
    let now = NOON;
    const file = await fileDestination(optionsOf(dir, { rotation, maxFiles: 2, clock: () => now }));
    for (let i = 1; i <= 4; i++) {
      t.strictSame(await file.write([entryOf(2 * i), entryOf(2 * i + 1)]), { done: 2 });
      now += step;
    }
    await file.close();
    t.strictSame(readdirSync(dir).toSorted(), names, rotation);
    t.strictSame(idsIn(dir, names[1]), ['test-8', 'test-9']);
  }
});

t.test('a clock that is set back begins no file, and files of others stay', async (t) => {
  const dir = t.testdir({ 'notes.txt': 'x', 'audit.2020-01-01-w1.log': '' });
  let now = NOON;
  const file = await fileDestination(optionsOf(dir, { maxFiles: 1, clock: () => now }));
  await file.write([entryOf(1)]);
  now -= 48 * HOUR;
  await file.write([entryOf(2)]);
  await file.close();
  t.strictSame(readdirSync(dir).toSorted(), ['audit.2020-01-01-w1.log', 'audit.2026-11-25.log', 'notes.txt']);
  t.strictSame(idsIn(dir, 'audit.2026-11-25.log'), ['test-1', 'test-2']);
});

t.test('files of the former name are not written to any more, and go when they are old', async (t) => {
  const dir = t.testdir({
    'audit-2026-11-24.log': `${entryOf(1).line}\n`,
    'audit-2026-11-25.log': `${entryOf(2).line}\n`,
    'audit-2026-11-25.1.log': `${entryOf(3).line}\n`,
    'audit-2026-11-25-w1.log': '',
  });
  let now = NOON;
  const options = optionsOf(dir, { maxFiles: 3, clock: () => now });
  for (const number of [4, 5]) {
    const file = await fileDestination(options);
    await file.write([entryOf(number)]);
    await file.close();
  }
  const others = ['audit-2026-11-25-w1.log'];
  const kept = ['audit-2026-11-25.log', 'audit-2026-11-25.1.log', 'audit.2026-11-25.log'];
  t.strictSame(readdirSync(dir).toSorted(), [...kept, ...others].toSorted(), 'both names count');
  t.strictSame(
    kept.map((name) => idsIn(dir, name)),
    [['test-2'], ['test-3'], ['test-4', 'test-5']],
  );
  now += 24 * HOUR;
  const file = await fileDestination(options);
  await file.close();
  const later = ['audit-2026-11-25.1.log', 'audit.2026-11-25.log', 'audit.2026-11-26.log'];
  t.strictSame(readdirSync(dir).toSorted(), [...later, ...others].toSorted());
});

t.test('a file that would grow too large gives way to the next, also after a restart', async (t) => {
  const dir = t.testdir();
  const size = Buffer.byteLength(entryOf(1).line) + 1;
  const options = optionsOf(dir, { maxBytes: 3 * size, maxFiles: 10 });
  const write = async (from: number, count: number): Promise<void> => {
    const file = await fileDestination(options);
    let rest = entries(count, from);
    while (rest.length > 0) rest = rest.slice((await file.write(rest)).done);
    await file.close();
  };
  await write(1, 4);
  await write(5, 4);
  const files = ['audit.2026-11-25.log', 'audit.2026-11-25.1.log', 'audit.2026-11-25.2.log'];
  t.strictSame(readdirSync(dir).toSorted(), files.toSorted());
  t.strictSame(
    files.map((name) => idsIn(dir, name)),
    [
      ['test-1', 'test-2', 'test-3'],
      ['test-4', 'test-5', 'test-6'],
      ['test-7', 'test-8'],
    ],
  );
});

t.test('several workers write files of their own', async (t) => {
  const dir = t.testdir();
  for (const worker of [0, 1]) {
    const file = await fileDestination(optionsOf(dir, { worker, maxFiles: 1 }));
    await file.write([entryOf(worker)]);
    await file.close();
  }
  t.strictSame(readdirSync(dir).toSorted(), ['audit.2026-11-25-w0.log', 'audit.2026-11-25-w1.log']);
});

t.test('a piece of a line that a crash has left is ended before the next line', async (t) => {
  const dir = t.testdir({ 'audit.2026-11-25.log': `${entryOf(1).line}\n{"timestamp":"20` });
  const file = await fileDestination(optionsOf(dir));
  await file.write([entryOf(2)]);
  await file.close();
  const text = readFileSync(join(dir, 'audit.2026-11-25.log'), 'utf8');
  t.equal(text, `${entryOf(1).line}\n{"timestamp":"20\n${entryOf(2).line}\n`);
});

t.test('a folder that cannot be used is said at start', async (t) => {
  const dir = t.testdir({ file: '' });
  await t.rejects(fileDestination(optionsOf(join(dir, 'file'))), { code: 'ENOTDIR' });
});

/** A file system of `kib` KiB, or why there is none. */
function smallDisk(dir: string, kib: number): string | undefined {
  mkdirSync(dir);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', dir], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'a file system cannot be mounted here';
  }
}

t.test('a full disk: nothing is lost, nothing is doubled, no line is torn', async (t) => {
  const dir = join(mkdtempSync(join(tmpdir(), 'qdrant-gateway-disk-')), 'disk');
  const skip = smallDisk(dir, 64);
  if (skip !== undefined) {
    t.pass('skipped', { skip });
    return;
  }
  t.teardown(() => {
    execFileSync('umount', [dir]);
    rmSync(dir, { recursive: true });
  });
  const ballast = join(dir, 'ballast');
  // Not a multiple of a line: the disk is full in the middle of one.
  writeFileSync(ballast, Buffer.alloc(44 * 1024));
  for (const hashChain of [false, true]) {
    const faults: (string | undefined)[] = [];
    const file = await fileDestination(optionsOf(join(dir, `chain-${hashChain}`), { hashChain }));
    const sink = new Sink(file, {
      capacity: 1000,
      changed: (_name, fault) => faults.push(fault),
      progressed: () => undefined,
      retry: { firstMs: 5, mostMs: 20 },
    });
    for (const entry of entries(100)) sink.push(entry, false);
    await until(() => sink.snapshot().fault === 'ENOSPC');
    const { queued, written } = sink.snapshot();
    t.ok(queued > 0 && written > 0, `${written} were written, ${queued} wait`);
    const before = readFileSync(join(dir, `chain-${hashChain}`, 'audit.2026-11-25.log'), 'utf8');
    t.notMatch(before, /\n$/, 'the disk was full in the middle of a line');
    rmSync(ballast);
    await until(() => sink.snapshot().queued === 0);
    t.strictSame(faults, ['ENOSPC', undefined]);
    t.equal(await sink.close(1000), 0);
    t.strictSame(
      idsIn(join(dir, `chain-${hashChain}`), 'audit.2026-11-25.log'),
      entries(100).map(({ event }) => event.id),
    );
    rmSync(join(dir, `chain-${hashChain}`), { recursive: true });
    writeFileSync(ballast, Buffer.alloc(44 * 1024));
  }
});

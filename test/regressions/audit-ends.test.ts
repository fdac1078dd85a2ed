import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fileDestination } from '../../src/audit/sinks/file.ts';
import { BrokenChain, showHeads, verifyAudit } from '../../src/cli/audit.ts';
import { Unproven } from '../../src/cli/output.ts';
import { entries, NOON } from '../audit/fixture.ts';

/*
 * A chain shows what is changed within it, and nothing of what is missing at its ends: `audit verify` said ok when the
 * first or the last lines were gone, when the newest file was empty, and when lines were cut and the rest went by another
 * name. It says so only where its ends are anchored.
 */

const DAY = 86_400_000;
const DAYS = ['audit.2026-11-25.log', 'audit.2026-11-26.log', 'audit.2026-11-27.log'] as const;
const [FIRST, MIDDLE, LAST] = DAYS;

async function writeDays(dir: string): Promise<void> {
  for (const day of DAYS.keys()) {
    const options = {
      dir,
      rotation: 'daily',
      maxFiles: 100,
      maxBytes: undefined,
      hashChain: true,
      worker: undefined,
    } as const;
    const file = await fileDestination({ ...options, clock: () => NOON + day * DAY });
    await file.write(entries(4, 1 + day * 4));
    await file.close();
  }
}

const linesOf = (path: string): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);
const save = (path: string, lines: readonly string[]): void =>
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));

/** What `audit verify` comes to. */
async function verdict(dir: string, flags: Parameters<typeof verifyAudit>[1]): Promise<'ok' | 'broken' | 'unproven'> {
  try {
    await verifyAudit([dir], flags, { out: () => undefined, err: () => undefined });
    return 'ok';
  } catch (error) {
    if (error instanceof BrokenChain) return 'broken';
    if (error instanceof Unproven) return 'unproven';
    throw error;
  }
}

type Tampering = readonly [name: string, tamper: (at: (name: string) => string) => void];

const edit = (name: string, change: (lines: string[]) => readonly string[]) => (at: (name: string) => string) =>
  save(at(name), change(linesOf(at(name))));

const TAMPERINGS: readonly Tampering[] = [
  ...[1, 2, 3].map(
    (count): Tampering => [`the first ${count} lines are gone`, edit(FIRST, (lines) => lines.slice(count))],
  ),
  ...[1, 2, 3].map(
    (count): Tampering => [`the last ${count} lines are gone`, edit(LAST, (lines) => lines.slice(0, -count))],
  ),
  ['the newest file is empty', edit(LAST, () => [])],
  ['the newest file is gone', (at) => rmSync(at(LAST))],
  ['the oldest file is gone', (at) => rmSync(at(FIRST))],
  ['the oldest file is empty', edit(FIRST, () => [])],
  ['a file in the middle is gone', (at) => rmSync(at(MIDDLE))],
  ['a file in the middle is empty', edit(MIDDLE, () => [])],
  [
    'every file but the first is gone',
    (at) =>
      [MIDDLE, LAST].forEach((name) => {
        rmSync(at(name));
      }),
  ],
  [
    'the first lines are cut and the rest has the name of another process',
    (at) => {
      save(at('audit.2026-11-27-w7.log'), linesOf(at(LAST)).slice(2));
      save(at(LAST), linesOf(at(LAST)).slice(0, 1));
    },
  ],
  [
    'the last lines are cut and the rest has a name that is none',
    (at) => {
      save(at(LAST), linesOf(at(LAST)).slice(0, -1));
      renameSync(at(LAST), at('audit.2026-11-24.log'));
    },
  ],
  ['a file has the name of an earlier day', (at) => renameSync(at(LAST), at('audit.2026-11-24.log'))],
  [
    'two files have changed names',
    (at) => {
      renameSync(at(LAST), at('x'));
      renameSync(at(MIDDLE), at(LAST));
      renameSync(at('x'), at(MIDDLE));
    },
  ],
  ['a file is there twice', (at) => copyFileSync(at(MIDDLE), at('audit.2026-11-26.1.log'))],
  ['a line is there twice', edit(MIDDLE, (lines) => lines.toSpliced(1, 0, lines[1] ?? ''))],
  ['two lines are swapped', edit(MIDDLE, (lines) => lines.with(1, lines[2] ?? '').with(2, lines[1] ?? ''))],
  ['a line is edited', edit(MIDDLE, (lines) => lines.with(1, (lines[1] ?? '').replace('"ok"', '"no"')))],
  ['a line in the middle is gone', edit(MIDDLE, (lines) => lines.toSpliced(1, 1))],
  ['the last line is cut in its middle', (at) => writeFileSync(at(LAST), readFileSync(at(LAST)).subarray(0, -40))],
  ['the first line is cut in its middle', (at) => writeFileSync(at(FIRST), readFileSync(at(FIRST)).subarray(40))],
  [
    'all is gone, and a new chain has begun',
    (at) => {
      for (const name of DAYS) rmSync(at(name));
      copyFileSync(at('../other/audit.2026-11-25.log'), at(FIRST));
    },
  ],
];

t.test(
  'whatever is taken, moved or changed is found where the ends are anchored, and never ok where they are not',
  async (test) => {
    for (const [number, [name, tamper]] of TAMPERINGS.entries()) {
      const root = test.testdir();
      const [dir, other] = [join(root, `${number}`), join(root, 'other')];
      for (const folder of [dir, other]) mkdirSync(folder);
      await writeDays(dir);
      await writeDays(other);
      save(join(other, FIRST), linesOf(join(other, FIRST)).slice(0, 2));
      const heads = await showHeads([dir], { out: () => undefined, err: () => undefined });
      const to = heads.text.slice(0, 64);
      const flags = { from: ['start'], to: [to] };
      test.same([await verdict(dir, flags), await verdict(dir, {})], ['ok', 'unproven'], `${name}: before`);
      tamper((file) => join(dir, file));
      test.equal(await verdict(dir, flags), 'broken', name);
      test.not(await verdict(dir, {}), 'ok', `${name}: without anchors`);
    }
  },
);

t.test(
  'a chain that goes on, and one whose oldest files were deleted, hold by the hashes that were kept',
  async (test) => {
    const dir = test.testdir();
    await writeDays(dir);
    const hashes = DAYS.map((name) => JSON.parse(linesOf(join(dir, name)).at(-1) ?? '').hash as string);
    const [first = '', second = '', last = ''] = hashes;
    test.equal(await verdict(dir, { to: [second] }), 'ok', 'newer lines stand behind the one that was kept');
    rmSync(join(dir, FIRST));
    test.same(readdirSync(dir).length, 2);
    test.equal(await verdict(dir, { to: [last] }), 'unproven', 'nothing says where it begins');
    test.equal(await verdict(dir, { from: [first], to: [last] }), 'ok', 'it goes on from the hash that was kept');
    test.equal(await verdict(dir, { from: ['start'], to: [last] }), 'broken');
    test.equal(await verdict(dir, { from: [second], to: [last] }), 'ok', 'the hash is that of a line within');
  },
);

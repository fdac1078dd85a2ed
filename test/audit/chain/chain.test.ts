import { appendFileSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { GENESIS, LINKS_BYTES, sha256 } from '../../../src/audit/chain/hash-chain.ts';
import { orderFiles, verifyChain } from '../../../src/audit/chain/verify.ts';
import { type FileOptions, fileDestination } from '../../../src/audit/sinks/file.ts';
import { runScript } from '../../support/process/run-script.ts';
import { entries, entryOf, NOON, parseLines } from '../fixture.ts';

const DAY = 86_400_000;
const FILE = 'audit.2026-11-25.log';

function optionsOf(dir: string, more: Partial<FileOptions> = {}): FileOptions {
  const plain = { rotation: 'daily', maxFiles: 100, maxBytes: undefined, hashChain: true, worker: undefined } as const;
  return { dir, ...plain, clock: () => NOON, ...more };
}

/** Writes entries through a destination that is opened for them and closed. */
async function writeEntries(options: FileOptions, from: number, count: number): Promise<void> {
  const file = await fileDestination(options);
  let rest = entries(count, from);
  while (rest.length > 0) rest = rest.slice((await file.write(rest)).done);
  await file.close();
}

async function verify(dir: string) {
  const [files = []] = orderFiles(readdirSync(dir).map((name) => join(dir, name)));
  return await verifyChain(files, () => undefined);
}

const readLines = (dir: string, file = FILE): string[] =>
  readFileSync(join(dir, file), 'utf8').split('\n').slice(0, -1);
const writeLines = (dir: string, lines: readonly string[], file = FILE): void =>
  writeFileSync(join(dir, file), lines.map((line) => `${line}\n`).join(''));

t.test('each line says the hash of the one before it, over days, sizes and restarts', async (t) => {
  const dir = t.testdir();
  const size = Buffer.byteLength(entryOf(10).line) + LINKS_BYTES + 1;
  await writeEntries(optionsOf(dir), 1, 3);
  await writeEntries(optionsOf(dir), 4, 2);
  await writeEntries(optionsOf(dir, { clock: () => NOON + DAY, maxBytes: 2 * size }), 6, 5);
  await writeEntries(optionsOf(dir, { clock: () => NOON + 2 * DAY }), 11, 1);
  const names = readdirSync(dir);
  t.equal(names.length, 5);
  const found = await verify(dir);
  t.match(found, { ok: true, lines: 11, torn: 0, whole: true });
  const [first, second] = readLines(dir).map((line) => JSON.parse(line));
  t.equal(first.prev, GENESIS);
  t.equal(second.prev, first.hash);
  t.equal(sha256(readLines(dir)[0]?.split(',"hash"')[0] ?? ''), first.hash, 'as the documentation says');
  const last = readLines(dir, 'audit.2026-11-27.log').at(-1) ?? '';
  t.match(found, { last: JSON.parse(last).hash });
});

t.test('a chain goes on from files of the former name', async (t) => {
  const dir = t.testdir();
  const former = 'audit-2026-11-25.log';
  await writeEntries(optionsOf(dir), 1, 3);
  renameSync(join(dir, FILE), join(dir, former));
  await writeEntries(optionsOf(dir), 4, 2);
  t.strictSame(readdirSync(dir).toSorted(), [former, FILE]);
  t.match(await verify(dir), { ok: true, lines: 5, torn: 0, whole: true });
  writeLines(dir, readLines(dir, former).slice(0, -1), former);
  t.match(await verify(dir), { ok: false, file: join(dir, FILE), line: 1 }, 'a line that is cut off there is missed');
});

t.test('texts that are not ASCII are hashed as the bytes they are', async (t) => {
  const dir = t.testdir();
  const file = await fileDestination(optionsOf(dir));
  await file.write([entryOf(1, { subject: 'Zoë 😀', error: '","prev":"x","hash":"y"}' }), entryOf(2)]);
  await file.close();
  await writeEntries(optionsOf(dir), 3, 1);
  t.match(await verify(dir), { ok: true, lines: 3 });
});

t.test('whatever is done to lines is found, with file and line', async (t) => {
  const dir = t.testdir();
  await writeEntries(optionsOf(dir), 1, 6);
  const good = readLines(dir);
  const line = (index: number): string => good[index] ?? '';
  const other = t.testdir({ other: {} });
  await writeEntries(optionsOf(join(other, 'other')), 1, 6);
  const forged = line(2).replace('"result":"ok"', '"result":"no"');
  const body = forged.split(',"hash"')[0] ?? '';
  const cases: readonly (readonly [name: string, lines: readonly string[], at: number, reason: RegExp])[] = [
    ['a value is changed', good.with(2, forged), 3, /changed/],
    ['a value is changed and its hash made anew', good.with(2, `${body},"hash":"${sha256(body)}"}`), 4, /follow/],
    ['the hash is changed', good.with(2, line(2).replace(/.{3}"}$/, '000"}')), 3, /changed/],
    ['a line is removed', good.toSpliced(2, 1), 3, /follow/],
    ['two lines are removed', good.toSpliced(2, 2), 3, /follow/],
    ['two lines are swapped', good.with(2, line(3)).with(3, line(2)), 3, /follow/],
    ['a line is there twice', good.toSpliced(3, 0, line(2)), 4, /follow/],
    ['a line without links is inserted', good.toSpliced(3, 0, entryOf(9).line), 4, /no hash/],
    ['an empty line is inserted', good.toSpliced(3, 0, ''), 4, /no hash/],
    [
      'a line of another chain is inserted',
      good.toSpliced(3, 0, readLines(join(other, 'other'))[5] ?? ''),
      4,
      /follow/,
    ],
    ['a line is cut short', good.with(2, line(2).slice(0, 80)), 3, /no hash/],
    ['the last line is cut short', good.with(5, line(5).slice(0, 80)), 6, /no hash/],
    ['a character is put behind a line', good.with(2, `${line(2)} `), 3, /no hash/],
    ['the chain begins anew', good.toSpliced(3, 3, ...readLines(join(other, 'other')).slice(0, 1)), 4, /follow/],
    ['there is nothing', [], 1, /no line/],
  ];
  for (const [name, lines, at, reason] of cases) {
    writeLines(dir, lines);
    const found = await verify(dir);
    t.match(found, { ok: false, reason }, name);
    if (!found.ok) t.equal(found.line, at, `${name}: the line`);
  }
  writeLines(dir, good);
  t.match(await verify(dir), { ok: true }, 'untouched it holds');
  writeLines(dir, good.slice(2));
  t.match(await verify(dir), { ok: true, whole: false }, 'lines missing at the front are said');
  const [end] = good.slice(-2).map((text) => JSON.parse(text).hash as string);
  writeLines(dir, good.slice(0, -1));
  t.match(await verify(dir), { ok: true, last: end }, 'lines missing at the end show in the last hash only');
});

t.test('every single byte of a chain counts', async (t) => {
  const dir = t.testdir();
  await writeEntries(optionsOf(dir), 1, 2);
  const good = readFileSync(join(dir, FILE));
  let held = 0;
  for (let at = 0; at < good.length; at++) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] ?? 0) ^ 1;
    writeFileSync(join(dir, FILE), bad);
    const found = await verifyChain([join(dir, FILE)], () => undefined);
    if (found.ok) held += 1;
  }
  t.equal(held, 0);
});

t.test('a file is missing in between', async (t) => {
  const dir = t.testdir();
  for (let day = 0; day < 3; day++) await writeEntries(optionsOf(dir, { clock: () => NOON + day * DAY }), 1 + day, 1);
  const files = readdirSync(dir)
    .toSorted()
    .map((name) => join(dir, name));
  t.match(await verifyChain(files, () => undefined), { ok: true, lines: 3 });
  t.match(await verifyChain(files.toSpliced(1, 1), () => undefined), { ok: false, file: files[2], line: 1 });
});

t.test('an interrupted write leaves a piece, which the next line vouches for', async (t) => {
  const dir = t.testdir();
  await writeEntries(optionsOf(dir), 1, 2);
  appendFileSync(join(dir, FILE), '{"timestamp":"2026-11-25T12:0');
  await writeEntries(optionsOf(dir), 3, 2);
  t.match(await verify(dir), { ok: true, lines: 4, torn: 1 });
  const torn = readLines(dir);
  writeLines(dir, torn.with(2, '{"timestamp":"2026-11-26T12:0'));
  t.match(await verify(dir), { ok: false, line: 4 }, 'a piece that is changed is found');
  writeLines(dir, torn.toSpliced(2, 1));
  t.match(await verify(dir), { ok: false, line: 3, reason: /piece/ }, 'one that is removed, too');
});

t.test('twice interrupted, and into the next day', async (t) => {
  const dir = t.testdir();
  await writeEntries(optionsOf(dir), 1, 1);
  appendFileSync(join(dir, FILE), '{"a');
  await writeEntries(optionsOf(dir), 2, 0);
  appendFileSync(join(dir, FILE), '{"b');
  await writeEntries(optionsOf(dir, { clock: () => NOON + DAY }), 2, 1);
  t.match(await verify(dir), { ok: true, lines: 2, torn: 2 });
});

t.test('lines with links never follow lines without them in one file', async (t) => {
  const dir = t.testdir();
  await writeEntries(optionsOf(dir, { hashChain: false }), 1, 2);
  await writeEntries(optionsOf(dir), 3, 2);
  await writeEntries(optionsOf(dir, { hashChain: false }), 5, 1);
  t.strictSame(readdirSync(dir).toSorted(), ['audit.2026-11-25.1.log', 'audit.2026-11-25.2.log', FILE].toSorted());
  t.match(await verifyChain([join(dir, 'audit.2026-11-25.1.log')], () => undefined), { ok: true, whole: true });
  t.equal(parseLines(readFileSync(join(dir, 'audit.2026-11-25.2.log'), 'utf8')).length, 1);
});

const run = (...args: string[]) => runScript(['src/cli/main.ts', 'audit', ...args]);

t.test('the command tells what it found, and where', async (t) => {
  const dir = t.testdir();
  for (let day = 0; day < 2; day++) {
    await writeEntries(optionsOf(dir, { clock: () => NOON + day * DAY, worker: 1 }), 1 + day, 2);
    await writeEntries(optionsOf(dir, { clock: () => NOON + day * DAY, worker: 2 }), 1 + day, 1);
  }
  const files = readdirSync(dir)
    .toSorted()
    .reverse()
    .map((name) => join(dir, name));
  const heads = await run('head', dir);
  t.match(heads, { code: 0, out: /^[0-9a-f]{64} {2}.*-w1\.log\n[0-9a-f]{64} {2}.*-w2\.log\n$/ });
  const tos = heads.out.split('\n').flatMap((line) => (line === '' ? [] : ['--to', line.slice(0, 64)]));
  const good = await run('verify', ...tos, ...files);
  t.equal(good.code, 0, good.err);
  t.match(good.out, /^ok: \d lines in 2 files, last hash [0-9a-f]{64}\nok: \d lines in 2 files/);
  const loose = await run('verify', ...files);
  t.match(loose, {
    code: 3,
    out: good.out,
    err: /^not proven: the end of the chain of .* is not anchored: store its last/,
  });
  const one = await run('verify', ...tos.slice(0, 2), ...files);
  t.match(one, { code: 1, err: /the chain contains none of the hashes of `--to`/ }, 'each chain needs its hash');
  const broken = join(dir, 'audit.2026-11-26-w1.log');
  writeLines(dir, readLines(dir, 'audit.2026-11-26-w1.log').toReversed(), 'audit.2026-11-26-w1.log');
  const bad = await run('verify', ...tos, ...files);
  t.equal(bad.code, 1);
  t.match(bad.err, `error: ${broken}:1: the line does not follow the one before it`);
  t.equal((await run('verify')).code, 2, 'no file');
  const none = await run('verify', join(dir, 'none.log'));
  t.equal(none.code, 2);
  t.match(none.err, /none\.log` is not a readable file/);
  t.equal((await run('verify', t.testdir({ empty: {} }))).code, 2, 'a folder without audit files');
  t.match(await run('verify', '--to', 'start', ...files), {
    code: 2,
    err: /--to must be a hash of 64 hexadecimal digits$/m,
  });
});

import {
  chmodSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { ConfigError } from '../../src/config/problem.ts';
import type { RevocationEntry } from '../../src/revocation/entry.ts';
import { appendToFile } from '../../src/revocation/file-append.ts';
import { openFileSource, readRevocationFile } from '../../src/revocation/file-source.ts';
import { FILE_MS } from '../support/patience.ts';
import { runScript } from '../support/process/run-script.ts';
import { quickClock } from '../support/quick-clock.ts';
import { openLines, REFUSED, SERVED, startSupervised } from '../support/supervised.ts';
import { makeToken, nowSeconds } from '../support/tokens.ts';
import { until } from '../support/until.ts';

t.setTimeout(FILE_MS);

const EMPTY = 'revocations: []\n';
const MAIN = 'src/cli/main.ts';

function fileOf(t: Test, text = EMPTY): string {
  return join(t.testdir({ 'revocations.yaml': text }), 'revocations.yaml');
}

async function start(t: Test, file: string, more: Readonly<Record<string, unknown>> = {}) {
  const gateway = await startSupervised({ 'gateway.revocation.file': file, ...more });
  const lines = openLines(gateway);
  t.teardown(async () => {
    lines.close();
    await gateway.close();
  });
  return { gateway, lines, operator: gateway.operator };
}

const replaceFile = (file: string, text: string): void => {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
};
const held = (file: string): readonly RevocationEntry[] => readRevocationFile(file);
const revoked = (id: string): string => `revocations:\n  - kind: token\n    value: ${id}\n`;

t.test('a change of the file is in force, on open HTTP/1.1, HTTP/2 and gRPC connections', async (t) => {
  const file = fileOf(t);
  const { lines } = await start(t, file);
  const kinds: readonly (readonly [name: string, yaml: string, claims: object])[] = [
    ['an id', '{ kind: token, value: id-1 }', { jti: 'id-1' }],
    ['a sub', '{ kind: subject, value: alice }', { sub: 'alice' }],
    ['a subject', '{ kind: subject, value: Alice }', { subject: 'Alice' }],
    ['a time', '{ kind: before, value: 1000 }', { iat: 999 }],
    ['a time of a subject', '{ kind: before, value: 1000, subject: bob }', { sub: 'bob', iat: 999 }],
  ];
  const other = makeToken({ access: 'r', jti: 'other', sub: 'carol', iat: 1000 });
  for (const [name, yaml, claims] of kinds) {
    const token = makeToken({ access: 'r', ...claims });
    t.strictSame(await lines.ask(token), SERVED, `${name}: served before`);
    replaceFile(file, `revocations:\n  - ${yaml}\n`);
    await until(async () => String(await lines.ask(token)) === String(REFUSED), `${name} is refused everywhere`);
    t.strictSame(await lines.ask(other), SERVED, `${name}: another token is served`);
    replaceFile(file, EMPTY);
    await until(async () => String(await lines.ask(token)) === String(SERVED), `${name} is served again`);
  }
  t.equal(lines.opened(), 1, 'all on one HTTP/1.1 connection');
});

t.test('a signing key is revoked by its id, and goes on as a key', async (t) => {
  const file = fileOf(t);
  const { lines, operator } = await start(t, file);
  const [first, second] = [makeToken({ access: 'r' }), makeToken({ access: 'r' }, 'alt-admin-key-0123456789')];
  const answer = await operator.revoke({ kind: 'key', value: 'api_key' });
  t.match(answer, { ok: true, stored: 'file', warnings: [] });
  t.strictSame(await lines.ask(first), REFUSED, 'its tokens are refused');
  t.strictSame(await lines.ask(second), SERVED, 'those of the other key are served');
  t.strictSame(await lines.ask('admin-key-0123456789'), SERVED, 'and the key itself');
  const unknown = await operator.revoke({ kind: 'key', value: 'no-such-key' });
  t.match(unknown, {
    ok: false,
    problems: ['no key that signs tokens has this id; there are `api_key`, `alt_api_key`'],
  });
});

t.test('a revocation of the operator is in force at once, stands in the file, and survives a restart', async (t) => {
  const file = fileOf(t, '# by hand\nrevocations: []\n');
  chmodSync(file, 0o640);
  const { lines, operator, gateway } = await start(t, file);
  const [token, other] = [makeToken({ access: 'r', jti: 'id-1' }), makeToken({ access: 'r', jti: 'id-2' })];
  t.strictSame(await lines.ask(token), SERVED);
  const before = nowSeconds();
  const answer = await operator.revoke({ kind: 'token', value: 'id-1', reason: 'laptop lost', until: '2100-01-01' });
  t.match(answer, { ok: true, stored: 'file', warnings: [], entry: { kind: 'token', value: 'id-1' } });
  t.strictSame(await lines.ask(token), REFUSED, 'refused at the next request');
  t.strictSame(await lines.ask(other), SERVED, 'the other one is served');
  const [entry] = held(file);
  t.match(entry, { kind: 'token', value: 'id-1', reason: 'laptop lost', until: 4_102_444_800 });
  t.ok(Number(entry?.at) >= before && Number(entry?.at) <= nowSeconds(), 'with the time');
  t.match(readFileSync(file, 'utf8'), /^# by hand\n/);
  t.equal(statSync(file).mode & 0o777, 0o640, 'the mode stays');
  t.strictSame(readdirSync(dirname(file)), ['revocations.yaml'], 'nothing else is left');
  t.match(operator.revocations(), {
    entries: [{ value: 'id-1' }],
    unknown: false,
    sources: [{ place: 'file', available: true, entries: 1, problem: undefined }],
  });
  await gateway.operator.stop(0);
  const again = await start(t, file);
  t.strictSame(await again.lines.ask(token), REFUSED, 'after a restart, too');
  t.strictSame(await again.lines.ask(other), SERVED);
});

t.test('with two workers it is in force in both when the answer is there', async (t) => {
  const { gateway, operator } = await start(t, fileOf(t), { 'gateway.workers': 2 });
  const [token, other] = [makeToken({ access: 'r', jti: 'id-1' }), makeToken({ access: 'r', jti: 'id-2' })];
  // New connections go to the workers in turn.
  const everywhere = async (credential: string): Promise<readonly (readonly number[])[]> => {
    const lines = Array.from({ length: 4 }, () => openLines(gateway));
    const verdicts = await Promise.all(lines.map((one) => one.ask(credential)));
    for (const one of lines) one.close();
    return verdicts;
  };
  const each = (verdict: readonly number[]) => Array.from({ length: 4 }, () => verdict);
  t.strictSame(await everywhere(token), each(SERVED));
  t.match(await operator.revoke({ kind: 'token', value: 'id-1' }), { ok: true, stored: 'file' });
  t.strictSame(await everywhere(token), each(REFUSED));
  t.strictSame(await everywhere(other), each(SERVED));
});

t.test('what is no revocation is refused, and nothing is written', async (t) => {
  const file = fileOf(t);
  const { operator } = await start(t, file);
  for (const request of [undefined, null, 'token', { kind: 'token' }, { kind: 'token', value: 'a', until: 5 }]) {
    t.match(await operator.revoke(request), { ok: false, problems: [/./] });
  }
  t.equal(readFileSync(file, 'utf8'), EMPTY);
  t.strictSame(operator.revocations().entries, []);
});

t.test('a bad file: no start; on a change the old state stays, and a good one is taken again', async (t) => {
  const file = fileOf(t, 'revocations:\n  - kind: tokn\n    value: x\n');
  const place = { place: `${file}:2:11`, message: '`kind` must be token, subject, key or before' };
  const failed = await start(t, file).catch((error: unknown) => error);
  t.match(failed, { problems: [place] });
  const missing = await start(t, join(dirname(file), 'gone.yaml')).catch((error: unknown) => error);
  t.match(missing, { problems: [{ message: /no such file; a file without entries is `revocations: \[\]`/ }] });

  writeFileSync(file, revoked('id-1'));
  const { lines, operator } = await start(t, file);
  const token = makeToken({ access: 'r', jti: 'id-1' });
  const other = makeToken({ access: 'r', jti: 'id-2' });
  t.strictSame([await lines.ask(token), await lines.ask(other)], [REFUSED, SERVED]);
  for (const bad of ['', 'revocations:\n', 'revocations:\n  - kind: tokn\n    value: x\n']) {
    writeFileSync(file, bad);
    await until(() => operator.revocations().sources[0]?.available === false, 'the bad file was seen');
    t.strictSame([await lines.ask(token), await lines.ask(other)], [REFUSED, SERVED], JSON.stringify(bad));
    t.match(await operator.reload('signal'), { ok: false, problems: [/revocations/] }, 'a reload says so, too');
    replaceFile(file, revoked('id-1'));
    await until(() => operator.revocations().sources[0]?.available === true, 'the good file was seen');
  }
  replaceFile(file, revoked('id-2'));
  t.match(await operator.reload('signal'), { ok: true });
  t.strictSame([await lines.ask(token), await lines.ask(other)], [SERVED, REFUSED], 'a reload takes it at once');
});

t.test('a file behind a link is replaced where it is, and a swapped link is seen', async (t) => {
  const folder = t.testdir({ one: { 'r.yaml': EMPTY }, two: { 'r.yaml': revoked('id-2') } });
  symlinkSync('one', join(folder, 'current'));
  symlinkSync('current/r.yaml', join(folder, 'r.yaml'));
  const { lines, operator } = await start(t, join(folder, 'r.yaml'));
  t.match(await operator.revoke({ kind: 'token', value: 'id-1' }), { ok: true, stored: 'file' });
  t.strictSame(
    held(join(folder, 'one/r.yaml')).map(({ value }) => value),
    ['id-1'],
  );
  t.ok(readFileSync(join(folder, 'r.yaml'), 'utf8').includes('id-1'), 'the link still leads there');
  const token = makeToken({ access: 'r', jti: 'id-2' });
  t.strictSame(await lines.ask(token), SERVED);
  symlinkSync('two', join(folder, 'next'));
  renameSync(join(folder, 'next'), join(folder, 'current'));
  await until(async () => String(await lines.ask(token)) === String(REFUSED), 'the other file is in force');
  t.strictSame(await lines.ask(makeToken({ access: 'r', jti: 'id-1' })), SERVED, 'and the first one no more');
});

t.test('what cannot be written is in force all the same, and is said to be lost at a restart', async (t) => {
  const file = fileOf(t);
  const { lines, operator } = await start(t, file);
  const token = makeToken({ access: 'r', jti: 'id-1' });
  writeFileSync(file, 'revocations: no list\n');
  const answer = await operator.revoke({ kind: 'token', value: 'id-1' });
  t.match(answer, { ok: true, stored: 'memory', warnings: [/^the revocation file could not be written/] });
  t.strictSame(await lines.ask(token), REFUSED);
  t.equal(readFileSync(file, 'utf8'), 'revocations: no list\n', 'the file was left alone');
});

t.test('without a store it is kept in memory, with a warning', async (t) => {
  const gateway = await startSupervised();
  const lines = openLines(gateway);
  t.teardown(() => gateway.close());
  t.teardown(() => lines.close());
  const token = makeToken({ access: 'r', sub: 'alice' });
  t.strictSame(await lines.ask(token), SERVED);
  t.match(await gateway.operator.revoke({ kind: 'subject', value: 'alice' }), {
    ok: true,
    stored: 'memory',
    warnings: [/^kept in memory only, it does not survive a restart/],
  });
  t.strictSame(await lines.ask(token), REFUSED);
  t.match(gateway.operator.revocations(), { entries: [{ value: 'alice' }], unknown: false, sources: [] });
});

t.test('adds at the same time, from this process and others, are all kept', async (t) => {
  const file = fileOf(t);
  const { operator } = await start(t, file);
  const env = { QDRANT_GATEWAY__REVOCATION__FILE: file };
  const here = Array.from({ length: 20 }, (_, at) => operator.revoke({ kind: 'token', value: `here-${at}` }));
  const there = Array.from({ length: 4 }, (_, at) => runScript([MAIN, 'revoke', '--token-id', `there-${at}`], { env }));
  const answers = await Promise.all(here);
  const ended = await Promise.all(there);
  t.ok(answers.every((answer) => answer.ok && answer.stored === 'file'));
  t.strictSame(
    ended.map(({ code, err }) => ({ code, err })),
    Array.from({ length: 4 }, () => ({ code: 0, err: '' })),
  );
  const values = new Set(held(file).map(({ value }) => value));
  t.equal(values.size, 24, 'each once');
  await until(() => operator.revocations().entries.length === 24, 'the gateway knows those of the others');
});

t.test('a reload does not put back what was read before a revocation', async (t) => {
  const file = fileOf(t);
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const source = openFileSource(file, { now: Date.now, log, changed: () => undefined, clock: quickClock() });
  source.start();
  t.teardown(() => source.close());
  const values = () => [...source.entries()].map(({ value }) => value);
  const early = await source.prepare();
  await source.add({ kind: 'token', value: 'a' });
  early();
  t.strictSame(values(), ['a']);
  replaceFile(file, revoked('b'));
  (await source.prepare())();
  t.strictSame(values(), ['b'], 'what is read after it counts');
});

t.test('what an editor writes meanwhile is not lost', async (t) => {
  const file = fileOf(t);
  const isWriting = () => readdirSync(dirname(file)).some((name) => /\.yaml\.[0-9a-f-]{36}$/.test(name));
  for (let attempt = 0; attempt < 50; attempt += 1) {
    writeFileSync(file, EMPTY);
    const adding = appendToFile(file, { kind: 'token', value: 'added' });
    while (!isWriting() && readFileSync(file, 'utf8') === EMPTY) await new Promise(setImmediate);
    const inTime = readFileSync(file, 'utf8') === EMPTY;
    if (inTime) writeFileSync(file, revoked('edited'));
    await adding;
    if (!inTime) continue;
    const values = held(file).map(({ value }) => value);
    t.strictSame(values.toSorted(), ['added', 'edited']);
    return;
  }
  t.fail('the file was replaced each time before it could be edited');
});

t.test('a held lock is waited for, one of a dead writer is broken', async (t) => {
  const file = fileOf(t);
  writeFileSync(`${file}.lock`, '');
  const waiting = appendToFile(file, { kind: 'token', value: 'a' });
  // A free one takes some ten milliseconds.
  const early = await Promise.race([waiting.then(() => 'written'), pause(300, 'waits')]);
  t.strictSame([early, readFileSync(file, 'utf8')], ['waits', EMPTY], 'nothing is written while it is held');
  renameSync(`${file}.lock`, `${file}.free`);
  await waiting;
  const values = () => held(file).map(({ value }) => value);
  t.strictSame(values(), ['a']);
  writeFileSync(`${file}.lock`, '');
  utimesSync(`${file}.lock`, nowSeconds() - 60, nowSeconds() - 60);
  await appendToFile(file, { kind: 'token', value: 'b' });
  t.strictSame(values(), ['a', 'b']);
});

t.test('a file that is not there, or is none of ours, is not written', async (t) => {
  const file = fileOf(t, 'other: true\n');
  await t.rejects(appendToFile(file, { kind: 'token', value: 'a' }), {
    code: 'ERR_REVOCATION_STORE',
    message: 'the revocation file could not be written (it cannot be read): add the entry once it can',
  });
  await t.rejects(appendToFile(`${file}.gone`, { kind: 'token', value: 'a' }), {
    message: 'the revocation file could not be written (no such file): add the entry once it can',
  });
  t.equal(readFileSync(file, 'utf8'), 'other: true\n');
  t.strictSame(readdirSync(dirname(file)), ['revocations.yaml'], 'no lock is left');
  t.throws(() => readRevocationFile(file), ConfigError);
});

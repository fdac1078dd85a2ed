import { mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { loadSettled } from '../../src/config/files/at-start.ts';
import type { Clock } from '../../src/config/files/clock.ts';
import { type FileProbe, readingOf, statFile } from '../../src/config/files/file-reads.ts';
import { type LoadedState, loadState, type State } from '../../src/config/state.ts';
import type { Log } from '../../src/observability/log.ts';
import { openFileSource, readRevocationFile } from '../../src/revocation/file-source.ts';
import { writeEntry } from '../../src/revocation/write.ts';
import { createReloader } from '../../src/supervisor/reload.ts';
import { type HeldClock, heldClock } from '../support/quick-clock.ts';

/*
 * Files that are written in place are there in every beginning of them. With 100 ms of rest, or 500 ms at all, a policy
 * without its last rule served a forbidden write, a revoked token lived again, and the first byte of a key file became the
 * admin key. No beginning may take effect, however long its writer pauses below the bounds of docs/guides/operating.md.
 */

t.setTimeout(300_000);
const SILENT = { debug() {}, info() {}, warn() {}, error() {}, setLevel() {} } as unknown as Log;
/** Real files, looked at between two turns of the loop, so that a held clock can be let go on. */
const probe: FileProbe = {
  stat: async (path) => statFile(path),
  digest: async (path) => readingOf(undefined, readFileSync(path)).digest,
};
const BELOW_SETTLED_MS = 1_700;
const BELOW_LASTING_MS = 9_700;

const RULES = [
  '  - id: readers',
  '    keys: [api_key]',
  '    access: r',
  '  - id: no-upload',
  '    subjects: ["", alice]',
  '    operations: [list_collections, get_points]',
  '  - id: narrow',
  '    mode: enforce',
  '    access:',
  '      - { collection: books, access: rw }',
].join('\n');
const OLD = { policy: `rules:\n${RULES}\n`, key: 'first-admin-key-0123456789-01234567', config: 'log_level: off\n' };
const NEW = {
  policy: `rules:\n${RULES}\n  - id: last\n    operations: [list_collections]\n`,
  key: 'other-admin-key-0123456789-0123456789-and-more\n',
  config: 'log_level: off\nservice:\n  jwt_rbac: true\ngateway:\n  limits: { json_depth: 40 }\n',
};

/** Reloads of files that are in force, on a clock that stands still. */
async function stage(test: Test) {
  const folder = test.testdir();
  const certs = [await certificates, await otherCertificates] as const;
  const path = (name: string): string => join(folder, name);
  const write = (name: string, text: string | Buffer): void => writeFileSync(path(name), text);
  write('policy', OLD.policy);
  write('key', OLD.key);
  write('config', OLD.config);
  write('cert', readFileSync(certs[0].cert));
  write('certkey', readFileSync(certs[0].key));
  const defaults = {
    'service.api_key_file': path('key'),
    'service.enable_tls': true,
    'service.grpc_port': null,
    'tls.cert': path('cert'),
    'tls.key': path('certkey'),
    'tls.cert_ttl': 0,
    'gateway.upstream.rest_url': 'http://q:1',
    'gateway.policy_file': path('policy'),
  };
  const load = (): LoadedState => loadState({ argv: { config: path('config') }, env: {}, cwd: folder, defaults });
  const clock = heldClock();
  const applied: State[] = [];
  const apply = async (next: State) => {
    applied.push(next);
    return { generation: applied.length + 1, restartNeeded: [] };
  };
  const reloads = createReloader({ state: load(), load, apply, log: SILENT, now: Date.now, clock, probe });
  test.teardown(reloads.stop);
  reloads.begin();
  await clock.pass(1_000);
  return { path, write, clock, applied, reloads, certs };
}

const certificates = makeDevCerts(mkdtempSync(join(tmpdir(), 'qdrant-half-')));
const otherCertificates = makeDevCerts(mkdtempSync(join(tmpdir(), 'qdrant-half-')));

/** Writes every beginning in place, longer from time to time, with a pause after each. @returns how many there were */
async function writeSlowly(
  { clock, write }: { readonly clock: HeldClock; readonly write: (name: string, text: Buffer) => void },
  name: string,
  text: string | Buffer,
  pauseMs: number,
): Promise<number> {
  const bytes = Buffer.from(text);
  for (let length = 0; length <= bytes.length; length += 1) {
    write(name, bytes.subarray(0, length));
    await clock.pass(length === bytes.length ? 0 : pauseMs);
  }
  return bytes.length + 1;
}

const KINDS: readonly (readonly [name: 'policy' | 'key' | 'config', of: (state: LoadedState) => unknown])[] = [
  ['policy', ({ policy }) => policy.rules.length],
  ['key', ({ secrets }) => secrets.apiKey],
  ['config', ({ config }) => config.gateway.limits.json_depth],
];

for (const [name, of] of KINDS) {
  t.test(`no beginning of a ${name} file that is written in place takes effect`, async (test) => {
    const staged = await stage(test);
    const count = await writeSlowly(staged, name, NEW[name], BELOW_SETTLED_MS);
    test.equal(staged.applied.length, 0, `${count} beginnings, each for ${BELOW_SETTLED_MS} ms`);
    await staged.clock.pass(2_300);
    test.equal(staged.applied.length, 1, 'the whole is in force after two seconds');
    test.notSame(of(staged.reloads.current()), undefined);
  });
}

t.test('a policy or key that a writer leaves in the middle is believed last of all', async (test) => {
  const { write, clock, applied } = await stage(test);
  for (let length = 0; length < OLD.policy.length; length += 1) {
    write('policy', OLD.policy.slice(0, length));
    await clock.pass(BELOW_LASTING_MS);
    if (applied.length > 0) break;
  }
  write('policy', OLD.policy);
  for (let length = 0; length < OLD.key.length; length += 1) {
    write('key', OLD.key.slice(0, length));
    await clock.pass(BELOW_LASTING_MS);
    if (applied.length > 0) break;
  }
  test.equal(applied.length, 0, 'nothing was believed');
  write('policy', 'rules: []\n');
  write('key', OLD.key);
  await clock.pass(10_300);
  test.match(applied, [{ policy: { rules: [] } }], 'what is meant so is in force after ten seconds');
});

t.test('certificate and key written in place one after the other are taken together', async (test) => {
  const staged = await stage(test);
  const { clock, applied, certs, write } = staged;
  const [cert, key] = [readFileSync(certs[1].cert), readFileSync(certs[1].key)];
  for (let length = 0; length <= cert.length; length += 41) {
    write('cert', cert.subarray(0, length));
    await clock.pass(BELOW_SETTLED_MS);
  }
  write('cert', cert);
  for (let length = 0; length <= key.length; length += 17) {
    write('certkey', key.subarray(0, length));
    await clock.pass(BELOW_SETTLED_MS);
  }
  write('certkey', key);
  test.equal(applied.length, 0, 'no half of either, and never one of each');
  await clock.pass(10_300);
  test.same(
    applied.map(({ secrets }) => [secrets.tls?.cert, secrets.tls?.key]),
    [[cert, key]],
  );
});

t.test('what is renamed into its place is taken at once, also where it takes away', async (test) => {
  const { path, clock, applied } = await stage(test);
  writeFileSync(path('new'), 'rules: []\n');
  // Until the clock of the file system has gone on: then renaming leaves a trace.
  const renamed = (): boolean => {
    renameSync(path('new'), path('policy'));
    const stat = statFile(path('policy'));
    if (stat && stat.changedNs > stat.modifiedNs) return true;
    renameSync(path('policy'), path('new'));
    return false;
  };
  while (!renamed()) await new Promise(setImmediate);
  await clock.pass(400);
  test.match(applied, [{ policy: { rules: [] } }]);
});

t.test(
  'a reload that is asked for waits for a file that is being written, and says when it goes on too long',
  async (test) => {
    const { write, clock, applied, reloads } = await stage(test);
    write('policy', 'rules: []\n');
    const asked = reloads.reload('signal');
    await clock.pass(1_500);
    write('policy', `${OLD.policy}  - { id: more, access: r }\n`);
    await clock.pass(1_500);
    test.equal(applied.length, 0, 'the half is not read');
    await clock.pass(1_000);
    test.match(await asked, { ok: true, cause: 'signal' });
    test.equal(applied[0]?.policy.rules.length, 4);
    const again = reloads.reload('admin');
    for (let step = 0; step < 20; step += 1) {
      write('policy', `${OLD.policy}${'#'.repeat(step)}\n`);
      await clock.pass(1_000);
    }
    test.match(await again, { ok: false, cause: 'admin', problems: [/policy: it is still being written: ask again/] });
  },
);

t.test('a file that had an end mark is never believed without it, unless it was replaced whole', async (test) => {
  const { write, clock, applied, reloads } = await stage(test);
  write('policy', `${OLD.policy}# end\n`);
  await clock.pass(2_500);
  write('policy', 'rules: []\n');
  await clock.pass(60_000);
  test.equal(applied.length, 0);
  test.match(await reloadNow(reloads.reload('signal'), clock), { ok: false, problems: [/the end mark/] });
  write('policy', 'rules: []\n...\n');
  await clock.pass(10_500);
  test.equal(applied.length, 1, 'with the other one it is');
});

/** The answer of a reload, and the time it takes. */
async function reloadNow<T>(asked: Promise<T>, clock: HeldClock): Promise<T> {
  await clock.pass(3_000);
  return await asked;
}

const REVOKED = Array.from({ length: 12 }, (_, at) => `  - kind: token\n    value: id-${at}\n    reason: lost ${at}\n`);
const REVOCATIONS = `revocations:\n${REVOKED.join('')}`;

t.test('no beginning of a revocation file gives a token back', async (test) => {
  const file = join(test.testdir(), 'revocations.yaml');
  writeFileSync(file, REVOCATIONS);
  const clock = heldClock();
  let changes = 0;
  const changed = (): void => {
    changes += 1;
  };
  const source = openFileSource(file, { now: Date.now, log: SILENT, changed, clock, probe });
  source.start();
  test.teardown(() => source.close());
  const count = (): number => [...source.entries()].length;
  for (let length = 0; length < REVOCATIONS.length; length += 1) {
    writeFileSync(file, REVOCATIONS.slice(0, length));
    await clock.pass(BELOW_LASTING_MS);
    if (count() !== 12) break;
  }
  test.equal(count(), 12, 'all are revoked');
  test.equal(changes, 0, `${REVOCATIONS.length} beginnings, each for ${BELOW_LASTING_MS} ms`);
  const more = `${REVOCATIONS}  - { kind: token, value: more }\n`;
  writeFileSync(file, more);
  await clock.pass(2_500);
  test.equal(count(), 13, 'one more is in force after two seconds');
  writeFileSync(file, REVOCATIONS);
  await clock.pass(5_000);
  test.equal(count(), 13, 'one less is not');
  await clock.pass(5_500);
  test.equal(count(), 12, 'it is after ten');
});

t.test('an entry that is added never makes half a revocation file whole', async (test) => {
  const file = join(test.testdir(), 'revocations.yaml');
  writeFileSync(file, REVOCATIONS);
  const clock = heldClock();
  const source = openFileSource(file, { now: Date.now, log: SILENT, changed: () => undefined, clock, probe });
  source.start();
  test.teardown(() => source.close());
  const half = REVOCATIONS.slice(0, REVOCATIONS.indexOf('  - kind', 200));
  writeFileSync(file, half);
  const adding = source.add({ kind: 'token', value: 'added' });
  await clock.pass(5_000);
  test.equal(readFileSync(file, 'utf8'), half, 'nothing is added to the half');
  writeFileSync(file, REVOCATIONS);
  await clock.pass(10_500);
  await adding;
  test.equal([...source.entries()].length, 13, 'the whole and the entry');
  // The command line has not seen what was before: it goes by the time the file was written.
  writeFileSync(file, half);
  let waited = 0;
  const wait = async (ms: number): Promise<void> => {
    waited += ms;
    if (waited === 1_000) writeFileSync(file, REVOCATIONS);
  };
  const others: Clock = { now: () => waited, wall: () => Date.now() + waited, pause: wait, idle: wait };
  await writeEntry({ file, redis: undefined }, { kind: 'token', value: 'by hand' }, others);
  test.ok(waited >= 1_000, `${waited} ms were waited`);
  test.equal(readRevocationFile(file).length, 13, 'the whole and the entry');
});

t.test('at the start a file that is being written is waited for', async (test) => {
  const folder = test.testdir({ policy: '' });
  const file = join(folder, 'policy');
  const defaults = {
    'service.api_key': 'k'.repeat(32),
    'gateway.upstream.rest_url': 'http://q:1',
    'gateway.upstream.grpc_url': 'http://q:2',
    'gateway.policy_file': file,
  };
  const load = (): LoadedState => loadState({ argv: {}, env: {}, cwd: folder, defaults });
  // The n-th pause finds the file longer, so many times.
  const writing = (steps: readonly string[]) => {
    let [at, now] = [0, 0];
    const wait = async (ms: number): Promise<void> => {
      now += ms;
      const text = steps[at];
      at += 1;
      if (text !== undefined) writeFileSync(file, text);
    };
    return { now: () => now, wall: Date.now, pause: wait, idle: wait };
  };
  const steps = ['rules:\n', `rules:\n${RULES}\n`, NEW.policy];
  const { policy } = await loadSettled(load, writing(steps));
  test.equal(policy.rules.length, 4, 'all of it');
  const endless = Array.from({ length: 40 }, (_, at) => `${NEW.policy}${'#'.repeat(at)}\n`);
  const failed = await loadSettled(load, writing(endless)).catch((error: unknown) => error);
  test.match(failed, { problems: [{ place: file, message: 'it is still being written' }] });
});

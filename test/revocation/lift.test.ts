import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Revocations } from '../../src/identity/revocations.ts';
import { createRevocationStore } from '../../src/revocation/store.ts';
import { FILE_MS } from '../support/patience.ts';
import { NO_REDIS, startRedis } from '../support/process/redis.ts';
import { quickClock } from '../support/quick-clock.ts';
import { until } from '../support/until.ts';

/* Revocations that are lifted on a running gateway: out of every place that has them, or still in force. */

t.setTimeout(FILE_MS);
const NOW = 1_700_000_000;

function start(t: Test, source: { readonly file?: string; readonly port?: number } = {}) {
  const silent = (): void => undefined;
  const held: { inForce: Revocations | undefined; fails: boolean } = { inForce: undefined, fails: false };
  const address = { host: '127.0.0.1', tls: false, ca: undefined, username: undefined, password: undefined };
  const redis = {
    address: { ...address, port: source.port ?? 0, database: 0, prefix: 'x:' },
    ...{ refreshMs: 10_000, unavailableAfterMs: 60_000, whenUnavailable: 'open' as const },
  };
  const store = createRevocationStore({
    settings: { file: source.file, redis: source.port === undefined ? undefined : redis },
    now: () => NOW * 1000,
    log: { info: silent, warn: silent, error: silent },
    changed: async (revocations) => {
      if (held.fails) throw new Error('a worker is gone');
      held.inForce = revocations;
    },
    knownKeys: () => ['api_key'],
    clock: quickClock(),
  });
  t.teardown(() => store.close());
  return { store, held, subjects: () => [...(held.inForce?.subjects ?? [])] };
}

const ANN = { kind: 'subject', value: 'ann' };
const BEN = { kind: 'subject', value: 'ben' };
const FILE = `# people who have left
revocations:
  - { "kind": "subject", "value": "ann", "reason": "left" } # not a line of the gateway
  - { "kind": "subject", "value": "ann", "until": ${NOW + 900} }
  - kind: subject # by hand
    value: ben
`;

t.test('what is meant by a lift', async (t) => {
  const { store } = start(t);
  await store.start();
  for (const entry of [
    ...[ANN, { kind: 'token', value: 'ann' }, { kind: 'key', value: 'api_key' }, { kind: 'before', value: NOW - 9 }],
    { kind: 'before', value: NOW - 9, subject: 'ann' },
  ]) {
    t.match(await store.revoke(entry), { ok: true });
  }
  const left = (): readonly unknown[] => store.report().entries.map(({ kind }) => kind);
  for (const [request, expected] of [
    [{}, { why: 'invalid', problems: [/^`kind` must be/] }],
    ['ann', { why: 'invalid' }],
    [{ kind: 'subject' }, { why: 'invalid', problems: [/^`value` must be/] }],
    [
      { ...ANN, all: true },
      { why: 'invalid', problems: [/^unknown member/] },
    ],
    [
      { ...ANN, until: NOW },
      { why: 'invalid', problems: [/^`until` is of no matter/] },
    ],
    [
      { kind: 'subject', value: 'Ann' },
      { why: 'unknown', problems: ['there is no such revocation'] },
    ],
    [{ kind: 'before', value: NOW - 8 }, { why: 'unknown' }],
    [{ kind: 'before', value: NOW - 9, subject: 'ben' }, { why: 'unknown' }],
  ] as const) {
    t.match(await store.lift(request), { ok: false, ...expected }, JSON.stringify(request));
  }
  t.strictSame(left(), ['subject', 'token', 'key', 'before', 'before'], 'nothing was lifted');
  t.match(await store.lift({ kind: 'before', value: new Date((NOW - 9) * 1000).toISOString() }), { ok: true });
  t.strictSame(left(), ['subject', 'token', 'key', 'before'], 'the one of all subjects alone');
  for (const request of [ANN, { kind: 'token', value: 'ann' }, { kind: 'key', value: 'api_key' }]) {
    t.match(await store.lift(request), { ok: true, lifted: [request] });
  }
  t.match(store.report().entries, [{ kind: 'before', subject: 'ann' }]);
});

t.test('of a file every entry goes, whatever its end, and the rest stays as it is', async (t) => {
  const file = join(t.testdir(), 'r.yaml');
  writeFileSync(file, FILE);
  const { store, subjects } = start(t, { file });
  await store.start();
  t.strictSame(subjects(), ['ann', 'ben']);
  const lifted = await store.lift(ANN);
  t.match(lifted, { ok: true });
  t.equal(lifted.ok ? lifted.lifted.length : 0, 2);
  t.strictSame(subjects(), ['ben']);
  const text = readFileSync(file, 'utf8');
  t.match(text, /# people who have left[\s\S]*kind: subject # by hand\n\s+value: ben/);
  t.notMatch(text, /ann/);
  const others = await Promise.all([store.revoke(ANN), store.lift(BEN), store.revoke({ kind: 'token', value: 'x' })]);
  t.match(others, [{ ok: true, stored: 'file' }, { ok: true }, { ok: true, stored: 'file' }], 'at once');
  t.strictSame(subjects(), ['ann']);
  const again = start(t, { file });
  await again.store.start();
  t.strictSame([again.subjects(), [...(again.held.inForce?.tokens ?? [])]], [['ann'], ['x']], 'and it lasts');
});

t.test('of several lifts of one revocation at once one is made', async (t) => {
  const file = join(t.testdir(), 'r.yaml');
  writeFileSync(file, FILE);
  for (const place of [{ file }, {}]) {
    const { store, subjects } = start(t, place);
    await store.start();
    if (!place.file) for (const one of [ANN, BEN]) await store.revoke(one);
    const lifts = await Promise.all([ANN, ANN, BEN, ANN].map((one) => store.lift(one)));
    t.match(lifts, [{ ok: true }, { ok: false, why: 'unknown' }, { ok: true }, { ok: false, why: 'unknown' }]);
    t.strictSame(subjects(), []);
  }
});

t.test('what cannot be taken out stays in force', async (t) => {
  const folder = t.testdir({ 'r.yaml': FILE });
  const file = join(folder, 'r.yaml');
  const { store, subjects } = start(t, { file });
  await store.start();
  writeFileSync(`${file}.lock`, '');
  t.match(await store.lift(ANN), { ok: false, why: 'store', problems: [/locked/] });
  t.strictSame(subjects(), ['ann', 'ben']);
  t.equal(readFileSync(file, 'utf8'), FILE);
});

t.test('a lift that a process does not take is no success', async (t) => {
  const { store, held } = start(t);
  await store.start();
  await store.revoke(ANN);
  held.fails = true;
  t.match(await store.lift(ANN), { ok: false, why: 'store', problems: [/^internal error/] });
});

t.test('of Redis it goes for every gateway, and of the file beside it, too', { skip: NO_REDIS }, async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.close());
  const file = join(t.testdir(), 'r.yaml');
  writeFileSync(file, FILE);
  const [one, two] = [start(t, { port: redis.port, file }), start(t, { port: redis.port })];
  await one.store.start();
  await two.store.start();
  t.match(await one.store.revoke(ANN), { ok: true, stored: 'redis' });
  t.match(await one.store.revoke({ kind: 'subject', value: 'cid' }), { ok: true, stored: 'redis' });
  await until(() => two.subjects().length === 2, 'the other gateway has them');
  t.match(await one.store.lift(ANN), { ok: true });
  t.strictSame(one.subjects(), ['cid', 'ben']);
  t.notMatch(redis.cli('hgetall', 'x:revocations') + readFileSync(file, 'utf8'), /ann/);
  await until(() => !two.subjects().includes('ann'), 'the other gateway accepts it, too');
  await redis.kill();
  const refused = await one.store.lift({ kind: 'subject', value: 'cid' });
  t.match(refused, { ok: false, why: 'store', problems: [/^redis could not be written.*stays in force$/] });
  t.ok(one.subjects().includes('cid'));
});

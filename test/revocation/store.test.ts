import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Revocations } from '../../src/identity/revocations.ts';
import { MAX_ENTRIES, TOO_MANY } from '../../src/revocation/entry.ts';
import { createRevocationStore } from '../../src/revocation/store.ts';
import { FILE_MS } from '../support/patience.ts';
import { NO_REDIS, startRedis } from '../support/process/redis.ts';
import { until } from '../support/until.ts';

t.setTimeout(FILE_MS);
const NOW = 1_700_000_000;

function start(t: Test, source: { readonly file?: string; readonly port?: number } = {}) {
  const said: string[] = [];
  const note = (_: object, text: string): void => void said.push(text);
  let inForce: Revocations | undefined;
  let fails = false;
  const address = { host: '127.0.0.1', tls: false, ca: undefined, username: undefined, password: undefined };
  const redis = {
    address: { ...address, port: source.port ?? 0, database: 0, prefix: 'x:' },
    refreshMs: 10_000,
    unavailableAfterMs: 2000,
    whenUnavailable: 'closed' as const,
  };
  const store = createRevocationStore({
    settings: { file: source.file, redis: source.port === undefined ? undefined : redis },
    now: () => NOW * 1000,
    log: { info: note, warn: note, error: note },
    changed: async (revocations) => {
      if (fails) throw new Error('a worker is gone');
      inForce = revocations;
    },
    knownKeys: () => ['api_key'],
  });
  t.teardown(() => store.close());
  return {
    store,
    said,
    inForce: () => inForce,
    fail: (next: boolean) => {
      fails = next;
    },
  };
}

t.test('what is revoked is in force when the answer is there, and doubtful wishes are named', async (t) => {
  const { store, inForce } = start(t);
  await store.start();
  t.match(inForce(), { tokens: new Set(), unknown: false }, 'at the start nothing');
  const memory = /^kept in memory only/;
  const cases: readonly (readonly [request: object, warnings: readonly RegExp[]])[] = [
    [{ kind: 'token', value: 'a' }, [memory]],
    [{ kind: 'key', value: 'api_key' }, [memory]],
    [{ kind: 'before', value: NOW + 1 }, [memory]],
    [{ kind: 'before', value: NOW + 2 }, [memory, /^the time lies ahead/]],
  ];
  for (const [request, warnings] of cases) {
    const answer = await store.revoke(request);
    t.match(answer, { ok: true, stored: 'memory', entry: { ...request, at: NOW }, warnings }, JSON.stringify(request));
    t.equal(answer.ok ? answer.warnings.length : 0, warnings.length);
  }
  t.match(inForce(), { tokens: new Set(['a']), keys: new Set(['api_key']), issuedBefore: NOW + 2 });
  t.equal(store.report().entries.length, cases.length);
  for (const value of ['other', 'read_only_api_key', 'none']) {
    t.strictSame(await store.revoke({ kind: 'key', value }), {
      ok: false,
      problems: ['no key that signs tokens has this id; there are `api_key`'],
    });
  }
  t.equal(store.report().entries.length, cases.length, 'nothing was kept of those');
});

t.test('an entry that is over is not told any more, one that ends now still is', async (t) => {
  const { store } = start(t);
  await store.start();
  t.match(await store.revoke({ kind: 'token', value: 'a', until: NOW - 1 }), {
    ok: false,
    problems: ['`until` is in the past'],
  });
  t.match(await store.revoke({ kind: 'token', value: 'b', until: NOW }), { ok: true });
  t.strictSame(
    store.report().entries.map(({ value }) => value),
    ['b'],
  );
});

t.test('what cannot be put in force is no success, and comes into force with the next change', async (t) => {
  const { store, inForce, fail, said } = start(t);
  await store.start();
  fail(true);
  const answer = await store.revoke({ kind: 'token', value: 'a' });
  t.match(answer, { ok: false, problems: [/^internal error/] });
  t.ok(said.includes('revocations could not be put in force'));
  fail(false);
  t.match(await store.revoke({ kind: 'token', value: 'b' }), { ok: true });
  t.strictSame(inForce()?.tokens, new Set(['a', 'b']));
});

t.test('a full file takes no more, and says what to do', async (t) => {
  const file = join(t.testdir(), 'r.yaml');
  const lines = Array.from({ length: MAX_ENTRIES }, (_, id) => `  - { "kind": "token", "value": "${id}" }\n`);
  writeFileSync(file, `revocations:\n${lines.join('')}`);
  const { store, inForce } = start(t, { file });
  await store.start();
  t.equal(inForce()?.tokens.size, MAX_ENTRIES);
  t.strictSame(await store.revoke({ kind: 'token', value: 'one more' }), { ok: false, problems: [TOO_MANY] });
  t.equal(inForce()?.tokens.has('one more'), false);
});

t.test('a full Redis takes no more, one that holds too much cannot be read', { skip: NO_REDIS }, async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.close());
  const step = 2000;
  for (let from = 0; from < MAX_ENTRIES; from += step) {
    const ids = Array.from({ length: step }, (_, at) => from + at);
    redis.cli('hset', 'x:revocations', ...ids.flatMap((id) => [`${id}`, `{"kind":"token","value":"${id}"}`]));
  }
  const full = start(t, { port: redis.port });
  await full.store.start();
  // So many are read in a second or two; the start does not wait for ever.
  await until(() => full.inForce()?.unknown === false, 'they are read');
  t.strictSame([full.inForce()?.unknown, full.inForce()?.tokens.size], [false, MAX_ENTRIES]);
  t.strictSame(await full.store.revoke({ kind: 'token', value: 'one more' }), { ok: false, problems: [TOO_MANY] });
  redis.cli('hset', 'x:revocations', 'more', '{"kind":"token","value":"more"}');
  const over = start(t, { port: redis.port });
  await over.store.start();
  t.match(over.inForce(), { unknown: true });
  await until(() => over.store.report().sources[0]?.problem !== undefined, 'it was tried');
  t.equal(over.store.report().sources[0]?.problem, `more than ${MAX_ENTRIES} revocations`);
});

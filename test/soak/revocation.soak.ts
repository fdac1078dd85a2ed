import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { createKeyRing } from '../../src/identity/key-ring.ts';
import type { Revocations } from '../../src/identity/revocations.ts';
import { mintToken } from '../../src/identity/token.ts';
import type { RevocationEntry } from '../../src/revocation/entry.ts';
import { appendToFile } from '../../src/revocation/file-append.ts';
import { readRevocationFile } from '../../src/revocation/file-source.ts';
import { addEntry } from '../../src/revocation/file-text.ts';
import { foldEntries } from '../../src/revocation/fold.ts';
import { NO_REDIS, startRedis } from '../support/process/redis.ts';
import { startSupervised } from '../support/supervised.ts';

t.setTimeout(120_000);

/*
 * What ten thousand revocations cost. The bounds are far above what is measured on an idle machine, which the comments
 * tell, so that a busy one does not fail.
 */
const COUNT = 10_000;
const NOW = 1_700_000_000;
const ROUNDS = 301;
const REQUESTS = 1000;

const entries: readonly RevocationEntry[] = Array.from({ length: COUNT }, (_, at) => {
  if (at % 4 === 0) return { kind: 'subject', value: randomUUID(), reason: 'left', at: NOW };
  if (at % 4 === 1) return { kind: 'before', value: NOW, subject: randomUUID(), at: NOW };
  return { kind: 'token', value: randomUUID(), until: NOW + 9_000_000_000, at: NOW };
});

const since = (began: number): number => Math.round(performance.now() - began);

t.test('a request with a remembered token costs as much as with none revoked', async (t) => {
  let revoked: Revocations = foldEntries([], NOW);
  const { authenticate } = createAuthenticator({
    ring: createKeyRing({ apiKey: 'main', jwtRbac: true }, 1),
    cacheEntries: 100,
    now: () => NOW * 1000,
    revocations: () => revoked,
  });
  const claims = { access: 'r', jti: randomUUID(), sub: randomUUID(), subject: randomUUID(), iat: NOW };
  const headers = ['api-key', await mintToken(claims, 'main')];
  t.match(await authenticate(headers), { kind: 'principal' });
  const [none, many] = [foldEntries([], NOW), foldEntries(entries, NOW)];
  const measure = (revocations: Revocations): number => {
    revoked = revocations;
    const began = performance.now();
    for (let at = 0; at < REQUESTS; at += 1) authenticate(headers);
    return ((performance.now() - began) * 1e6) / REQUESTS;
  };
  const rounds = Array.from({ length: ROUNDS }, () => [measure(none), measure(many)] as const);
  // Each pair is measured in the same few milliseconds, so whatever else the machine does meets both.
  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? 0;
  const ratio = median(rounds.map(([one, other]) => other / one));
  const [without, withMany] = [median(rounds.map(([one]) => one)), median(rounds.map(([, other]) => other))];
  t.comment(`${Math.round(without)} ns without, ${Math.round(withMany)} ns with ${COUNT}: ${ratio.toFixed(3)}`);
  t.ok(ratio < 1.2, `${ratio.toFixed(2)} times the cost`);
});

t.test('they are read from a file, and one more is added', async (t) => {
  const file = join(t.testdir(), 'r.yaml');
  const [first, ...rest] = entries;
  const head = addEntry(file, '# by hand\nrevocations: []\n', first ?? { kind: 'token', value: 'a' }, 0);
  const lines = rest.map((entry) => {
    const members = Object.entries(entry).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
    return `  - { ${members.join(', ')} }\n`;
  });
  writeFileSync(file, head + lines.join(''));
  const began = performance.now();
  const found = readRevocationFile(file);
  const read = since(began);
  t.strictSame(found, entries);
  const adding = performance.now();
  await appendToFile(file, { kind: 'token', value: 'one more' });
  const added = since(adding);
  t.equal(readRevocationFile(file).length, COUNT + 1);
  t.comment(`read in ${read} ms, one added in ${added} ms`);
  t.ok(read < 5000 && added < 10_000);
});

t.test('they are read from Redis at the start', { skip: NO_REDIS }, async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.close());
  for (let at = 0; at < COUNT; at += 1000) {
    const fields = entries.slice(at, at + 1000).flatMap((entry, index) => [`${at + index}`, JSON.stringify(entry)]);
    redis.cli('hset', 'qdrant-gateway:revocations', ...fields);
  }
  const bare = performance.now();
  const empty = await startSupervised();
  const without = since(bare);
  await empty.close();
  const began = performance.now();
  const gateway = await startSupervised({ 'gateway.revocation.redis_url': redis.url });
  const took = since(began);
  t.teardown(() => gateway.close());
  t.match(gateway.operator.revocations(), { unknown: false, sources: [{ available: true, entries: COUNT }] });
  const asked = performance.now();
  t.match(await gateway.operator.revoke({ kind: 'token', value: 'one more' }), { ok: true, stored: 'redis' });
  t.comment(`started in ${took} ms, without revocations in ${without} ms; one more revoked in ${since(asked)} ms`);
  t.ok(took < 10_000);
});

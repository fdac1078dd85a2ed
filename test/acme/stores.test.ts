import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createFolderStore } from '../../src/acme/folder-store.ts';
import { createRedisStore } from '../../src/acme/redis-store.ts';
import { createSeal } from '../../src/acme/sealed.ts';
import type { AcmeStore } from '../../src/acme/store.ts';
import { createRedisConnection } from '../../src/redis/connection.ts';
import { acmeFolder } from '../support/acme/renewing.ts';
import { NO_REDIS, startRedis } from '../support/process/redis.ts';
import { until } from '../support/until.ts';

const LEASE_MS = 1000;

interface Pair {
  readonly one: AcmeStore;
  readonly other: AcmeStore;
  /** The lease of a silent leader ends. */
  readonly expire: () => Promise<void>;
}

/** What holds for every place, with two gateways. */
async function leads(t: Test, { one, other, expire }: Pair): Promise<void> {
  const lease = await one.hold();
  if (!lease) throw new Error('the first is the leader');
  t.equal(await other.hold(), undefined, 'there is one leader');
  await one.write(lease, 'order', 'first');
  t.same(await other.read(['order', 'account']), new Map([['order', 'first']]), 'others read what it writes');
  t.same(await one.hold(), lease, 'it stays the leader');
  await t.rejects(other.write({ fence: lease.fence }, 'order', 'x'), { name: 'LeaseLost' }, 'others write nothing');
  await expire();
  const next = await other.hold();
  t.ok(next && next.fence > lease.fence, 'a silent leader is replaced');
  await t.rejects(one.write(lease, 'order', 'late'), { name: 'LeaseLost' }, 'and writes nothing any more');
  t.same(await one.read(['order']), new Map([['order', 'first']]));
  t.equal(await one.hold(), undefined);
  if (next) await other.write(next, 'order', null);
  t.same(await one.read(['order']), new Map(), 'a record is removed');
  await one.release();
  t.equal(await one.hold(), undefined, 'a gateway that is not the leader gives nothing away');
  await other.release();
  t.ok(((await one.hold())?.fence ?? 0) > (next?.fence ?? 0), 'one that stops is replaced at once');
}

t.test('a folder', async (t) => {
  const folder = join(acmeFolder(), 'new');
  let now = 0;
  const clock = (): number => now;
  const [one, other] = [1, 2].map(() => createFolderStore({ folder, leaseMs: LEASE_MS, clock }));
  if (!one || !other) throw new Error('two stores');
  await leads(t, {
    one,
    other,
    async expire() {
      now += LEASE_MS;
    },
  });
  t.equal(statSync(folder).mode & 0o777, 0o700);
  t.same(readdirSync(folder), ['lease.json'], 'nothing is left over');
});

t.test('a lease that is confirmed is never taken, however long ago it was first seen', async (t) => {
  const folder = acmeFolder();
  let now = 0;
  const clock = (): number => now;
  const [one, other] = [1, 2].map(() => createFolderStore({ folder, leaseMs: LEASE_MS, clock }));
  const lease = await one?.hold();
  for (let turn = 0; turn < 20; turn += 1) {
    now += LEASE_MS / 2;
    t.same(await one?.hold(), lease);
    t.equal(await other?.hold(), undefined);
  }
});

t.test('files that a crash has left, or that were damaged, stop no gateway', async (t) => {
  const folder = acmeFolder();
  writeFileSync(join(folder, 'lease.json'), '{"holder":');
  writeFileSync(join(folder, 'order.json.new'), 'half');
  writeFileSync(join(folder, 'lease.json.new'), 'half');
  const store = createFolderStore({ folder, leaseMs: LEASE_MS });
  const lease = await store.hold();
  if (!lease) throw new Error('it is the leader');
  await store.write(lease, 'order', 'whole');
  t.equal(readFileSync(join(folder, 'order.json'), 'utf8'), 'whole');
  t.same(readdirSync(folder).toSorted(), ['lease.json', 'order.json']);
});

t.test('Redis', { skip: NO_REDIS }, async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.close());
  const storeOf = async (): Promise<AcmeStore> => {
    const connection = createRedisConnection({
      ...{ host: '127.0.0.1', port: redis.port, tls: false, ca: undefined, database: 0, prefix: 'test:' },
      ...{ username: undefined, password: undefined },
    });
    const secret = Buffer.alloc(32, 1);
    const store = createRedisStore({ connection, secret, changed: () => undefined, leaseMs: 60_000 });
    connection.start();
    t.teardown(() => connection.close());
    await until(
      () =>
        store.read(['account']).then(
          () => true,
          () => false,
        ),
      'connected',
    );
    return store;
  };
  const [one, other] = [await storeOf(), await storeOf()];
  await leads(t, {
    one,
    other,
    // The lease in Redis is a time of its clock.
    expire: async () => void redis.cli('HSET', 'test:acme', 'until', '1'),
  });
});

t.test('a sealed record opens under its own name and secret only', async (t) => {
  const { seal, open } = createSeal(Buffer.alloc(32, 1));
  const sealed = seal('account', 'text');
  t.equal(open('account', sealed), 'text');
  t.not(seal('account', 'text'), sealed, 'and is never the same twice');
  const wrong: readonly (readonly [name: string, () => string])[] = [
    ['another record', () => open('order', sealed)],
    ['another secret', () => createSeal(Buffer.alloc(32, 2)).open('account', sealed)],
    ['a changed byte', () => open('account', `${sealed.slice(0, -5)}AAAA${sealed.slice(-1)}`)],
    ['nothing', () => open('account', '')],
    ['a text in the clear', () => open('account', 'text')],
  ];
  for (const [name, run] of wrong) t.throws(run, { name: 'AcmeFault', kind: 'storage' }, name);
});

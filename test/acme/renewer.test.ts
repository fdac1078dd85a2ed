import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createRedisStore } from '../../src/acme/redis-store.ts';
import type { AcmeStore } from '../../src/acme/store.ts';
import { createRedisConnection } from '../../src/redis/connection.ts';
import type { LeaderOptions } from '../support/acme/leader.ts';
import { NO_PEBBLE, type Pebble, type PebbleOptions, startPebble } from '../support/acme/pebble.ts';
import { acmeFolder, QUICK, settingsFor, startRenewer, type TestRenewer } from '../support/acme/renewing.ts';
import { FILE_MS } from '../support/patience.ts';
import { freePort, NO_REDIS, type RedisServer, startRedis } from '../support/process/redis.ts';
import { until } from '../support/until.ts';

t.setTimeout(FILE_MS);

const issued = ({ renewer }: TestRenewer): Promise<void> =>
  until(() => {
    const { problem, orders } = renewer.report();
    if (problem) throw new Error(problem.text);
    return orders.ok > 0;
  }, 'a certificate was issued');
const failed = async ({ renewer }: TestRenewer, times = 1) => {
  await until(() => renewer.report().orders.failed === times, 'an order failed');
  return renewer.report();
};

/** Pebble, and a free port at which it looks for http-01. */
async function authority(t: Test, options: PebbleOptions = {}): Promise<{ pebble: Pebble; port: number }> {
  const port = await freePort();
  return { pebble: await startPebble(t, { httpPort: port, ...options }), port };
}

const skip = NO_PEBBLE;

t.test('a third of good nonces is refused: the certificate is got all the same, by http-01', { skip }, async (t) => {
  const { pebble, port } = await authority(t, { env: { PEBBLE_WFE_NONCEREJECT: '35' } });
  const one = await startRenewer(t, settingsFor(pebble), { port });
  await issued(one);
  t.equal(one.installs(), 1, 'and put in force once');
  t.equal(pebble.count('Added order'), 1);
  t.same(one.renewer.report().problem, undefined);
});

t.test('a certificate authority that keeps proofs is asked for none again', { skip }, async (t) => {
  const { pebble, port } = await authority(t, { env: { PEBBLE_AUTHZREUSE: '100' } });
  const settings = settingsFor(pebble);
  const one = await startRenewer(t, settings, { port });
  await issued(one);
  await one.close();
  const proofs = pebble.count('POST /chalZ/');
  t.equal(proofs, 1);
  for (const file of ['certificate.pem', 'schedule.json']) rmSync(join(settings.folder, file));
  const next = await startRenewer(t, settings);
  await issued(next);
  t.equal(pebble.count('POST /chalZ/'), proofs, 'without a port for http-01');
  t.equal(pebble.count('accounts in memory'), 1);
});

t.test('two gateways with one folder place one order, and both have the certificate', { skip }, async (t) => {
  const { pebble, port } = await authority(t);
  const settings = settingsFor(pebble);
  const both = [await startRenewer(t, settings, { port }), await startRenewer(t, settings)];
  await until(() => both.every(({ installs }) => installs() === 1), 'both have it');
  t.equal(pebble.count('Added order'), 1);
  t.same(both.map(({ renewer }) => renewer.report().leader).toSorted(), [false, true], 'one is the leader');
});

t.test('a validation may reach the gateway that is not the leader', { skip }, async (t) => {
  const { pebble, port } = await authority(t);
  const settings = settingsFor(pebble);
  const leader = await startRenewer(t, settings, { times: { shownMs: 400 } });
  t.equal(leader.renewer.report().leader, true);
  const other = await startRenewer(t, settings, { port });
  await until(() => other.installs() === 1 && leader.installs() === 1, 'both have it');
  t.equal(other.renewer.report().leader, false);
});

/** Starts a leader, and ends it with SIGKILL while its order waits for the proof. */
async function killLeader(options: LeaderOptions): Promise<void> {
  const script = join(import.meta.dirname, '..', 'support', 'acme', 'leader.ts');
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until(() => said.includes('showing'), 'the leader shows its proofs');
  const gone = once(child, 'close');
  child.kill('SIGKILL');
  await gone;
}

t.test('a leader ends within its order: another gateway of the folder finishes that order', { skip }, async (t) => {
  const { pebble, port } = await authority(t);
  const settings = settingsFor(pebble);
  await killLeader({ directory: pebble.directory, ca: pebble.ca.toString(), folder: settings.folder });
  const next = await startRenewer(t, settings, { port });
  t.equal(next.renewer.report().leader, false, 'the lease is still in force');
  await issued(next);
  t.equal(pebble.count('Added order'), 1, 'no second order');
  t.equal(pebble.count('accounts in memory'), 1, 'no second account');
});

const SECRET = randomBytes(32).toString('hex');

async function redisStore(t: Test, redis: RedisServer, secret = SECRET): Promise<AcmeStore> {
  const connection = createRedisConnection({
    ...{ host: '127.0.0.1', port: redis.port, tls: false, ca: undefined, database: 0, prefix: 'test:' },
    ...{ username: undefined, password: undefined },
  });
  const store = createRedisStore({
    ...{ connection, secret: Buffer.from(secret), changed: () => undefined, leaseMs: QUICK.leaseMs },
  });
  connection.start();
  t.teardown(() => connection.close());
  const connected = (error: unknown) => !(error instanceof Error && error.message.startsWith('Redis cannot'));
  await until(() => store.read(['account']).then(() => true, connected), 'connected');
  return store;
}

t.test('gateways share through Redis', { skip: NO_PEBBLE || NO_REDIS }, async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.close());
  const { pebble, port } = await authority(t);
  await t.test(
    'a leader ends within its order: another one finishes it, and a third one has the certificate',
    async (t) => {
      const given = { directory: pebble.directory, ca: pebble.ca.toString(), redis: redis.port, secret: SECRET };
      await killLeader({ ...given, folder: acmeFolder() });
      const [one, other] = [await redisStore(t, redis), await redisStore(t, redis)];
      const own = [settingsFor(pebble), settingsFor(pebble)] as const;
      const both = [
        await startRenewer(t, own[0], { store: one, port }),
        await startRenewer(t, own[1], { store: other, times: { shownMs: 400 } }),
      ];
      await until(() => both.every(({ installs }) => installs() === 1), 'both have it');
      t.equal(pebble.count('Added order'), 1, 'no second order');
      const [first, second] = own.map(({ folder }) => readFileSync(join(folder, 'certificate.pem'), 'utf8'));
      t.equal(first, second, 'each in a folder of its own');
      const stored = redis.cli('HGETALL', 'test:acme');
      t.match(stored, /certificate/);
      t.notMatch(stored, /BEGIN|PRIVATE|example\.com/, 'Redis holds no key and no name that can be read');
    },
  );
  await t.test('one with another secret changes nothing and says why', async (t) => {
    const before = redis.cli('HGET', 'test:acme', 'certificate');
    const store = await redisStore(t, redis, 'y'.repeat(32));
    const one = await startRenewer(t, settingsFor(pebble), { store });
    t.match(one.renewer.report(), {
      leader: false,
      problem: { kind: 'storage', text: /was not made with this `gateway\.acme\.shared_secret_file`/ },
    });
    t.equal(redis.cli('HGET', 'test:acme', 'certificate'), before);
    await one.close();
  });
  await t.test('without Redis nothing is ordered, and what was in force stays', async (t) => {
    const store = await redisStore(t, redis);
    const settings = settingsFor(pebble);
    const one = await startRenewer(t, settings, { store });
    t.equal(one.installs(), 1);
    await redis.kill();
    await until(() => one.renewer.report().problem?.kind === 'storage', 'it is told');
    const { expiresAt, leader } = one.renewer.report();
    t.ok((expiresAt ?? 0) > Date.now() && !leader);
    await one.close();
    const again = await startRenewer(t, settings, { store });
    t.equal(again.renewer.report().expiresAt, expiresAt, 'also after a start');
  });
});

t.test('an external account binding is required', { skip }, async (t) => {
  const hmac = randomBytes(32);
  const { pebble, port } = await authority(t, { bindings: { 'key-1': hmac.toString('base64url') } });
  const good = { keyId: 'key-1', hmac: new Uint8Array(hmac) };
  const cases = [
    ['without one', undefined],
    ['with another HMAC key', { keyId: 'key-1', hmac: new Uint8Array(32) }],
  ] as const;
  for (const [name, binding] of cases) {
    const one = await startRenewer(t, settingsFor(pebble, { binding }));
    t.match((await failed(one)).problem, { kind: 'account' }, `${name} the account is refused`);
    t.notMatch(one.lines.join('\n'), hmac.toString('base64url'));
    await one.close();
  }
  await issued(await startRenewer(t, settingsFor(pebble, { binding: good }), { port }));
});

t.test('a certificate authority that cannot be used', { skip }, async (t) => {
  const { pebble } = await authority(t);
  const wrongCa = await startRenewer(t, settingsFor({ directory: pebble.directory, ca: undefined }));
  t.match((await failed(wrongCa)).problem, { kind: 'directory_ca', text: /gateway\.acme\.directory_ca/ });
  const away = await startRenewer(t, settingsFor({ directory: 'https://localhost:1/dir', ca: pebble.ca }));
  t.match((await failed(away)).problem, { kind: 'directory', text: 'the connection failed (ECONNREFUSED)' });
  const late = await startRenewer(t, settingsFor(pebble), { now: () => Date.now() + 86_400_000 });
  t.match((await failed(late)).problem, { kind: 'clock', text: /1440 minutes ahead of/ });
  t.equal(pebble.count('Added order'), 0, 'nothing was ordered');
});

t.test('a renewal that fails leaves the certificate in force, and waits longer each time', { skip }, async (t) => {
  const { pebble, port } = await authority(t, { validity: 6 });
  const settings = settingsFor(pebble);
  const one = await startRenewer(t, settings, { port });
  await issued(one);
  const file = join(settings.folder, 'certificate.pem');
  const before = readFileSync(file);
  await pebble.kill();
  const { problem, nextAttemptAt, expiresAt } = await failed(one);
  t.equal(problem?.kind, 'directory');
  t.ok(nextAttemptAt >= Date.now() + 30_000);
  t.ok(expiresAt !== undefined && readFileSync(file).equals(before), 'it stays');
  t.match(one.lines.at(-1), /^the certificate was not renewed: the connection failed/);
  await one.close();
  const again = await startRenewer(t, settings);
  t.equal(again.renewer.report().nextAttemptAt, nextAttemptAt, 'a restart does not ask earlier');
  const other = { ...settings, email: null };
  await again.close();
  const changed = await startRenewer(t, other);
  await failed(changed);
  t.pass('other settings are tried at once');
});

t.test('the account was closed: a new one is made', { skip }, async (t) => {
  const first = await authority(t);
  const settings = settingsFor(first.pebble);
  const one = await startRenewer(t, settings, { port: first.port });
  await issued(one);
  await one.close();
  // Another directory at the same place knows no account of the first one, and no order.
  const second = await authority(t);
  const moved = { ...settings, directory: second.pebble.directory };
  const account = readFileSync(join(settings.folder, 'account.json'), 'utf8');
  const next = await startRenewer(t, moved, { port: second.port });
  await issued(next);
  t.not(readFileSync(join(settings.folder, 'account.json'), 'utf8'), account, 'of the other directory');
  t.equal(second.pebble.count('Added order'), 1, 'a certificate of another directory is replaced at once');
});

t.test(
  'a folder that cannot be used',
  { skip: NO_PEBBLE || (process.getuid?.() === 0 && 'root may write anywhere') },
  async (t) => {
    const { pebble } = await authority(t);
    const settings = settingsFor(pebble);
    chmodSync(settings.folder, 0o500);
    const one = await startRenewer(t, settings);
    t.match(one.renewer.report(), { leader: false, problem: { kind: 'storage' } });
    t.equal(pebble.count('Added order'), 0, 'nothing is ordered that could not be kept');
  },
);

t.test('a folder that is a file: nothing is ordered that could not be kept', { skip }, async (t) => {
  const { pebble } = await authority(t);
  const folder = join(acmeFolder(), 'file');
  writeFileSync(folder, '');
  const one = await startRenewer(t, settingsFor(pebble, { folder }));
  t.match(one.renewer.report(), { leader: false, problem: { kind: 'storage', text: /cannot be used/ } });
  t.equal(pebble.count('Added order'), 0);
});

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { createFolderStore } from '../../src/acme/folder-store.ts';
import { createRedisStore } from '../../src/acme/redis-store.ts';
import type { AcmeStore } from '../../src/acme/store.ts';
import { createRedisConnection } from '../../src/redis/connection.ts';
import type { LeaderOptions } from '../support/acme/leader.ts';
import { NO_PEBBLE } from '../support/acme/pebble.ts';
import { acmeFolder, authority, issued, QUICK, settingsFor, startRenewer } from '../support/acme/renewing.ts';
import { FILE_MS } from '../support/patience.ts';
import { NO_REDIS, type RedisServer, startRedis } from '../support/process/redis.ts';
import { startSupervised } from '../support/supervised.ts';
import { until } from '../support/until.ts';

t.setTimeout(FILE_MS);

const skip = NO_PEBBLE;

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
  const [leading, following] = [createFolderStore(settings), createFolderStore(settings)];
  const shown = Promise.withResolvers<void>();
  const patient: AcmeStore = {
    ...leading,
    async write(lease, name, text) {
      await leading.write(lease, name, text);
      if (name === 'challenges' && text !== '[]') await shown.promise;
    },
  };
  let looks = 0;
  const watched: AcmeStore = {
    ...following,
    async read(names) {
      const found = await following.read(names);
      if ((found.get('challenges') ?? '[]') !== '[]') looks += 1;
      // With the second look what the first one found is shown.
      if (looks === 2) shown.resolve();
      return found;
    },
  };
  const leader = await startRenewer(t, settings, { store: patient });
  t.equal(leader.renewer.report().leader, true);
  const other = await startRenewer(t, settings, { store: watched, port });
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
        await startRenewer(t, own[1], { store: other, times: { shownMs: 2000 } }),
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

t.test('two gateways with one Redis get one certificate by http-01', { skip: NO_PEBBLE || NO_REDIS }, async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.close());
  const { pebble, port } = await authority(t);
  const secret = join(acmeFolder(), 'secret');
  writeFileSync(secret, SECRET);
  const settings = {
    'gateway.revocation.redis_url': redis.url,
    'gateway.shared.certificates': true,
    'gateway.acme.domains': 'qdrant.example.com',
    'gateway.acme.agree_tos': true,
    'gateway.acme.directory': pebble.directory,
    'gateway.acme.directory_ca': pebble.caFile,
    'gateway.acme.shared_secret_file': secret,
    'gateway.acme.challenge': 'http-01',
    'gateway.acme.http_host': '127.0.0.1',
  };
  const start = async (httpPort: number) => {
    const more = { 'gateway.acme.http_port': httpPort, 'gateway.acme.folder': acmeFolder() };
    const gateway = await startSupervised({ ...settings, ...more });
    t.teardown(() => gateway.close());
    return gateway;
  };
  // The first is the leader: the port of the second comes too late for its order.
  const both = [await start(port), await start(0)];
  const report = (at: number) => both[at]?.operator.acme?.();
  await until(() => [0, 1].every((at) => report(at)?.expiresAt !== undefined), 'both have it');
  t.equal(pebble.count('Added order'), 1, 'one order');
  t.same([report(0)?.leader, report(1)?.leader].toSorted(), [false, true]);
  const ca = await pebble.root();
  for (const { rest, grpc } of both) {
    for (const { port: to } of [rest, grpc]) {
      const socket = connect({
        port: to,
        host: '127.0.0.1',
        servername: 'qdrant.example.com',
        ca,
        ALPNProtocols: ['h2'],
      });
      await once(socket, 'secureConnect');
      t.equal(socket.authorized, true);
      socket.destroy();
    }
  }
});

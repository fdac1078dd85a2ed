import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { frameClient } from '../support/clients/raw-grpc.ts';
import { http2Client } from '../support/clients/raw-http.ts';
import { startOperated } from '../support/operated.ts';
import { FILE_MS } from '../support/patience.ts';
import { NO_REDIS, type RedisServer } from '../support/process/redis.ts';
import { redisOf } from '../support/redis-gateway.ts';
import { startSupervised } from '../support/supervised.ts';
import { until } from '../support/until.ts';

/* Limits that two gateways count together through a Redis server. */

const ADMIN = 'admin-key-0123456789';
const BUCKETS = 'qdrant-gateway:limits:';
t.setTimeout(FILE_MS);

function settingsOf(t: Test, redis: { readonly url: string }, limit: string): Readonly<Record<string, unknown>> {
  const file = join(t.testdir(), 'policy.yaml');
  writeFileSync(
    file,
    `limits: [{ id: all, each: all, operations: [list_collections, qdrant.Collections/List], ${limit} }]`,
  );
  return {
    ...{ 'gateway.policy_file': file, 'gateway.shared.limits': true },
    'gateway.revocation.redis_url': redis.url,
  };
}

async function gatewayOn(t: Test, redis: { readonly url: string }, limit: string) {
  const gateway = await startSupervised(settingsOf(t, redis, limit));
  const [http2, grpc] = [http2Client(gateway), frameClient(gateway)];
  t.teardown(async () => {
    http2.close();
    grpc.close();
    await gateway.close();
  });
  const headers = [['api-key', ADMIN]] as const;
  let passed = 0;
  const count = (ok: boolean, refused: boolean): boolean => {
    if (ok === refused) throw new Error('neither let pass nor refused');
    if (ok) passed += 1;
    return ok;
  };
  return {
    report: () => gateway.operator.sharedLimits?.(),
    passed: () => passed,
    rest: async (): Promise<boolean> => {
      const { status } = await http2.send({ method: 'GET', target: '/collections', headers });
      return count(status === 200, status === 429);
    },
    grpc: async (): Promise<boolean> => {
      const { code } = await grpc.call({ method: '/qdrant.Collections/List', headers, message: Buffer.alloc(0) });
      return count(code === 0, code === 8);
    },
  };
}

type Limited = Awaited<ReturnType<typeof gatewayOn>>;
const total = (gateways: readonly Limited[]): number => gateways.reduce((all, one) => all + one.passed(), 0);

/** Waits until both know of each other. */
async function bothOf(t: Test, redis: RedisServer, limit: string): Promise<readonly [Limited, Limited]> {
  const both = [await gatewayOn(t, redis, limit), await gatewayOn(t, redis, limit)] as const;
  await until(() => both.every((one) => one.report()?.gateways === 2), 'they know of each other');
  return both;
}

t.test('limits shared through a Redis server', { skip: NO_REDIS }, async (t) => {
  t.test('two gateways have the amount of one, over REST and gRPC', async (t) => {
    const redis = await redisOf(t);
    const both = await bothOf(t, redis, 'requests: { per: day, most: 40 }');
    const [one, two] = both;
    // One after the other: nothing is unknown but the first request of the second gateway.
    while ((await one.rest()) && (await one.grpc()));
    t.ok(one.passed() >= 20 && one.passed() <= 40, `${one.passed()} of 40 by one gateway at once`);
    while (await two.grpc());
    t.ok(total(both) <= 60, `${total(both)} of 40, and the share of one that did not know`);
    await until(async () => {
      await Promise.all([one.rest(), two.rest()]);
      return total(both) >= 40;
    }, 'the rest of it comes as it is asked for');
    t.ok(total(both) <= 60, `${total(both)} in all`);
    t.notMatch(redis.cli('keys', '*'), /admin|127\.0/, 'no name of a caller is in Redis');
    t.match(
      redis.cli('keys', `${BUCKETS}*`).split('\n').length,
      4,
      'one bucket, the gateways, and the last exchange of each',
    );
  });

  t.test('all at once they overshoot by their shares at most', async (t) => {
    const redis = await redisOf(t);
    const both = await bothOf(t, redis, 'requests: { per: day, most: 60 }');
    await Promise.all(
      both.flatMap((one) => Array.from({ length: 100 }, (_, at) => (at % 2 ? one.rest() : one.grpc()))),
    );
    t.ok(total(both) >= 50 && total(both) <= 120, `${total(both)} of 60 at once`);
    for (const one of both) await until(async () => !(await one.rest()) && !(await one.rest()), 'it knows');
    const before = total(both);
    await Promise.all(both.flatMap((one) => Array.from({ length: 50 }, () => one.rest())));
    t.equal(total(both), before, 'and nothing passes then');
    t.comment(`${before} of 60`);
  });

  for (const [how, gone, back, most] of [
    // Emptied, the bucket is full again.
    ['killed', (redis: RedisServer) => redis.kill(), (redis: RedisServer) => redis.restart(), 180],
    ['hung', async (redis: RedisServer) => redis.hang(), async (redis: RedisServer) => redis.wake(), 120],
  ] as const) {
    t.test(`while Redis is ${how} each has its share: never nothing, never everything`, async (t) => {
      const redis = await redisOf(t);
      const both = await bothOf(t, redis, 'requests: { per: day, most: 60 }');
      const five = async (what: string, least = 5): Promise<void> => {
        for (const one of both) {
          const before = one.passed();
          await until(async () => (await one.rest()) && one.passed() >= before + least, what);
        }
      };
      const drain = async (): Promise<void> => {
        for (const one of both) while ((await one.rest()) || (await one.grpc()));
      };
      await five('they pass');
      await gone(redis);
      await five('they pass without it, at once');
      const isAway = () => both.every((one) => one.report()?.available === false);
      await until(isAway, 'it is seen to be away', 20_000);
      // A lease that is on its way back is lost with the answer.
      await five('and later', 1);
      await drain();
      t.ok(total(both) >= 20 && total(both) <= 120, `${total(both)} of 60 without it`);
      await back(redis);
      const isBack = () => both.every((one) => one.report()?.available === true);
      await until(isBack, 'it is seen to be back', 20_000);
      await drain();
      t.ok(total(both) <= most, `${total(both)} after it`);
      t.match(both[0].report(), { gateways: 2, processes: 2, problem: undefined });
    });
  }

  t.test('a gateway without Redis counts alone from its start, and one that loses its permission does', async (t) => {
    const redis = await redisOf(t, [], 'right');
    const alone = await gatewayOn(t, { url: redis.url.replace('//', '//:wrong@') }, 'requests: { per: day, most: 4 }');
    t.match(alone.report(), { available: false, gateways: 1, problem: 'WRONGPASS' });
    const verdicts = [];
    for (let times = 0; times < 6; times += 1) verdicts.push(await alone.rest());
    t.strictSame(verdicts, [true, true, true, true, false, false]);
    redis.cli('acl', 'setuser', 'reader', 'on', '>pw', '~*', '&*', '+@read', '+@connection', '+subscribe', '+info');
    const reader = await gatewayOn(
      t,
      { url: redis.url.replace('//', '//reader:pw@') },
      'requests: { per: day, most: 4 }',
    );
    t.match(reader.report(), { available: false, problem: 'NOPERM' });
    t.equal(await reader.rest(), true);
  });

  for (const [name, damage, repair, reason] of [
    [
      'a key of another type',
      (redis: RedisServer, key: string) => {
        redis.cli('del', key);
        redis.cli('set', key, 'x');
      },
      (redis: RedisServer, key: string) => redis.cli('del', key),
      'WRONGTYPE',
    ],
    [
      'a user who may not set an expiry',
      (redis: RedisServer) => redis.cli('acl', 'setuser', 'default', '-pexpire'),
      (redis: RedisServer) => redis.cli('acl', 'setuser', 'default', '+@all'),
      'NOPERM',
    ],
  ] as const) {
    t.test(`${name} charges no caller twice, is told, and ends`, async (t) => {
      const redis = await redisOf(t);
      const one = await gatewayOn(t, redis, 'requests: { per: day, most: 40 }');
      await until(() => one.report()?.available === true, 'Redis answers');
      const keys = () => redis.cli('keys', `${BUCKETS}bucket:*`).split('\n').filter(Boolean);
      const levelOf = (key: string): number => Number(redis.cli('hget', key, 'level'));
      t.equal(await one.rest(), true);
      await until(() => keys().length === 1, 'the bucket of requests');
      const [key = ''] = keys();
      // A lease goes back.
      await until(() => levelOf(key) >= 39, 'one is used');
      damage(redis, key);
      t.equal(await one.rest(), true, 'its share');
      await until(() => one.report()?.problem !== undefined, 'it is told');
      t.match(one.report(), { available: false, problem: reason });
      const calls = () => Number(/calls=(\d+)/.exec(redis.cli('info', 'commandstats').split('evalsha')[1] ?? '')?.[1]);
      const from = calls();
      await until(() => calls() >= from + 5, 'it is asked again');
      repair(redis, key);
      await until(() => one.report()?.available === true, 'it is told to be over', 20_000);
      t.equal(one.report()?.problem, undefined);
      await one.rest();
      await until(() => keys().length === 1 && levelOf(key) >= 36, 'nothing was charged but what passed');
    });
  }

  t.test('one connection may use the amount of all workers', async (t) => {
    const redis = await redisOf(t);
    const settings = settingsOf(t, redis, 'requests: { per: day, most: 40 }');
    const gateway = await startOperated({ settings: { ...settings, 'gateway.workers': 2 } });
    const client = http2Client(gateway);
    t.teardown(async () => {
      client.close();
      await gateway.close();
    });
    let passed = 0;
    const ask = async (): Promise<boolean> => {
      const { status } = await client.send({ method: 'GET', target: '/collections', headers: [['api-key', ADMIN]] });
      if (status === 200) passed += 1;
      return status === 200;
    };
    await until(async () => (await ask()) || passed >= 39, 'more than the share of one worker');
    await until(async () => {
      await ask();
      return passed >= 39;
    }, 'all of it, by one worker');
    t.ok(passed <= 80, `${passed} of 40`);
  });
});

import t from 'tap';
import { createLog } from '../../src/observability/log.ts';
import type { RedisMember } from '../../src/redis/connection.ts';
import { openRedisLink, type RedisLink } from '../../src/redis/link.ts';
import { LEASE } from '../../src/supervisor/lease-script.ts';
import { openSharedLimits } from '../../src/supervisor/shared-limits.ts';
import { NO_REDIS } from '../support/process/redis.ts';
import { redisOf } from '../support/redis-gateway.ts';

/* What the script for shared limits makes of damaged content, and what its failures do. */

t.test('a connection that has left an exchange without an answer has no other one before it answers', async (t) => {
  let answer: (() => unknown) | undefined;
  let evaluated = 0;
  const unused = async (): Promise<never> => t.fail('no other command') as never;
  const commands = { run: unused, read: unused, pick: unused, count: unused, write: unused, ping: unused };
  const link: RedisLink = {
    ...commands,
    remove: async () => undefined,
    eval: async () => {
      evaluated += 1;
      if (answer) return answer();
      throw new Error('no answer');
    },
    close: () => undefined,
  };
  const members: RedisMember[] = [];
  const address = { host: '127.0.0.1', port: 1, tls: false, database: 0, prefix: '' };
  const limits = openSharedLimits({
    connection: {
      address: { ...address, ca: undefined, username: undefined, password: undefined },
      join: (member) => {
        members.push(member);
        return { link: () => link, refresh: () => undefined, tell: () => undefined };
      },
      start: () => undefined,
      close: async () => undefined,
    },
    processes: 1,
    log: createLog('off'),
  });
  t.teardown(limits.close);
  const ask = { name: 'a', quota: { per: 'day', most: 40 }, used: 1, back: 0, want: 0, need: 1 } as const;
  const exchange = () => limits.exchange([ask]);
  await t.rejects(exchange());
  await t.rejects(exchange());
  t.equal(evaluated, 1);
  answer = () => ['1', '1'];
  await members[0]?.read(link, { whole: true, told: new Set() });
  answer = () => ['1', '1', '0', '39.000000'];
  t.strictSame((await exchange()).grants, [{ granted: 0, level: 39 }]);
  answer = () => ['1', '1', '', 'WRONGTYPE Operation'];
  t.strictSame((await exchange()).grants, [undefined]);
  t.match(limits.report(), { available: false, problem: 'WRONGTYPE' });
});

t.test('a bucket that fails leaves the others as they are', { skip: NO_REDIS }, async (t) => {
  const redis = await redisOf(t);
  const none = { ca: undefined, username: undefined, password: undefined };
  const address = { host: '127.0.0.1', port: redis.port, tls: false, database: 0, prefix: '', ...none };
  const link = await openRedisLink(address, { deadlineMs: 5000 });
  t.teardown(() => link.close());
  const ask = ['60', '86400000', '2', '0', '3', '1'];
  const all = (gateway = '1'): Promise<unknown> =>
    link.eval(LEASE, ['gateways', 'last', 'a', 'b', 'c'], ['me', gateway, '10000', '', ...ask, ...ask, ...ask]);
  redis.cli('set', 'b', 'x');
  const [gateways, processes, ...buckets] = (await all()) as readonly string[];
  t.strictSame([gateways, processes], ['1', '1']);
  t.strictSame([buckets[0], buckets[1], buckets[2], buckets[4], buckets[5]], ['3', '55.000000', '', '3', '55.000000']);
  t.match(buckets[3], 'WRONGTYPE');
  redis.cli('del', 'b');
  for (const [level, at, expected] of [
    ['nan', '1', -2],
    ['inf', '1', -2],
    ['-inf', '1', -2],
    ['-1e300', '1', -2],
    ['x', '1', -2],
    ['5', '1e300', -2],
    ['5', '9999999999999', 2],
    ['-1e14', '9999999999999', -1e14 - 2],
  ] as const) {
    redis.cli('hset', 'b', 'level', level, 'at', at);
    const answer = (await all()) as readonly string[];
    t.equal(Number(answer[5]), expected, `a level of ${level} at ${at}`);
    t.ok(Number(redis.cli('pttl', 'b')) > 0, 'it expires');
  }
  for (const [field, stays] of [
    ['99999999999999 1', false],
    [`${'9'.repeat(300)} 1`, false],
    [`${Date.now()} ${'9'.repeat(300)}`, false],
    [`${Date.now()} 1025`, false],
    [`${Date.now()} 0`, false],
    [`${Date.now()} 1e300`, false],
    [`${Date.now() - 60_000} 2`, false],
    [`${Date.now()} 1024`, true],
  ] as const) {
    redis.cli('hset', 'gateways', 'other', field);
    const [count, sum] = (await all()) as readonly string[];
    t.strictSame([count, sum], stays ? ['2', '1025'] : ['1', '1'], field.slice(0, 40));
    t.equal(redis.cli('hexists', 'gateways', 'other').trim(), stays ? '1' : '0');
  }
});

t.test('an exchange that is asked again is served once, and gets the same answer', { skip: NO_REDIS }, async (t) => {
  const redis = await redisOf(t);
  const none = { ca: undefined, username: undefined, password: undefined };
  const address = { host: '127.0.0.1', port: redis.port, tls: false, database: 0, prefix: '', ...none };
  const link = await openRedisLink(address, { deadlineMs: 5000 });
  t.teardown(() => link.close());
  const ask = ['60', '86400000', '2', '0', '3', '1'];
  const turn = (number: string, who = 'last', asks = 2): Promise<unknown> => {
    const buckets = ['a', 'b'].slice(0, asks);
    return link.eval(LEASE, ['gateways', who, ...buckets], ['me', '1', '10000', number, ...buckets.flatMap(() => ask)]);
  };
  const level = (): number => Number(redis.cli('hget', 'a', 'level'));
  const first = await turn('1');
  t.strictSame(first, ['1', '1', '3', '55.000000', '3', '55.000000']);
  t.strictSame([await turn('1'), await turn('1')], [first, first]);
  t.equal(Math.round(level()), 55);
  t.match(await turn('2'), ['1', '1', '3', /^50\./, '3', /^50\./]);
  t.strictSame(await turn('1'), ['1', '1', '', 'LOST', '', 'LOST'], 'an earlier one');
  t.equal(Math.round(level()), 50);
  t.match(await turn('1', 'other'), ['1', '1', '3', /^45\./], 'another process');
  redis.cli('set', 'b', 'x');
  const failed = await turn('3');
  t.match(failed, ['1', '1', '3', /^40\./, '', /WRONGTYPE/]);
  t.strictSame(await turn('3'), failed, 'a failed bucket');
  for (const [name, damage, expected] of [
    ['the answer is gone', ['hdel', 'last', 'answer'], 'LOST'],
    ['the answer was never told', ['hset', 'last', 'answer', ''], 'LOST'],
  ] as const) {
    redis.cli(...damage);
    t.match(await turn('3'), ['1', '1', '', expected, '', expected], name);
    t.equal(Math.round(level()), 40, name);
  }
  for (const damaged of ['nan', 'inf', '-inf', 'x', '1e300', '-5']) {
    redis.cli('hset', 'last', 'turn', damaged);
    t.match(await turn('4', 'last', 1), ['1', '1', /^\d$/, /^[\d.-]+$/], `a turn of ${damaged} does not stop it`);
  }
  t.ok(Number(redis.cli('pttl', 'last')) > 500_000, 'it expires');
  redis.cli('del', 'last');
  redis.cli('set', 'last', 'x');
  t.match(await turn('5', 'last', 1), ['1', '1', '', /WRONGTYPE/], 'a key of another type: nothing is served');
});

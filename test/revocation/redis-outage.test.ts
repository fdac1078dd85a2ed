import t from 'tap';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { FILE_MS } from '../support/patience.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { NO_REDIS, type RedisServer } from '../support/process/redis.ts';
import { AFTER_MS, BRIEF, HASH, redisOf, startBefore, tokenOf } from '../support/redis-gateway.ts';
import { REFUSED, SERVED, UNKNOWN } from '../support/supervised.ts';
import { until } from '../support/until.ts';

const ADMIN = 'admin-key-0123456789';
t.setTimeout(FILE_MS);

t.test('a Redis server that is not there, or not as it was', { skip: NO_REDIS }, async (t) => {
  for (const [how, gone, back] of [
    ['killed', (redis: RedisServer) => redis.kill(), (redis: RedisServer) => redis.restart()],
    ['hung', async (redis: RedisServer) => redis.hang(), async (redis: RedisServer) => redis.wake()],
  ] as const) {
    t.test(`fails closed while Redis is ${how}`, async (t) => {
      const redis = await redisOf(t);
      const gateway = await startBefore(t, redis, BRIEF);
      t.match(await gateway.operator.revoke({ kind: 'token', value: 'id-1' }), { ok: true, stored: 'redis' });
      const [revoked, good] = [tokenOf('id-1'), tokenOf('id-2')];
      t.strictSame([await gateway.lines.ask(revoked), await gateway.lines.ask(good)], [REFUSED, SERVED]);
      await gone(redis);
      t.strictSame(await gateway.lines.ask(good), SERVED, 'not at once: it may only be a moment');
      await gateway.becomes(good, UNKNOWN, 5000);
      t.strictSame([await gateway.lines.ask(revoked), await gateway.lines.ask(ADMIN)], [UNKNOWN, SERVED], 'keys go on');
      t.match([gateway.operator.revocations().unknown, gateway.source()?.available], [true, false]);
      await back(redis);
      await gateway.becomes(good, SERVED);
      t.strictSame(await gateway.lines.ask(revoked), REFUSED, 'and what was revoked still is');
    });

    t.test(`fails open, where that is set, while Redis is ${how}`, async (t) => {
      const redis = await redisOf(t);
      const gateway = await startBefore(t, redis, { ...BRIEF, 'gateway.revocation.when_unavailable': 'open' });
      t.match(await gateway.operator.revoke({ kind: 'token', value: 'id-1' }), { ok: true, stored: 'redis' });
      const [revoked, good, late] = [tokenOf('id-1'), tokenOf('id-2'), tokenOf('id-3')];
      await gone(redis);
      await until(() => gateway.source()?.available === false, 'it is seen to be away', 5000);
      const verdicts = async () => [await gateway.lines.ask(revoked), await gateway.lines.ask(good)];
      t.strictSame(await verdicts(), [REFUSED, SERVED], 'what was known last counts');
      t.equal(gateway.operator.revocations().unknown, false);
      t.strictSame(await gateway.lines.ask(late), SERVED);
      const answer = await gateway.operator.revoke({ kind: 'token', value: 'id-3' });
      t.match(answer, { ok: true, stored: 'memory', warnings: [/^redis could not be written/] });
      t.strictSame(await gateway.lines.ask(late), REFUSED, 'a new one is in force here');
      await back(redis);
      await until(() => redis.cli('hgetall', HASH).includes('id-3'), 'it is written once Redis is back');
      await until(() => gateway.source()?.available === true, 'it is seen to be back');
      t.strictSame([...(await verdicts()), await gateway.lines.ask(late)], [REFUSED, SERVED, REFUSED]);
    });
  }

  t.test('a server that lost everything gets it back; one that kept it is taken at its word', async (t) => {
    const redis = await redisOf(t);
    const [one, two] = [await startBefore(t, redis), await startBefore(t, redis)];
    await one.operator.revoke({ kind: 'token', value: 'id-1' });
    await two.becomes(tokenOf('id-1'), REFUSED);
    await redis.kill();
    await redis.restart();
    await until(() => redis.cli('hgetall', HASH).includes('id-1'), 'it was written again');
    t.strictSame([await one.lines.ask(tokenOf('id-1')), await two.lines.ask(tokenOf('id-1'))], [REFUSED, REFUSED]);
    redis.cli('flushall');
    redis.cli('publish', `${HASH}:changed`, '1');
    await until(() => redis.cli('hgetall', HASH).includes('id-1'), 'nor does emptying it take anything back');
    t.strictSame(await one.lines.ask(tokenOf('id-1')), REFUSED);
    const field =
      redis
        .cli('hkeys', HASH)
        .split('\n')
        .find((name) => name.includes('id-1')) ?? '';
    redis.cli('hdel', HASH, field);
    redis.cli('publish', `${HASH}:changed`, '1');
    await one.becomes(tokenOf('id-1'), SERVED);
    await two.becomes(tokenOf('id-1'), SERVED);
    t.notMatch(redis.cli('hgetall', HASH), 'id-1', 'a single one that is taken out stays out');
  });

  t.test('what a snapshot of Redis lacks after a crash is written again', async (t) => {
    const redis = await redisOf(t);
    const gateway = await startBefore(t, redis);
    await gateway.operator.revoke({ kind: 'token', value: 'id-1' });
    t.equal(redis.cli('save'), 'OK');
    const at = Date.now();
    await gateway.operator.revoke({ kind: 'token', value: 'id-2' });
    await until(() => Number(gateway.source()?.readAt) > at, 'it has been read since');
    await redis.kill();
    await redis.restart();
    await until(() => redis.cli('hgetall', HASH).includes('id-2'), 'the one after the snapshot is there, too');
    const verdicts = ['id-1', 'id-2', 'id-3'].map((id) => gateway.lines.ask(tokenOf(id)));
    t.strictSame(await Promise.all(verdicts), [REFUSED, REFUSED, SERVED]);
  });

  t.test('a start without Redis: closed refuses tokens until it was read once, open accepts them', async (t) => {
    const redis = await redisOf(t);
    redis.cli('hset', HASH, 'any', '{"kind":"token","value":"id-1"}');
    redis.hang();
    const closed = await startBefore(t, redis);
    const open = await startBefore(t, redis, { 'gateway.revocation.when_unavailable': 'open' });
    t.strictSame([await closed.lines.ask(tokenOf('id-2')), await closed.lines.ask(ADMIN)], [UNKNOWN, SERVED]);
    t.strictSame([await open.lines.ask(tokenOf('id-2')), await open.lines.ask(tokenOf('id-1'))], [SERVED, SERVED]);
    t.match(closed.source(), { available: false, readAt: 0 });
    redis.wake();
    await closed.becomes(tokenOf('id-2'), SERVED);
    await open.becomes(tokenOf('id-1'), REFUSED);
    t.strictSame([await closed.lines.ask(tokenOf('id-1')), await open.lines.ask(tokenOf('id-2'))], [REFUSED, SERVED]);
  });

  t.test('a wrong password is no password, and stands nowhere', async (t) => {
    const redis = await redisOf(t, [], 'right');
    const right = await startBefore(t, { url: redis.url.replace('//', '//:right@') });
    await right.becomes(tokenOf('id-1'), SERVED);
    const wrong = await startBefore(t, { url: redis.url.replace('//', '//default:never-to-be-seen@') });
    t.strictSame([await wrong.lines.ask(tokenOf('id-1')), await wrong.lines.ask(ADMIN)], [UNKNOWN, SERVED]);
    t.equal(wrong.source()?.problem, 'WRONGPASS');
    const answer = await wrong.operator.revoke({ kind: 'token', value: 'id-1' });
    t.match(answer, { ok: true, stored: 'memory', warnings: [/redis could not be written \(WRONGPASS\)/] });
    t.notMatch(JSON.stringify([answer, wrong.operator.revocations()]), 'never-to-be-seen');
    const none = await startBefore(t, redis);
    t.strictSame(await none.lines.ask(tokenOf('id-1')), UNKNOWN);
    t.equal(none.source()?.problem, 'NOAUTH');
  });

  t.test('the log tells what goes on, without passwords and claims', async (t) => {
    const redis = await redisOf(t, [], 'right');
    const upstream = await startFakeQdrant();
    t.teardown(() => upstream.close());
    const run = async (password: string) => {
      const gateway = await startGatewayProcess(upstream, {
        QDRANT__LOG_LEVEL: 'info',
        QDRANT_GATEWAY__REVOCATION__REDIS_URL: redis.url.replace('//', `//:${password}@`),
        QDRANT_GATEWAY__REVOCATION__UNAVAILABLE_AFTER_MS: `${AFTER_MS}`,
      });
      t.teardown(() => gateway.close());
      return gateway;
    };
    redis.cli('hset', HASH, '@', '1', 'a-claim', '{"kind":"token","value":"a-claim"}');
    const [right, wrong] = [await run('right'), await run('never-to-be-seen')];
    t.match(right.errors(), /"entries":1,"msg":"redis answers: revocations are known"/);
    t.match(wrong.errors(), /"reason":"WRONGPASS","msg":"redis cannot be reached: every token is refused until it ans/);
    await redis.kill();
    await until(() => right.errors().includes('every token is refused'), 'it says that it refuses');
    await redis.restart();
    await until(() => right.errors().includes('redis had lost revocations'), 'it says that it wrote them again');
    t.match(right.errors(), /"entries":1,"msg":"redis had lost revocations; the gateway wrote them again"/);
    t.notMatch(right.errors() + wrong.errors(), /never-to-be-seen|a-claim|:right@/);
    t.match(redis.cli('hgetall', HASH), 'a-claim');
  });
});

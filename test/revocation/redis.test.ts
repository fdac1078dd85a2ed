import t, { type Test } from 'tap';
import { makeDevCerts } from '../../certs/make-dev-certs.ts';
import { until } from '../support/clients.ts';
import { NO_REDIS, type RedisServer, startRedis } from '../support/redis.ts';
import { openLines, REFUSED, SERVED, startSupervised, UNKNOWN } from '../support/supervised.ts';
import { makeToken } from '../support/tokens.ts';

const ADMIN = 'admin-key-0123456789';
/** Short, so that a test does not wait for long. */
const AFTER_MS = 600;
const HASH = 'qdrant-gateway:revocations';

async function redisOf(t: Test, args: readonly string[] = [], password?: string): Promise<RedisServer> {
  const redis = await startRedis(args, password);
  t.teardown(() => redis.close());
  return redis;
}

async function start(t: Test, redis: { readonly url: string }, more: Readonly<Record<string, unknown>> = {}) {
  const gateway = await startSupervised({
    'gateway.revocation.redis_url': redis.url,
    'gateway.revocation.unavailable_after_ms': AFTER_MS,
    ...more,
  });
  const lines = openLines(gateway);
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    lines.close();
    await gateway.close();
  };
  t.teardown(stop);
  const becomes = (credential: string, verdict: readonly number[], withinMs?: number) =>
    until(async () => String(await lines.ask(credential)) === String(verdict), `verdict ${verdict}`, withinMs);
  return { operator: gateway.operator, lines, becomes, stop };
}

const tokenOf = (id: string): string => makeToken({ access: 'r', jti: id });
const source = ({ operator }: Awaited<ReturnType<typeof start>>) => operator.revocations().sources[0];

t.test('against a Redis server', { skip: NO_REDIS }, async (t) => {
  t.test('what one gateway revokes, the other refuses within a second, and after restarts', async (t) => {
    const redis = await redisOf(t);
    // A full reading comes too late to be what is seen here.
    const rare = { 'gateway.revocation.refresh_ms': 3_600_000 };
    const [one, two] = [await start(t, redis, rare), await start(t, redis, rare)];
    const [token, other] = [tokenOf('id-1'), tokenOf('id-2')];
    t.strictSame([await one.lines.ask(token), await two.lines.ask(token)], [SERVED, SERVED]);
    const began = performance.now();
    t.match(await one.operator.revoke({ kind: 'token', value: 'id-1', reason: 'lost' }), {
      ok: true,
      stored: 'redis',
      warnings: [],
    });
    t.strictSame(await one.lines.ask(token), REFUSED, 'here at the next request');
    await two.becomes(token, REFUSED);
    const took = Math.round(performance.now() - began);
    t.ok(took < 1000, `there after ${took} ms`);
    t.strictSame([await one.lines.ask(other), await two.lines.ask(other)], [SERVED, SERVED], 'another is served');
    t.strictSame([one.lines.opened(), two.lines.opened()], [1, 1], 'on connections that were open');
    await one.stop();
    await two.stop();
    const three = await start(t, redis, rare);
    t.strictSame([await three.lines.ask(token), await three.lines.ask(other)], [REFUSED, SERVED], 'after a restart');
    t.match(three.operator.revocations().entries, [{ kind: 'token', value: 'id-1', reason: 'lost' }]);
  });

  t.test('what is written without being published comes with the next full reading', async (t) => {
    const redis = await redisOf(t);
    const gateway = await start(t, redis, { 'gateway.revocation.refresh_ms': 200 });
    const token = tokenOf('id-1');
    t.strictSame(await gateway.lines.ask(token), SERVED);
    redis.cli('hset', HASH, 'any', '{"kind":"token","value":"id-1"}');
    await gateway.becomes(token, REFUSED);
    redis.cli('hdel', HASH, 'any');
    await gateway.becomes(token, SERVED);
    t.strictSame(await gateway.lines.ask(tokenOf('id-2')), SERVED, 'taken out on purpose it is good again');
  });

  t.test('a name in the hash that is not understood may be a revocation', async (t) => {
    const redis = await redisOf(t);
    redis.cli('hset', HASH, 'any', 'not json: never-to-be-seen');
    const gateway = await start(t, redis);
    t.strictSame(await gateway.lines.ask(tokenOf('id-1')), UNKNOWN);
    t.strictSame(await gateway.lines.ask(ADMIN), SERVED);
    t.equal(source(gateway)?.problem, 'a field of the hash holds no revocation');
    redis.cli('hdel', HASH, 'any');
    await gateway.becomes(tokenOf('id-1'), SERVED);
  });

  for (const [how, gone, back] of [
    ['killed', (redis: RedisServer) => redis.kill(), (redis: RedisServer) => redis.restart()],
    ['hung', async (redis: RedisServer) => redis.hang(), async (redis: RedisServer) => redis.wake()],
  ] as const) {
    t.test(`fails closed while Redis is ${how}`, async (t) => {
      const redis = await redisOf(t);
      const gateway = await start(t, redis);
      t.match(await gateway.operator.revoke({ kind: 'token', value: 'id-1' }), { ok: true, stored: 'redis' });
      const [revoked, good] = [tokenOf('id-1'), tokenOf('id-2')];
      t.strictSame([await gateway.lines.ask(revoked), await gateway.lines.ask(good)], [REFUSED, SERVED]);
      await gone(redis);
      const began = performance.now();
      t.strictSame(await gateway.lines.ask(good), SERVED, 'not at once: it may only be a moment');
      await gateway.becomes(good, UNKNOWN, 5000);
      const took = Math.round(performance.now() - began);
      t.ok(took < AFTER_MS + 1000, `after ${took} ms, ${AFTER_MS} are allowed`);
      t.strictSame([await gateway.lines.ask(revoked), await gateway.lines.ask(ADMIN)], [UNKNOWN, SERVED], 'keys go on');
      t.match([gateway.operator.revocations().unknown, source(gateway)?.available], [true, false]);
      await back(redis);
      await gateway.becomes(good, SERVED);
      t.strictSame(await gateway.lines.ask(revoked), REFUSED, 'and what was revoked still is');
    });

    t.test(`fails open, where that is set, while Redis is ${how}`, async (t) => {
      const redis = await redisOf(t);
      const gateway = await start(t, redis, { 'gateway.revocation.when_unavailable': 'open' });
      t.match(await gateway.operator.revoke({ kind: 'token', value: 'id-1' }), { ok: true, stored: 'redis' });
      const [revoked, good, late] = [tokenOf('id-1'), tokenOf('id-2'), tokenOf('id-3')];
      await gone(redis);
      await until(() => source(gateway)?.available === false, 'it is seen to be away', 5000);
      const verdicts = async () => [await gateway.lines.ask(revoked), await gateway.lines.ask(good)];
      t.strictSame(await verdicts(), [REFUSED, SERVED], 'what was known last counts');
      t.equal(gateway.operator.revocations().unknown, false);
      t.strictSame(await gateway.lines.ask(late), SERVED);
      const answer = await gateway.operator.revoke({ kind: 'token', value: 'id-3' });
      t.match(answer, { ok: true, stored: 'memory', warnings: [/^redis could not be written/] });
      t.strictSame(await gateway.lines.ask(late), REFUSED, 'a new one is in force here');
      await back(redis);
      await until(() => redis.cli('hgetall', HASH).includes('id-3'), 'it is written once Redis is back');
      await until(() => source(gateway)?.available === true, 'it is seen to be back');
      t.strictSame([...(await verdicts()), await gateway.lines.ask(late)], [REFUSED, SERVED, REFUSED]);
    });
  }

  t.test('a server that lost everything gets it back; one that kept it is taken at its word', async (t) => {
    const redis = await redisOf(t);
    const [one, two] = [await start(t, redis), await start(t, redis)];
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

  t.test('what Redis keeps on disk is there after both were killed', async (t) => {
    const redis = await redisOf(t, ['--appendonly', 'yes']);
    const one = await start(t, redis);
    await one.operator.revoke({ kind: 'token', value: 'id-1' });
    await one.stop();
    await redis.kill();
    await redis.restart();
    const two = await start(t, redis);
    t.strictSame([await two.lines.ask(tokenOf('id-1')), await two.lines.ask(tokenOf('id-2'))], [REFUSED, SERVED]);
  });

  t.test('a start without Redis: closed refuses tokens until it was read once, open accepts them', async (t) => {
    const redis = await redisOf(t);
    redis.cli('hset', HASH, 'any', '{"kind":"token","value":"id-1"}');
    redis.hang();
    const closed = await start(t, redis);
    const open = await start(t, redis, { 'gateway.revocation.when_unavailable': 'open' });
    t.strictSame([await closed.lines.ask(tokenOf('id-2')), await closed.lines.ask(ADMIN)], [UNKNOWN, SERVED]);
    t.strictSame([await open.lines.ask(tokenOf('id-2')), await open.lines.ask(tokenOf('id-1'))], [SERVED, SERVED]);
    t.match(source(closed), { available: false, readAt: 0 });
    redis.wake();
    await closed.becomes(tokenOf('id-2'), SERVED);
    await open.becomes(tokenOf('id-1'), REFUSED);
    t.strictSame([await closed.lines.ask(tokenOf('id-1')), await open.lines.ask(tokenOf('id-2'))], [REFUSED, SERVED]);
  });

  t.test('a wrong password is no password, and stands nowhere', async (t) => {
    const redis = await redisOf(t, [], 'right');
    const right = await start(t, { url: redis.url.replace('//', '//:right@') });
    t.strictSame(await right.lines.ask(tokenOf('id-1')), SERVED);
    const wrong = await start(t, { url: redis.url.replace('//', '//default:never-to-be-seen@') });
    t.strictSame([await wrong.lines.ask(tokenOf('id-1')), await wrong.lines.ask(ADMIN)], [UNKNOWN, SERVED]);
    t.equal(source(wrong)?.problem, 'WRONGPASS');
    const answer = await wrong.operator.revoke({ kind: 'token', value: 'id-1' });
    t.match(answer, { ok: true, stored: 'memory', warnings: [/redis could not be written \(WRONGPASS\)/] });
    t.notMatch(JSON.stringify([answer, wrong.operator.revocations()]), 'never-to-be-seen');
    const none = await start(t, redis);
    t.strictSame(await none.lines.ask(tokenOf('id-1')), UNKNOWN);
    t.equal(source(none)?.problem, 'NOAUTH');
  });

  t.test('over TLS, with the CA that is set and no other', async (t) => {
    const made = await makeDevCerts(t.testdir());
    const redis = await startRedis([], undefined, made);
    t.teardown(() => redis.close());
    const trusting = await start(t, redis, { 'gateway.revocation.redis_ca': made.ca });
    t.match(await trusting.operator.revoke({ kind: 'token', value: 'id-1' }), { ok: true, stored: 'redis' });
    const verdicts = ['id-1', 'id-2'].map((id) => trusting.lines.ask(tokenOf(id)));
    t.strictSame(await Promise.all(verdicts), [REFUSED, SERVED]);
    const doubting = await start(t, redis);
    t.strictSame(await doubting.lines.ask(tokenOf('id-2')), UNKNOWN);
    t.match(source(doubting)?.problem, /CERT|ISSUER|SIGNATURE/);
    const plain = await start(t, { url: redis.url.replace('rediss', 'redis') });
    t.strictSame(await plain.lines.ask(tokenOf('id-2')), UNKNOWN, 'nor without TLS');
  });

  t.test('a gateway that may only read reads', async (t) => {
    const redis = await redisOf(t);
    redis.cli('hset', HASH, '@', '1', 'any', '{"kind":"token","value":"id-1"}');
    redis.cli('acl', 'setuser', 'reader', 'on', '>pw', '~*', '&*', '+@read', '+@connection', '+subscribe', '+info');
    const gateway = await start(t, { url: redis.url.replace('//', '//reader:pw@') });
    const verdicts = async () => [await gateway.lines.ask(tokenOf('id-1')), await gateway.lines.ask(tokenOf('id-2'))];
    t.strictSame(await verdicts(), [REFUSED, SERVED]);
    const answer = await gateway.operator.revoke({ kind: 'token', value: 'id-2' });
    t.match(answer, { ok: true, stored: 'memory', warnings: [/redis could not be written \(NOPERM\)/] });
    t.strictSame(await verdicts(), [REFUSED, REFUSED], 'what it cannot write is in force here');
  });

  t.test('prefixes and databases keep gateways apart', async (t) => {
    const redis = await redisOf(t);
    const one = await start(t, redis);
    const prefix = await start(t, redis, { 'gateway.revocation.redis_prefix': 'other:' });
    const database = await start(t, { url: `${redis.url}/3` });
    await one.operator.revoke({ kind: 'token', value: 'id-1' });
    t.strictSame(await one.lines.ask(tokenOf('id-1')), REFUSED);
    t.strictSame(await prefix.lines.ask(tokenOf('id-1')), SERVED);
    t.strictSame(await database.lines.ask(tokenOf('id-1')), SERVED);
    t.equal(redis.cli('-n', '3', 'hlen', HASH), '1', 'the marker of the other database');
  });

  t.test('what was over for an hour is taken out', async (t) => {
    const redis = await redisOf(t);
    redis.cli('hset', HASH, '["token","old",null,1000]', '{"kind":"token","value":"old","until":1000}');
    redis.cli('hset', HASH, '["token","new",null,9000000000]', '{"kind":"token","value":"new","until":9000000000}');
    const gateway = await start(t, redis);
    await until(() => !redis.cli('hkeys', HASH).includes('old'), 'the old one is gone');
    t.match(redis.cli('hkeys', HASH), 'new');
    t.strictSame([await gateway.lines.ask(tokenOf('old')), await gateway.lines.ask(tokenOf('new'))], [SERVED, REFUSED]);
  });

  t.test('file and Redis add up', async (t) => {
    const redis = await redisOf(t);
    const file = `${t.testdir({ 'r.yaml': 'revocations:\n  - { kind: token, value: id-1 }\n' })}/r.yaml`;
    const gateway = await start(t, redis, { 'gateway.revocation.file': file });
    t.match(await gateway.operator.revoke({ kind: 'token', value: 'id-2' }), { ok: true, stored: 'redis' });
    const verdicts = ['id-1', 'id-2', 'id-3'].map((id) => gateway.lines.ask(tokenOf(id)));
    t.strictSame(await Promise.all(verdicts), [REFUSED, REFUSED, SERVED]);
    await redis.kill();
    const answer = await gateway.operator.revoke({ kind: 'token', value: 'id-3' });
    t.match(
      answer,
      { ok: true, stored: 'file', warnings: [/^redis could not be written/] },
      'the file takes what Redis cannot',
    );
    await redis.restart();
    await gateway.becomes(tokenOf('id-3'), REFUSED);
  });
});

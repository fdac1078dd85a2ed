import t from 'tap';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { FILE_MS } from '../support/patience.ts';
import { NO_REDIS, startRedis } from '../support/process/redis.ts';
import { HASH, redisOf, startBefore, tokenOf } from '../support/redis-gateway.ts';
import { REFUSED, SERVED, UNKNOWN } from '../support/supervised.ts';
import { until } from '../support/until.ts';

const ADMIN = 'admin-key-0123456789';
t.setTimeout(FILE_MS);

t.test('revocations shared through a Redis server', { skip: NO_REDIS }, async (t) => {
  t.test('what one gateway revokes, the other refuses as soon as it is told, and after restarts', async (t) => {
    const redis = await redisOf(t);
    // A full reading comes too late to be what is seen here.
    const rare = { 'gateway.revocation.refresh_ms': 3_600_000 };
    const [one, two] = [await startBefore(t, redis, rare), await startBefore(t, redis, rare)];
    const [token, other] = [tokenOf('id-1'), tokenOf('id-2')];
    t.strictSame([await one.lines.ask(token), await two.lines.ask(token)], [SERVED, SERVED]);
    t.match(await one.operator.revoke({ kind: 'token', value: 'id-1', reason: 'lost' }), {
      ok: true,
      stored: 'redis',
      warnings: [],
    });
    t.strictSame(await one.lines.ask(token), REFUSED, 'here at the next request');
    await two.becomes(token, REFUSED);
    t.strictSame([await one.lines.ask(other), await two.lines.ask(other)], [SERVED, SERVED], 'another is served');
    t.strictSame([one.lines.opened(), two.lines.opened()], [1, 1], 'on connections that were open');
    await one.stop();
    await two.stop();
    const three = await startBefore(t, redis, rare);
    t.strictSame([await three.lines.ask(token), await three.lines.ask(other)], [REFUSED, SERVED], 'after a restart');
    t.match(three.operator.revocations().entries, [{ kind: 'token', value: 'id-1', reason: 'lost' }]);
  });

  t.test('what is written without being published comes with the next full reading', async (t) => {
    const redis = await redisOf(t);
    const gateway = await startBefore(t, redis, { 'gateway.revocation.refresh_ms': 200 });
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
    const gateway = await startBefore(t, redis);
    t.strictSame(await gateway.lines.ask(tokenOf('id-1')), UNKNOWN);
    t.strictSame(await gateway.lines.ask(ADMIN), SERVED);
    t.equal(gateway.source()?.problem, 'a field of the hash is not a revocation');
    redis.cli('hdel', HASH, 'any');
    await gateway.becomes(tokenOf('id-1'), SERVED);
  });

  t.test('what Redis keeps on disk is there after both were killed', async (t) => {
    const redis = await redisOf(t, ['--appendonly', 'yes', '--appendfsync', 'always']);
    const one = await startBefore(t, redis);
    await one.operator.revoke({ kind: 'token', value: 'id-1' });
    await one.stop();
    await redis.kill();
    await redis.restart();
    const two = await startBefore(t, redis);
    t.strictSame([await two.lines.ask(tokenOf('id-1')), await two.lines.ask(tokenOf('id-2'))], [REFUSED, SERVED]);
  });

  t.test('over TLS, with the CA that is set and no other', async (t) => {
    const made = await makeDevCerts(t.testdir());
    const redis = await startRedis([], undefined, made);
    t.teardown(() => redis.close());
    const trusting = await startBefore(t, redis, { 'gateway.revocation.redis_ca': made.ca });
    t.match(await trusting.operator.revoke({ kind: 'token', value: 'id-1' }), { ok: true, stored: 'redis' });
    const verdicts = ['id-1', 'id-2'].map((id) => trusting.lines.ask(tokenOf(id)));
    t.strictSame(await Promise.all(verdicts), [REFUSED, SERVED]);
    const doubting = await startBefore(t, redis);
    t.strictSame(await doubting.lines.ask(tokenOf('id-2')), UNKNOWN);
    t.match(doubting.source()?.problem, /CERT|ISSUER|SIGNATURE/);
    const plain = await startBefore(t, { url: redis.url.replace('rediss', 'redis') });
    t.strictSame(await plain.lines.ask(tokenOf('id-2')), UNKNOWN, 'nor without TLS');
  });

  t.test('a gateway that may only read reads', async (t) => {
    const redis = await redisOf(t);
    redis.cli('hset', HASH, '@', '1', 'any', '{"kind":"token","value":"id-1"}');
    redis.cli('acl', 'setuser', 'reader', 'on', '>pw', '~*', '&*', '+@read', '+@connection', '+subscribe', '+info');
    const gateway = await startBefore(t, { url: redis.url.replace('//', '//reader:pw@') });
    const verdicts = async () => [await gateway.lines.ask(tokenOf('id-1')), await gateway.lines.ask(tokenOf('id-2'))];
    t.strictSame(await verdicts(), [REFUSED, SERVED]);
    const answer = await gateway.operator.revoke({ kind: 'token', value: 'id-2' });
    t.match(answer, { ok: true, stored: 'memory', warnings: [/redis could not be written \(NOPERM\)/] });
    t.strictSame(await verdicts(), [REFUSED, REFUSED], 'what it cannot write is in force here');
  });

  t.test('prefixes and databases keep gateways apart', async (t) => {
    const redis = await redisOf(t);
    const one = await startBefore(t, redis);
    const prefix = await startBefore(t, redis, { 'gateway.revocation.redis_prefix': 'other:' });
    const database = await startBefore(t, { url: `${redis.url}/3` });
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
    const gateway = await startBefore(t, redis);
    await until(() => !redis.cli('hkeys', HASH).includes('old'), 'the old one is gone');
    t.match(redis.cli('hkeys', HASH), 'new');
    t.strictSame([await gateway.lines.ask(tokenOf('old')), await gateway.lines.ask(tokenOf('new'))], [SERVED, REFUSED]);
  });

  t.test('file and Redis add up', async (t) => {
    const redis = await redisOf(t);
    const file = `${t.testdir({ 'r.yaml': 'revocations:\n  - { kind: token, value: id-1 }\n' })}/r.yaml`;
    const gateway = await startBefore(t, redis, { 'gateway.revocation.file': file });
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

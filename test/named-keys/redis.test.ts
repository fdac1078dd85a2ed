import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { newKeyText } from '../../src/identity/key-text.ts';
import { addKey, rotateText, setFields } from '../../src/named-keys/changes.ts';
import { onRedisAt, readUses, redisKeyStorage } from '../../src/named-keys/redis/storage.ts';
import type { KeyChanged, KeyRequest } from '../../src/named-keys/store.ts';
import { message } from '../support/clients/unary.ts';
import { startOperated } from '../support/operated.ts';
import { FILE_MS } from '../support/patience.ts';
import { NO_REDIS, type RedisServer } from '../support/process/redis.ts';
import { runScript } from '../support/process/run-script.ts';
import { AFTER_MS, type RedisGateway, redisOf, startBefore } from '../support/redis-gateway.ts';
import { REFUSED, SERVED, UNKNOWN } from '../support/supervised.ts';
import { until } from '../support/until.ts';
import { AGREEABLE, openVerdictLanes, type Request } from '../support/verdicts/lanes.ts';

const ADMIN = 'admin-key-0123456789';
const KEYS = 'qdrant-gateway:keys';
const PREFIX = 'qdrant-gateway:';
const NOW = Date.now();
const FORBIDDEN = [403, 403, 7] as const;
const QUERY: Request = {
  rest: ['POST', '/collections/docs/points/query', '{}'],
  grpc: ['/qdrant.Points/Query', message({ 1: 'docs' })],
};
t.setTimeout(FILE_MS);

/** A full reading comes too late to be what is seen here. */
const RARE = { 'gateway.shared.keys': true, 'gateway.revocation.refresh_ms': 3_600_000 } as const;
const BRIEF = { ...RARE, 'gateway.shared.keys_unavailable_after_ms': AFTER_MS } as const;

const gatewayOn = (t: Test, redis: { readonly url: string }, settings: object = RARE): Promise<RedisGateway> =>
  startBefore(t, redis, { ...settings });

/** A command line's storage. */
function storageOn(redis: RedisServer) {
  const address = { host: '127.0.0.1', port: redis.port, tls: false, database: 0, prefix: PREFIX };
  const on = onRedisAt({ ...address, ca: undefined, username: undefined, password: undefined });
  return { on, storage: redisKeyStorage({ prefix: PREFIX, on, now: Date.now }) };
}

async function change({ operator }: RedisGateway, request: KeyRequest): Promise<Extract<KeyChanged, { ok: true }>> {
  const changed = await operator.changeKey(request);
  if (!changed.ok) throw new Error(changed.problems.join());
  return changed;
}

async function create(gateway: RedisGateway, id = 'team', more: object = {}): Promise<string> {
  const { text } = await change(gateway, { change: 'create', body: { id, name: 'Team', access: 'r', ...more } });
  return text ?? '';
}

const on = (id: string, what: 'disable' | 'enable' | 'delete' | 'rotate' | 'expire', body?: object): KeyRequest => ({
  ...{ change: what, id, body },
});

t.test('named keys shared through a Redis server', { skip: NO_REDIS }, async (t) => {
  t.test('each change on one gateway holds on the other, on open connections', async (t) => {
    const redis = await redisOf(t);
    const [one, two] = [await gatewayOn(t, redis), await gatewayOn(t, redis)];
    const key = await create(one);
    const other = await create(two, 'other');
    t.strictSame(await one.lines.ask(key), SERVED, 'with the answer');
    await two.becomes(key, SERVED);
    await one.becomes(other, SERVED);
    t.match(await change(one, on('team', 'disable')), { inForce: true, key: { disabled: true } });
    t.strictSame(await one.lines.ask(key), REFUSED);
    await two.becomes(key, REFUSED, 1000);
    await change(two, on('team', 'enable'));
    await one.becomes(key, SERVED, 1000);
    const { text: next = '' } = await change(two, on('team', 'rotate', { overlap: '1h' }));
    await one.becomes(next, SERVED, 1000);
    t.strictSame(await one.lines.ask(key), SERVED, 'the former text, meanwhile');
    await change(one, on('team', 'expire', { at: 'now' }));
    await two.becomes(next, FORBIDDEN, 1000);
    await change(one, on('team', 'delete'));
    await two.becomes(next, REFUSED, 1000);
    t.strictSame([await one.lines.ask(other), await two.lines.ask(other)], [SERVED, SERVED], 'another key is served');
    t.strictSame([one.lines.opened(), two.lines.opened()], [1, 1], 'on connections that were open');
    t.notMatch(redis.cli('hgetall', KEYS), /qgw_/, 'no text is stored');
    t.match(await one.operator.changeKey(on('team', 'disable')), { ok: false, why: 'unknown' });
    t.match(await one.operator.changeKey({ change: 'create', body: { id: 'other', name: 'Team', access: 'r' } }), {
      ...{ ok: false, why: 'exists' },
    });
  });

  t.test('no change is lost when several are made at once', async (t) => {
    const redis = await redisOf(t);
    const { storage } = storageOn(redis);
    const ids = Array.from({ length: 8 }, (_, at) => `key${at}`);
    const wanted = { name: 'Team', access: 'r', expires_at: 'never' };
    await Promise.all(ids.map((id) => addKey(storage, { ...wanted, id }, NOW)));
    await Promise.all([
      ...ids.map((id) => setFields(storage, id, { state: 'disabled' })),
      ...ids.map((id) => setFields(storage, id, { expires_at: '2030-01-01T00:00:00Z' })),
      ...ids.map((id) => rotateText(storage, id, NOW + 3_600_000, NOW)),
    ]);
    const entries = await storage.read();
    t.equal(entries.length, ids.length);
    for (const { state, expires_at: end, previous } of entries) {
      t.strictSame([state, end, previous !== undefined], ['disabled', '2030-01-01T00:00:00Z', true]);
    }
    const made = await Promise.allSettled(ids.map(() => addKey(storage, { ...wanted, id: 'same' }, NOW)));
    t.equal(made.filter(({ status }) => status === 'fulfilled').length, 1, 'one of them has the id');
  });

  t.test('a record that is ahead of the mark is changed, and the change is not undone', async (t) => {
    const redis = await redisOf(t);
    const [one, two] = [await gatewayOn(t, redis), await gatewayOn(t, redis)];
    const key = await create(one);
    await two.becomes(key, SERVED);
    const ahead = (by: number): void => {
      const json = redis.cli('hget', KEYS, 'team').replace(/^\d+ /, '');
      redis.cli('hset', KEYS, 'team', `${Date.now() + by} ${json}`);
      redis.cli('publish', `${KEYS}:changed`, 'team');
    };
    const versions = () => [redis.cli('hget', KEYS, '@').split(' ')[1], redis.cli('hget', KEYS, 'team').split(' ')[0]];
    ahead(3_600_000);
    t.match(await change(two, on('team', 'disable')), { inForce: true });
    t.equal(versions()[0], versions()[1], 'the mark is that of the record');
    await one.becomes(key, REFUSED, 1000);
    t.strictSame(await two.lines.ask(key), REFUSED);
    t.match(redis.cli('hget', KEYS, 'team'), /"state":"disabled"/);
    ahead(7_200_000);
    t.match(await change(one, on('team', 'enable')), { inForce: true });
    ahead(10_800_000);
    const { text = '' } = await change(one, on('team', 'rotate', { overlap: '0' }));
    await two.becomes(text, SERVED, 1000);
    t.strictSame(await two.lines.ask(key), REFUSED, 'the former text');
    ahead(14_400_000);
    await change(one, on('team', 'delete'));
    await two.becomes(text, REFUSED, 1000);
    t.equal(redis.cli('hget', KEYS, 'team'), '');
    const { storage } = storageOn(redis);
    await addKey(storage, { id: 'far1', name: 'Team', access: 'r', expires_at: 'never' }, NOW);
    const json = redis.cli('hget', KEYS, 'far1').replace(/^\d+ /, '');
    redis.cli('hset', KEYS, 'far1', `9007199254740992 ${json}`);
    await t.rejects(setFields(storage, 'far1', { state: 'disabled' }), { message: /no key has the id/ }, 'damaged');
  });

  t.test('a mark far ahead of the time is put right, and neither undoes nor hinders a change', async (t) => {
    const redis = await redisOf(t);
    const [one, two] = [await gatewayOn(t, redis), await gatewayOn(t, redis)];
    const { storage } = storageOn(redis);
    const key = await create(one, 'first');
    await two.becomes(key, SERVED);
    const mark = (): string => redis.cli('hget', KEYS, '@');
    const origin = mark().split(' ')[2];
    const put = (text: string): void => {
      redis.cli('hset', KEYS, '@', text);
      redis.cli('publish', `${KEYS}:changed`, '1');
    };
    const isRight = () => /^1 \d{13} \w+$/.test(mark()) && mark().endsWith(` ${origin}`);
    for (const [at, version] of ['9007199254740991', '9999999999999999', String(NOW + 367 * 86_400_000)].entries()) {
      const id = `made${at}`;
      redis.cli('hset', KEYS, '@', `1 ${version} ${origin}`);
      await addKey(storage, { id, name: 'Team', access: 'r', expires_at: 'never' }, NOW);
      t.ok(isRight(), `${version}: a change puts it right`);
      await change(two, on('first', at % 2 === 0 ? 'disable' : 'enable'));
      await one.becomes(key, at % 2 === 0 ? REFUSED : SERVED);
      put(`1 ${version} ${origin}`);
      await until(isRight, `${version}: the gateway puts it right`);
      t.equal(redis.cli('hexists', KEYS, id), '1', 'a key that was made meanwhile stays');
    }
    const before = mark();
    put(`1 ${Date.now() + 3_600_000} ${origin}`);
    await change(one, on('first', 'enable'));
    await two.becomes(key, SERVED);
    put(before);
    const later = await create(one, 'later');
    await two.becomes(later, SERVED);
    await until(() => Number(mark().split(' ')[1]) > Date.now(), 'a mark that is behind is put ahead again');
    await addKey(storage, { id: 'last', name: 'Team', access: 'r', expires_at: 'never' }, NOW);
    await change(one, on('first', 'disable'));
    await two.becomes(key, REFUSED);
    t.strictSame(
      ['later', 'last'].map((id) => redis.cli('hexists', KEYS, id)),
      ['1', '1'],
      'no key vanishes',
    );
    redis.cli('hset', KEYS, '@', `1 12345678901234567 ${origin}`);
    await t.rejects(addKey(storage, { id: 'form', name: 'Team', access: 'r', expires_at: 'never' }, NOW), {
      message: /another format/,
    });
  });

  for (const [how, gone, back] of [
    ['killed', (redis: RedisServer) => redis.kill(), (redis: RedisServer) => redis.restart()],
    ['hung', async (redis: RedisServer) => redis.hang(), async (redis: RedisServer) => redis.wake()],
  ] as const) {
    t.test(`while Redis is ${how}, keys keep their last state for a time and are refused then`, async (t) => {
      const redis = await redisOf(t);
      const gateway = await gatewayOn(t, redis, BRIEF);
      const [good, bad] = [await create(gateway), await create(gateway, 'bad1')];
      await change(gateway, on('bad1', 'disable'));
      await gone(redis);
      t.strictSame([await gateway.lines.ask(good), await gateway.lines.ask(bad)], [SERVED, REFUSED], 'as last known');
      const refused = await gateway.operator.changeKey(on('bad1', 'enable'));
      t.match(refused, { ok: false, why: 'redis', problems: [/^the named keys in redis cannot be written/] });
      await gateway.becomes(good, UNKNOWN, 10_000);
      t.strictSame([await gateway.lines.ask(bad), await gateway.lines.ask(newKeyText('none1'))], [UNKNOWN, UNKNOWN]);
      t.strictSame(await gateway.lines.ask(ADMIN), SERVED, 'native keys go on');
      t.match(gateway.operator.sharedKeys?.report(), { available: false, unknown: true, keys: 2 });
      await back(redis);
      // Killed, it has lost everything.
      await gateway.becomes(good, SERVED, 10_000);
      t.strictSame([await gateway.lines.ask(bad), await gateway.lines.ask(newKeyText('none1'))], [REFUSED, REFUSED]);
      t.match(gateway.operator.sharedKeys?.report(), { available: true, unknown: false, problem: undefined });
      await until(() => redis.cli('hkeys', KEYS).includes('team'), 'and it has the records again');
    });
  }

  t.test('an older snapshot of Redis gives no key back what it has lost', async (t) => {
    const redis = await redisOf(t);
    const [one, two] = [await gatewayOn(t, redis), await gatewayOn(t, redis)];
    const [stolen, left] = [await create(one), await create(one, 'left')];
    t.equal(redis.cli('save'), 'OK');
    await change(one, on('team', 'disable'));
    await change(one, on('left', 'delete'));
    const late = await create(one, 'late');
    await two.becomes(late, SERVED);
    await redis.kill();
    await redis.restart();
    await until(() => redis.cli('hkeys', KEYS).includes('late'), 'what was made after the snapshot is there');
    for (const gateway of [one, two, await gatewayOn(t, redis)]) {
      const asked = [await gateway.lines.ask(stolen), await gateway.lines.ask(left), await gateway.lines.ask(late)];
      t.strictSame(asked, [REFUSED, REFUSED, SERVED]);
    }
    t.notMatch(redis.cli('hkeys', KEYS), 'left');
  });

  t.test('no verdict of two gateways is wrong while Redis is killed, emptied and stopped under load', async (t) => {
    const redis = await redisOf(t, ['--appendonly', 'yes', '--appendfsync', 'always']);
    const gateways = [await gatewayOn(t, redis), await gatewayOn(t, redis)] as const;
    const [one, two] = gateways;
    const [good, bad] = [await create(one), await create(one, 'bad1')];
    await change(one, on('bad1', 'disable'));
    await two.becomes(good, SERVED);
    await two.becomes(bad, REFUSED);
    let going = true;
    const wrong: string[] = [];
    let asked = 0;
    const load = async ({ lines }: (typeof gateways)[number]): Promise<void> => {
      while (going) {
        const verdicts = [await lines.ask(good), await lines.ask(bad)];
        asked += 1;
        if (String(verdicts) !== String([SERVED, REFUSED])) wrong.push(String(verdicts));
      }
    };
    const done = Promise.all(gateways.map(load));
    const settled = async (): Promise<void> => {
      for (const { operator } of gateways)
        await until(async () => (await operator.changeKey(on('bad1', 'disable'))).ok, 'it takes changes again');
    };
    for (let round = 0; round < 3; round += 1) {
      await redis.kill();
      await redis.restart();
      if (round === 1) redis.cli('flushall');
      await settled();
    }
    redis.hang();
    const isAway = () => gateways.every(({ operator }) => operator.sharedKeys?.report().available === false);
    await until(isAway, 'it is seen to hang', 20_000);
    redis.wake();
    await settled();
    going = false;
    await done;
    t.strictSame(wrong, []);
    t.ok(asked > 6, `${asked} rounds of requests`);
  });

  t.test('a start without Redis, with a wrong password, or before a hash of something else', async (t) => {
    const redis = await redisOf(t, [], 'right');
    const wrong = await gatewayOn(t, { url: redis.url.replace('//', '//:never-to-be-seen@') });
    const key = newKeyText('team');
    t.strictSame([await wrong.lines.ask(key), await wrong.lines.ask(ADMIN)], [UNKNOWN, SERVED]);
    t.match(wrong.operator.sharedKeys?.report(), { unknown: true, readAt: 0, problem: 'WRONGPASS' });
    const url = redis.url.replace('//', '//:right@');
    redis.cli('hset', KEYS, 'a', 'b');
    const foreign = await gatewayOn(t, { url });
    t.strictSame(await foreign.lines.ask(key), UNKNOWN);
    t.equal(foreign.operator.sharedKeys?.report().problem, 'the hash of named keys is not of this gateway');
    t.match(await foreign.operator.changeKey({ change: 'create', body: { name: 'Team', access: 'r' } }), {
      ...{ ok: false, why: 'redis' },
    });
    t.equal(foreign.source()?.available, true, 'revocations have the same connection and go on');
    redis.cli('del', KEYS);
    redis.cli('set', KEYS, 'text');
    await until(() => foreign.operator.sharedKeys?.report().problem === 'WRONGTYPE', 'a key of another type');
    redis.cli('del', KEYS);
    await foreign.becomes(key, REFUSED);
    t.strictSame(await foreign.lines.ask(await create(foreign)), SERVED);
  });

  t.test('a change without a message is read at the next interval', async (t) => {
    const redis = await redisOf(t);
    const one = await gatewayOn(t, redis, { ...RARE, 'gateway.revocation.refresh_ms': 100 });
    const [key, gone] = [await create(one), await create(one, 'gone')];
    const [mark, record] = [redis.cli('hget', KEYS, '@'), redis.cli('hget', KEYS, 'team')];
    const version = Number(mark.split(' ')[1]) + 1;
    const disabled = record.replace(/^\d+/, String(version)).replace('"active"', '"disabled"');
    redis.cli('hset', KEYS, 'team', disabled, '@', mark.replace(/ \d+ /, ` ${version} `));
    await one.becomes(key, REFUSED);
    redis.cli('hdel', KEYS, 'gone');
    await one.becomes(gone, REFUSED);
    t.match(one.operator.sharedKeys?.report(), { keys: 1, damaged: [], problem: undefined });
  });

  t.test('a damaged record is refused alone', async (t) => {
    const redis = await redisOf(t);
    const gateway = await gatewayOn(t, redis);
    const [good, bad] = [await create(gateway), await create(gateway, 'bad1')];
    const whole = redis.cli('hget', KEYS, 'bad1');
    redis.cli('hset', KEYS, 'bad1', whole.replace('"access":"r"', '"access":"rm"'));
    redis.cli('publish', `${KEYS}:changed`, '1');
    await gateway.becomes(bad, REFUSED);
    t.strictSame(await gateway.lines.ask(good), SERVED);
    t.match(gateway.operator.sharedKeys?.report(), { keys: 1, damaged: ['bad1'] });
    redis.cli('hset', KEYS, 'bad1', whole);
    redis.cli('publish', `${KEYS}:changed`, 'bad1');
    await gateway.becomes(bad, SERVED);
  });

  t.test('a key whose limit the policy lacks is refused, never unlimited', async (t) => {
    const redis = await redisOf(t);
    const folder = t.testdir();
    const policyOf = (limit: string): string => {
      const file = join(folder, `${limit}.yaml`);
      writeFileSync(file, `limits: [{ id: ${limit}, carried: true, requests: { per: day, most: 1000 } }]`);
      return file;
    };
    const one = await gatewayOn(t, redis, { ...RARE, 'gateway.policy_file': policyOf('gold') });
    const two = await gatewayOn(t, redis, { ...RARE, 'gateway.policy_file': policyOf('golf') });
    const key = await create(one, 'team', { limits: ['gold'] });
    t.strictSame(await one.lines.ask(key), SERVED);
    await two.becomes(key, FORBIDDEN);
    t.match(await two.operator.changeKey({ change: 'create', body: { name: 'Team', access: 'r', limits: ['gold'] } }), {
      problems: ['the policy has no limit `gold`, did you mean `golf`?'],
    });
  });

  t.test('the commands work on Redis as on a file, and check-config tells what serve would meet', async (t) => {
    const redis = await redisOf(t);
    const env = {
      ...{ QDRANT_GATEWAY__SHARED__KEYS: 'true', QDRANT_GATEWAY__REVOCATION__REDIS_URL: redis.url },
      ...{ QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1' },
      ...{ QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'http://127.0.0.1:2' },
    };
    const run = (args: string, more = {}) =>
      runScript(['src/cli/main.ts', ...args.split(' ')], { env: { ...env, ...more } });
    const gateway = await gatewayOn(t, redis);
    const made = await run('key create --name Team --id team --access r');
    t.equal(made.code, 0, made.err);
    await gateway.becomes(made.out.trim(), SERVED);
    t.match(await run('key disable team'), { code: 0, out: 'the key `team` is disabled\n' });
    await gateway.becomes(made.out.trim(), REFUSED);
    t.match(await run('key list'), { code: 0, out: /LAST USED\nteam {2}Team .* disabled/ });
    t.match(await run('key disable teem'), { code: 2, err: /did you mean `team`/ });
    t.match(await run('check-config'), { code: 0, err: '' });
    redis.cli('hset', KEYS, 'bad1', 'x');
    t.match(await run('check-config'), { code: 0, err: /the record `bad1` in redis is damaged: this key is refused/ });
    const both = { QDRANT_GATEWAY__KEYS_FILE: 'keys.yaml' };
    t.match(await run('check-config', both), { code: 2, err: /SHARED__KEYS: does not go with `gateway.keys_file`/ });
    const { QDRANT_GATEWAY__REVOCATION__REDIS_URL: _, ...none } = env;
    t.match(await runScript(['src/cli/main.ts', 'check-config'], { env: none }), {
      code: 2,
      err: /SHARED__KEYS: needs `gateway.revocation.redis_url`/,
    });
    await redis.kill();
    t.match(await run('key list'), { code: 2, err: /named keys in redis cannot be read \(ECONNREFUSED\)/ });
    t.match(await run('check-config'), { code: 0, err: /not read \(ECONNREFUSED\): named keys are refused until/ });
  });

  t.test('a change holds in every worker', async (t) => {
    const redis = await redisOf(t);
    const { storage } = storageOn(redis);
    const made = await Promise.all(
      ['one1', 'two2'].map((id) => addKey(storage, { id, name: 'Team', access: 'r', expires_at: 'never' }, NOW)),
    );
    const [one, two] = made.map(({ text }) => text);
    const gateway = await startOperated({
      upstream: AGREEABLE,
      settings: { ...RARE, 'gateway.revocation.redis_url': redis.url, 'gateway.workers': 2 },
    });
    const lanes = await Promise.all([openVerdictLanes(gateway), openVerdictLanes(gateway)]);
    t.teardown(async () => {
      for (const lane of lanes) lane.close();
      await gateway.close();
    });
    const heard = async (key = ''): Promise<string> => {
      const all = await Promise.all(lanes.map((lane) => lane.ask(QUERY, { 'api-key': key })));
      return [...new Set(all.flat())].join(' | ');
    };
    t.strictSame([await heard(one), await heard(two)], ['ok', 'ok']);
    await setFields(storage, 'one1', { state: 'disabled' });
    await until(async () => (await heard(one)) === 'Invalid API key or JWT', 'it is refused by both');
    t.equal(await heard(two), 'ok');
    await setFields(storage, 'one1', { state: 'active' });
    await until(async () => (await heard(one)) === 'ok', 'it is accepted by both');
  });

  t.test('the last use on any gateway is shared, and goes with the key', async (t) => {
    const redis = await redisOf(t);
    const [one, two] = [await gatewayOn(t, redis), await gatewayOn(t, redis)];
    const key = await create(one);
    await two.becomes(key, SERVED);
    await two.stop();
    const used = await one.operator.sharedKeys?.uses();
    t.ok(Number(used?.get('team')) >= Math.floor(NOW / 60_000), 'by the other, which has ended');
    await change(one, on('team', 'delete'));
    t.strictSame([...(await storageOn(redis).on((link) => readUses(link, PREFIX)))], []);
  });
});

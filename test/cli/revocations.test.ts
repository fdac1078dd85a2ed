import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NO_REDIS, startRedis } from '../support/process/redis.ts';
import { runScript } from '../support/process/run-script.ts';

const KEY = 'an-admin-key-of-thirty-two-bytes!';

/** The commands on one store. */
function commandsOn(store: Readonly<Record<string, string>>) {
  const env = { QDRANT__SERVICE__API_KEY: KEY, QDRANT__SERVICE__JWT_RBAC: 'true', ...store };
  return (line: string, input = '') => runScript(['src/cli/main.ts', ...line.split(' ')], { env, input });
}

async function tryStore(t: Test, run: ReturnType<typeof commandsOn>): Promise<void> {
  t.match(await run('revoke list'), { code: 0, out: 'no revocations\n', err: '' });
  t.equal((await run('revoke --subject alice --reason left')).code, 0);
  t.equal((await run('revoke add --subject bob --until 2100-01-01')).code, 0);
  t.equal((await run('revoke --before 2030-01-01 --for-subject carol')).code, 0);
  const { out: token } = await run('token --access r');
  const revoked = await run('token revoke --reason lost --json', `Bearer ${token}`);
  const { jti } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  t.match(JSON.parse(revoked.out), { revoked: { kind: 'token', value: jti, reason: 'lost' } });
  t.match((await run('token inspect', token)).out, /verdict: refused: .*\ncode: token_revoked\n/);
  const { out } = await run('revoke list');
  t.match(out, /^KIND +VALUE +SUBJECT +REVOKED +ENDS +REASON\n/);
  t.match(out, /^subject +alice +- +20\S+Z +never +left$/m);
  t.match(out, /^subject +bob +- +20\S+Z +2100-01-01T00:00:00Z +-$/m);
  t.match(out, /^before +2030-01-01T00:00:00Z +carol +20\S+Z +never +-$/m);
  t.equal(JSON.parse((await run('revoke list --json')).out).length, 4);
  t.match(await run('revoke lift --subject alice'), { code: 0, out: 'lifted 1 revocation\n', err: '' });
  t.match(await run('revoke lift --subject alice'), { code: 2, out: '', err: /^error: there is no such revocation/ });
  t.match(await run('revoke lift --before 2030-01-01'), { code: 2 }, 'another subject');
  t.match(await run('revoke lift --before 2030-01-01 --for-subject carol'), { code: 0 });
  t.match(await run(`revoke lift --token-id ${jti} --json`), { code: 0, out: /"lifted": \[/ });
  t.match((await run('token inspect', token)).out, /verdict: accepted/);
  t.same(
    (JSON.parse((await run('revoke list --json')).out) as { value: string }[]).map(({ value }) => value),
    ['bob'],
    'the others stay',
  );
}

t.test('in a file, revocations are listed and lifted, and its comments stay', async (t) => {
  const file = join(t.testdir(), 'r.yaml');
  writeFileSync(file, '# ours\nrevocations: []\n');
  await tryStore(t, commandsOn({ QDRANT_GATEWAY__REVOCATION__FILE: file }));
  t.match(readFileSync(file, 'utf8'), /^# ours\nrevocations:\n {2}- \{ "kind": "subject", "value": "bob"/);
});

t.test('in redis, too', { skip: NO_REDIS }, async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.close());
  const run = commandsOn({ QDRANT_GATEWAY__REVOCATION__REDIS_URL: redis.url });
  for (const name of ['alice', 'bob']) t.equal((await run(`revoke --subject ${name}`)).code, 0);
  t.match(await run('revoke lift --subject alice'), { code: 0, out: 'lifted 1 revocation\n' });
  t.match(JSON.parse((await run('revoke list --json')).out), [{ kind: 'subject', value: 'bob' }]);
});

t.test('what cannot be done is said', async (t) => {
  const none = commandsOn({});
  t.match(await none('revoke list'), { code: 2, err: /no revocation store is configured/ });
  t.match(await none('revoke lift'), { code: 2, err: /give one of --token-id/ });
  t.match(await none('token revoke', 'a.e30.b'), { code: 2, err: /the token has no id \(`jti`\)/ });
  t.match(await none('token revoke', 'a.b'), { code: 2, err: 'error: a token has three parts, separated by dots\n' });
});

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { AUDIENCE, goodClaims, ISSUER, providerKey, signToken } from '../../support/issuers/keys.ts';
import { NO_REDIS, startRedis } from '../../support/process/redis.ts';
import { folder, type Ran, run } from './fixture.ts';

/* With `--online` questions read what only the running system knows: keys in Redis, and keys that issuers publish. */

const parsed = ({ out }: Ran) => JSON.parse(out) as Record<string, unknown>;

function place(redisUrl: string, policy: string): (name: string) => string {
  const at = folder({ 'policy.yaml': policy, 'next.yaml': 'rules:\n  - { id: less, keys: [opsteam], access: r }\n' });
  const config = [
    'service: { api_key: an-admin-key-of-thirty-two-bytes!, jwt_rbac: true }',
    `gateway: { policy_file: ${at('policy.yaml')}, revocation: { redis_url: '${redisUrl}' }, shared: { keys: true } }`,
  ];
  writeFileSync(at('gateway.yaml'), `${config.join('\n')}\n`);
  return at;
}

t.test('named keys in Redis', { skip: NO_REDIS }, async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.close());
  const at = place(redis.url, 'rules: []\n');
  const config = ['--config', at('gateway.yaml')];
  const created = await run(
    'key',
    'create',
    '--name',
    'opsteam',
    '--id',
    'opsteam',
    '--collection',
    'docs=rw',
    '--json',
    ...config,
  );
  t.equal(created.code, 0, created.err);
  const { key } = parsed(created) as { key: string };
  writeFileSync(at('key.txt'), key);
  const ask = ['can-i', 'PUT', '/collections/docs/points', '-d', '{"points":[]}', '--json', ...config];
  const cases: readonly (readonly [name: string, args: readonly string[], code: number, has: object])[] = [
    [
      'the key is not known offline',
      [...ask, '--credential-file', at('key.txt')],
      4,
      { verdict: 'denied', assumptions: ['named keys in Redis are not read without --online'] },
    ],
    ['it is known online', [...ask, '--credential-file', at('key.txt'), '--online'], 0, { verdict: 'allowed' }],
    ['by its id, too', [...ask, '--as', 'opsteam', '--online'], 0, { verdict: 'allowed' }],
    [
      'who-can leaves it out offline, and says so',
      ['who-can', 'upsert_points', 'docs', '--allowed', '--json', ...config],
      0,
      { notes: ['named keys in Redis are not asked without --online'] },
    ],
    [
      'policy diff tells what changes for it',
      ['policy', 'diff', at('policy.yaml'), at('next.yaml'), '--online', '--json', ...config],
      4,
      { groups: [{ callers: ['key opsteam'] }] },
    ],
  ];
  for (const [name, args, code, has] of cases) {
    const ran = await run(...args);
    t.equal(ran.code, code, `${name}: ${ran.err}`);
    t.match(parsed(ran), has, name);
  }
  const who = await run('who-can', 'upsert_points', 'docs', '--allowed', '--online', '--json', ...config);
  t.match(who.out, /"key opsteam"/);
  const offline = await run('policy', 'diff', at('policy.yaml'), at('next.yaml'), '--json', ...config);
  t.notMatch(offline.out, /"key opsteam"/);
  t.match(await run('matrix', '--online', '--caller', 'opsteam', ...config), { code: 0, out: /opsteam/ });
  await redis.kill();
  const gone = await run('who-can', 'upsert_points', 'docs', '--online', ...config);
  t.match(gone, { code: 1, out: '', err: /^error: the named keys in Redis cannot be read: / });
});

t.test('keys that issuers publish', async (t) => {
  const key = providerKey('ES256', 'k1');
  let status = 200;
  const provider = createServer((_, response) => {
    response.statusCode = status;
    response.end(JSON.stringify({ keys: [key.jwk] }));
  });
  await once(provider.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => provider.close());
  const { port } = provider.address() as AddressInfo;
  const at = folder({
    'policy.yaml': `issuers: [{ id: corp, issuer: '${ISSUER}', audiences: [${AUDIENCE}], jwks_url: 'http://127.0.0.1:${port}/', mappings: [{ id: all, claim: sub, value: alice, access: r }] }]`,
    'token.txt': signToken(key, goodClaims(Math.floor(Date.now() / 1000))),
  });
  writeFileSync(
    at('gateway.yaml'),
    `service: { api_key: an-admin-key-of-thirty-two-bytes! }\ngateway: { policy_file: ${at('policy.yaml')} }\n`,
  );
  const ask = [
    'can-i',
    'GET',
    '/collections/docs',
    '--credential-file',
    at('token.txt'),
    '--config',
    at('gateway.yaml'),
    '--json',
  ];
  const offline = await run(...ask);
  t.equal(offline.code, 4);
  t.match(parsed(offline), {
    verdict: 'denied',
    code: 'issuer_keys_unknown',
    assumptions: ['keys that issuers publish are not fetched without --online'],
  });
  const online = await run(...ask, '--online');
  t.match([online.code, parsed(online)], [0, { verdict: 'allowed', decided_by: { id: /all/ } }]);
  status = 500;
  t.match(await run(...ask, '--online'), { code: 1, out: /"message":.*500/ });
});

import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { UsageError } from '../../src/cli/output.ts';
import { buildClaims, parseExpiry } from '../../src/cli/token.ts';
import { runScript } from '../support/process/run-script.ts';

const KEY = 'an-admin-key-of-thirty-two-bytes!';
const ENV = { QDRANT__SERVICE__API_KEY: KEY, QDRANT__SERVICE__JWT_RBAC: 'true' };
const MAIN = 'src/cli/main.ts';
const NOW_MS = Date.parse('2030-01-01T00:00:00Z');
const NOW = NOW_MS / 1000;

function decode(token: string): unknown {
  const [, claims = ''] = token.split('.');
  return JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'));
}

function signature(token: string, secret: string): boolean {
  const cut = token.lastIndexOf('.');
  return createHmac('sha256', secret).update(token.slice(0, cut)).digest('base64url') === token.slice(cut + 1);
}

t.test('claims follow the flags', async (t) => {
  const exists = { collection: 'users', matches: [{ key: 'id', value: 7 }] };
  const own = { jti: 'an-id', iat: NOW };
  t.strictSame(buildClaims({ access: 'r' }, NOW_MS, 'an-id'), { ...own, access: 'r' });
  t.strictSame(buildClaims({ collection: ['a=r', 'b=c=rw'] }, NOW_MS + 999, 'an-id'), {
    ...own,
    access: [
      { collection: 'a', access: 'r' },
      { collection: 'b=c', access: 'rw' },
    ],
  });
  const all = { access: 'm', exp: '30d', sub: 's', subject: 'alice', valueExists: JSON.stringify(exists) };
  t.strictSame(buildClaims(all, NOW_MS, 'an-id'), {
    ...own,
    exp: NOW + 2_592_000,
    access: 'm',
    sub: 's',
    subject: 'alice',
    value_exists: exists,
  });
});

t.test('every token has an id of its own', async (t) => {
  const ids = Array.from({ length: 100 }, () => buildClaims({ access: 'r' }, NOW_MS)).map((claims) =>
    'jti' in claims ? claims.jti : undefined,
  );
  t.equal(new Set(ids).size, 100);
  t.match(ids[0], /^[0-9a-f-]{36}$/);
});

t.test('expiry', async (t) => {
  const cases: [string, number][] = [
    ['90s', NOW + 90],
    ['5m', NOW + 300],
    ['2h', NOW + 7200],
    ['1w', NOW + 604_800],
    ['2030-01-02', NOW + 86_400],
    ['2030-01-01T00:00:01.5Z', NOW + 1],
  ];
  for (const [text, seconds] of cases) t.equal(parseExpiry(text, NOW_MS), seconds, text);
});

t.test('flags that make no sense are refused', async (t) => {
  const cases: [string, Parameters<typeof buildClaims>[0]][] = [
    ['give either --access r|m, or --collection name=r|rw|prw once or more', {}],
    ['give either --access r|m, or --collection name=r|rw|prw once or more', { access: 'r', collection: ['a=r'] }],
    ['--access must be r or m, not `rw`', { access: 'rw' }],
    ['--collection must be name=r, name=rw or name=prw, not `a`', { collection: ['a'] }],
    ['--collection must be name=r, name=rw or name=prw, not `a=m`', { collection: ['a=m'] }],
    ['--collection must be name=r, name=rw or name=prw, not `=r`', { collection: ['=r'] }],
    ['--collection names `a` twice', { collection: ['a=r', 'a=rw'] }],
    ['--exp must be like 30d, 12h, 90m or an ISO date, not `soon`', { access: 'r', exp: 'soon' }],
    ['--exp `2029-12-31` is in the past', { access: 'r', exp: '2029-12-31' }],
    ['--value-exists must be JSON', { access: 'r', valueExists: '{' }],
    [
      '--value-exists must be like {"collection": "name", "matches": [{"key": "field", "value": "text, integer or boolean"}]}',
      { access: 'r', valueExists: '{"collection":"a","matches":[{"key":"b","value":1.5}]}' },
    ],
  ];
  for (const [message, flags] of cases) {
    t.throws(() => buildClaims(flags, NOW_MS), new UsageError(message), message);
  }
});

t.test('only the token is written to standard output, signed by the configured key', async (t) => {
  const { code, out, err } = await runScript([MAIN, 'token', '--collection', 'demo=rw'], { env: ENV });
  t.strictSame({ code, err, lines: out.split('\n').length }, { code: 0, err: '', lines: 2 });
  const claims = decode(out.trim());
  t.match(claims, { jti: /^[0-9a-f-]{36}$/, access: [{ collection: 'demo', access: 'rw' }] });
  t.strictSame(Object.keys(Object(claims)), ['jti', 'iat', 'access']);
  t.strictSame([signature(out.trim(), KEY), signature(out.trim(), 'another')], [true, false]);
});

t.test('the secret may come from a file, never from the command line', async (t) => {
  const folder = t.testdir();
  writeFileSync(join(folder, 'secret'), 'from-a-file\n');
  const made = await runScript([MAIN, 'token', '--access', 'm', '--secret-file', join(folder, 'secret')]);
  t.equal(signature(made.out.trim(), 'from-a-file'), true);
  const refused = await runScript([MAIN, 'token', '--access', 'm', '--secret', 'x']);
  t.strictSame([refused.code, refused.out], [2, '']);
  const none = await runScript([MAIN, 'token', '--access', 'm']);
  t.strictSame(none, {
    code: 2,
    out: '',
    err: 'error: no secret: set QDRANT__SERVICE__API_KEY or use --secret-file; a secret is never an argument\n',
  });
});

t.test('a signing key of the policy file signs by its id, and is named in the header', async (t) => {
  const folder = t.testdir({
    'policy.yaml':
      'signing_keys:\n  - { id: web, secret_file: web.key }\n  - { id: batch, secret: a-batch-secret-of-thirty-two-bytes }\n',
    'web.key': 'a-web-secret-of-thirty-two-bytes!\n',
  });
  const policy = { QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml', QDRANT__SERVICE__JWT_RBAC: 'true' };
  const run = (flags: string[], env: Record<string, string> = { ...ENV, ...policy }, input = '') =>
    runScript([MAIN, 'token', ...flags], { env, cwd: folder, input });
  const { out, err } = await run(['--access', 'r', '--signing-key', 'web']);
  const token = out.trim();
  t.same(err, '');
  t.same(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()), {
    alg: 'HS256',
    typ: 'JWT',
    kid: 'web',
  });
  t.same([signature(token, 'a-web-secret-of-thirty-two-bytes!'), signature(token, KEY)], [true, false]);
  const shown = await run(['inspect'], { ...ENV, ...policy }, token);
  t.match(shown.out, 'signature: by the signing key `web`\n');
  const admin = await run(['--access', 'r']);
  t.same(signature(admin.out.trim(), KEY), true, 'without an id the admin key signs');
  t.match(await run(['--access', 'r', '--signing-key', 'wbe']), {
    code: 2,
    out: '',
    err: 'error: no signing key has the id `wbe`, there are `api_key`, `web`, `batch`\n',
  });
  t.match(await run(['--access', 'r'], policy), {
    code: 2,
    err: 'error: no admin key is set: name a key of the policy file with --signing-key\n',
  });
});

t.test('inspect shows what a token says and who signed it', async (t) => {
  const { out: token } = await runScript([MAIN, 'token', '--access', 'r', '--exp', '2100-01-01'], { env: ENV });
  const plain = await runScript([MAIN, 'token', 'inspect'], { input: token });
  const { jti, iat } = Object(decode(token.trim()));
  const text = [
    'header: {"alg":"HS256","typ":"JWT"}',
    `claims: {"jti":"${jti}","iat":${iat},"exp":4102444800,"access":"r"}`,
    `id: ${jti}`,
    `issued: ${new Date(iat * 1000).toISOString()}`,
    'expiry: expires on 2100-01-01T00:00:00.000Z',
    'signature: not checked, no key is configured',
    '',
  ].join('\n');
  t.strictSame(plain, { code: 0, err: '', out: text });
  const ours = await runScript([MAIN, 'token', 'inspect'], { env: ENV, input: token });
  t.match(ours, {
    code: 0,
    err: '',
    out: /signature: by `service.api_key`\nverdict: accepted: signed with the key `api_key`\n$/,
  });
  const folder = t.testdir({
    'policy.yaml': [
      'tenants:',
      '  - { id: a, collections: [docs, "shop-*"], field: "owner.\\"the id\\"", values: [x, 7] }',
      '  - { id: b, collections: [books], field: t, from: tenant }',
      '  - { id: c, collections: [news], free: true }',
    ].join('\n'),
  });
  const bound = await runScript([MAIN, 'token', 'inspect'], {
    ...{ env: { ...ENV, QDRANT_GATEWAY__POLICY_FILE: join(folder, 'policy.yaml') }, input: token },
  });
  t.match(
    bound.out,
    [
      'verdict: accepted: signed with the key `api_key`',
      'tenant: docs, shop-*: owner."the id" = "x" or 7',
      'tenant: books: refused, it carries no tenant',
      'tenant: news: without a condition',
      '',
    ].join('\n'),
  );
  const theirs = await runScript([MAIN, 'token', 'inspect'], { env: { QDRANT__SERVICE__API_KEY: 'x' }, input: token });
  t.match(theirs, {
    code: 1,
    err: 'error: a gateway with this configuration refuses the token\n',
    out: /signature: by none of the configured keys\nverdict: refused: tokens are off, set `service.jwt_rbac` and/,
  });
  const foreign = await runScript([MAIN, 'token', 'inspect'], {
    input: `e30.${btoa('{"jti":7,"iat":1800000000000}')}.x`,
  });
  t.match(foreign.out, 'id: none (no `jti`): the token cannot be revoked by id\n');
  t.match(foreign.out, 'issued: unknown (no `iat`): the token counts as issued before any time\n');
  const junk = await runScript([MAIN, 'token', 'inspect'], { input: 'a.b' });
  t.strictSame([junk.code, junk.err], [2, 'error: a token has three parts, separated by dots\n']);
});

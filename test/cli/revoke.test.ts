import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { UsageError } from '../../src/cli/output.ts';
import { buildEntry } from '../../src/cli/revoke.ts';
import { NO_REDIS, startRedis } from '../support/process/redis.ts';
import { runScript } from '../support/process/run-script.ts';

const MAIN = 'src/cli/main.ts';
const NOW_MS = Date.parse('2030-01-01T00:00:00.500Z');
const NOW = Math.floor(NOW_MS / 1000);
const ONE_OF = 'give one of --token-id ID, --subject S, --key ID and --before TIME';
const TIME = 'a time (seconds since 1970, or like 2026-11-23T10:00:00Z)';

t.test('entries follow the flags', async (t) => {
  t.strictSame(buildEntry({ tokenId: 'id' }, NOW_MS), { kind: 'token', value: 'id', at: NOW });
  t.strictSame(buildEntry({ subject: 'alice', until: '30d', reason: 'left' }, NOW_MS), {
    kind: 'subject',
    value: 'alice',
    until: NOW + 2_592_000,
    reason: 'left',
    at: NOW,
  });
  t.strictSame(buildEntry({ key: 'api_key' }, NOW_MS), { kind: 'key', value: 'api_key', at: NOW });
  const times: readonly (readonly [text: string, seconds: number])[] = [
    ['now', NOW + 1],
    ['2030-01-01', NOW],
    ['2030-01-01T00:00:00.1Z', NOW + 1],
    ['1700000000', 1_700_000_000],
  ];
  for (const [text, value] of times) {
    t.strictSame(buildEntry({ before: text }, NOW_MS), { kind: 'before', value, at: NOW }, text);
  }
  t.strictSame(buildEntry({ before: '7', forSubject: 'alice' }, NOW_MS), {
    kind: 'before',
    value: 7,
    subject: 'alice',
    at: NOW,
  });
});

t.test('flags that make no sense are refused', async (t) => {
  const cases: readonly (readonly [message: string, flags: Parameters<typeof buildEntry>[0]])[] = [
    [ONE_OF, {}],
    [ONE_OF, { tokenId: 'a', subject: 'b' }],
    ['--for-subject needs --before', { tokenId: 'a', forSubject: 'b' }],
    [`--before: \`value\` must be ${TIME}`, { before: 'yesterday' }],
    [`--before: \`value\` must be ${TIME}`, { before: '1700000000000' }],
    ['--token-id: `value` must be text of 1 to 1024 characters', { tokenId: '' }],
    ['--reason: `reason` must be text of 1 to 200 characters', { tokenId: 'a', reason: '' }],
    ['--until `2029-12-31` is in the past', { tokenId: 'a', until: '2029-12-31' }],
    ['--until must be like 30d, 12h, 90m or an ISO date, not `soon`', { tokenId: 'a', until: 'soon' }],
  ];
  for (const [message, flags] of cases) {
    t.throws(() => buildEntry(flags, NOW_MS), new UsageError(message), message);
  }
});

t.test('a key is also an issuer, a signing key and the entry of client certificates', async (t) => {
  const folder = t.testdir({ 'r.yaml': 'revocations: []\n', 'policy.yaml': POLICY });
  const env = {
    QDRANT_GATEWAY__REVOCATION__FILE: join(folder, 'r.yaml'),
    QDRANT_GATEWAY__POLICY_FILE: join(folder, 'policy.yaml'),
    QDRANT__SERVICE__API_KEY: 'an-admin-key-of-thirty-two-bytes!',
    QDRANT__SERVICE__JWT_RBAC: 'true',
  };
  t.match(await runScript([MAIN, 'revoke', '--key', 'mesh'], { env }), { code: 0, out: /the key `mesh`/ });
  t.match(await runScript([MAIN, 'revoke', '--key', 'other'], { env }), {
    ...{ code: 2, err: /there are `api_key`, `web`, `corp`, `mesh`/ },
  });
});

const POLICY = `
signing_keys: [{ id: web, secret: a-secret-for-clients-0123456789-0123456789 }]
issuers:
  - { id: corp, issuer: 'https://login.example.com', audiences: [qdrant], mappings: [{ id: all, access: r }] }
client_certificates: { id: mesh, mappings: [{ id: all, access: r }] }
`;

t.test('it writes to the configured file and says so', async (t) => {
  const file = join(t.testdir(), 'r.yaml');
  writeFileSync(file, '# ours\nrevocations: []\n');
  const env = {
    QDRANT_GATEWAY__REVOCATION__FILE: file,
    QDRANT__SERVICE__API_KEY: 'an-admin-key-of-thirty-two-bytes!',
    QDRANT__SERVICE__READ_ONLY_API_KEY: 'a-key-that-reads-of-thirty-two-bytes!',
  };
  const run = (...flags: readonly string[]) => runScript([MAIN, 'revoke', ...flags], { env });
  for (const id of ['TYPO', 'read_only_api_key', 'alt_api_key']) {
    t.strictSame(await run('--key', id), {
      code: 2,
      out: '',
      err: 'error: no key that signs tokens has this id; there are `api_key`\n',
    });
  }
  t.equal(readFileSync(file, 'utf8'), '# ours\nrevocations: []\n', 'nothing was written');
  const cases: readonly (readonly [flags: readonly string[], text: string])[] = [
    [['--token-id', 'id-1', '--until', '2100-01-01'], 'the token with the id `id-1` until 2100-01-01T00:00:00Z'],
    [['--subject', 'alice'], 'every token of the subject `alice`'],
    [['--key', 'api_key'], 'every token signed with the key `api_key`'],
    [
      ['--before', '2026-11-23', '--for-subject', 'bob', '--reason', 'left'],
      'every token of the subject `bob` issued before 2026-11-23T00:00:00Z, or without an issue time',
    ],
  ];
  for (const [flags, text] of cases) {
    t.strictSame(await run(...flags), { code: 0, err: '', out: `revoked ${text}; written to the file \`${file}\`\n` });
  }
  t.match(
    readFileSync(file, 'utf8').replaceAll(/"at": [0-9]+/g, '"at": 1'),
    [
      '# ours',
      'revocations:',
      '  - { "kind": "token", "value": "id-1", "until": 4102444800, "at": 1 }',
      '  - { "kind": "subject", "value": "alice", "at": 1 }',
      '  - { "kind": "key", "value": "api_key", "at": 1 }',
      '  - { "kind": "before", "value": 1795392000, "subject": "bob", "reason": "left", "at": 1 }',
      '',
    ].join('\n'),
  );
});

t.test('what cannot be written is an error, and nothing is on standard output', async (t) => {
  const nowhere = await runScript([MAIN, 'revoke', '--token-id', 'a']);
  t.strictSame(nowhere, {
    code: 2,
    out: '',
    err: 'error: no revocation store is configured: set `gateway.revocation.redis_url` or `gateway.revocation.file`\n',
  });
  const gone = join(t.testdir(), 'gone.yaml');
  const missing = await runScript([MAIN, 'revoke', '--token-id', 'a'], {
    env: { QDRANT_GATEWAY__REVOCATION__FILE: gone },
  });
  t.strictSame(missing, {
    code: 1,
    out: '',
    err: 'error: the revocation file could not be written (no such file): add the entry once it can\n',
  });
  const url = 'redis://user:never-to-be-seen@127.0.0.1:1';
  const refused = await runScript([MAIN, 'revoke', '--token-id', 'a'], {
    env: { QDRANT_GATEWAY__REVOCATION__REDIS_URL: url },
  });
  t.strictSame(refused, {
    code: 1,
    out: '',
    err: 'error: redis could not be written (ECONNREFUSED): nothing was revoked\n',
  });
  for (const bad of ['redis://user:never-to-be-seen%@127.0.0.1:1', 'redis://user:never-to-be-seen@127.0.0.1:0']) {
    const ended = await runScript([MAIN, 'revoke', '--token-id', 'a'], {
      env: { QDRANT_GATEWAY__REVOCATION__REDIS_URL: bad },
    });
    t.match(ended, { code: 2, out: '', err: /^configuration: 1 problem\n {2}gateway\.revocation\.redis_url: / });
    t.notMatch(ended.err, 'never-to-be-seen');
  }
});

t.test('it writes to the configured Redis, before any file', { skip: NO_REDIS }, async (t) => {
  const redis = await startRedis([], 'a password/@');
  t.teardown(() => redis.close());
  const file = join(t.testdir({ 'r.yaml': 'revocations: []\n' }), 'r.yaml');
  const url = redis.url.replace('//', `//:${encodeURIComponent('a password/@')}@`);
  const env = { QDRANT_GATEWAY__REVOCATION__REDIS_URL: url, QDRANT_GATEWAY__REVOCATION__FILE: file };
  const ended = await runScript([MAIN, 'revoke', '--token-id', 'id-1'], { env });
  t.strictSame(ended, { code: 0, err: '', out: 'revoked the token with the id `id-1`; written to redis\n' });
  t.match(redis.cli('hkeys', 'qdrant-gateway:revocations'), '["token","id-1",null,null]');
  t.equal(readFileSync(file, 'utf8'), 'revocations: []\n');
});

t.test('check-config reads the file, too', async (t) => {
  const file = join(t.testdir({ 'r.yaml': 'revocations:\n  - kind: tokn\n    value: x\n' }), 'r.yaml');
  const env = {
    QDRANT__SERVICE__API_KEY: 'an-admin-key-of-thirty-two-bytes!',
    QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1',
    QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'http://127.0.0.1:2',
    QDRANT_GATEWAY__REVOCATION__FILE: file,
  };
  const err = `configuration: 1 problem\n  ${file}:2:11: \`kind\` must be token, subject, key or before\n`;
  t.strictSame(await runScript([MAIN, 'check-config'], { env }), { code: 2, out: '', err });
  writeFileSync(file, 'revocations: []\n');
  t.match(await runScript([MAIN, 'check-config'], { env }), { code: 0, err: '' });
});

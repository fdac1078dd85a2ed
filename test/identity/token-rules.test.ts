import t from 'tap';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { createKeyRing } from '../../src/identity/key-ring.ts';
import { lists } from '../../src/policy/access.ts';
import { NO_TOKEN_RULES, type TokenRules } from '../../src/policy/token-rules.ts';
import { makeToken } from '../support/tokens.ts';

/* What the operator requires of tokens beyond Qdrant: allow beside deny. */

const SECRET = 'a-secret-of-exactly-thirty-two-b';
const NOW = 1_800_000_000;

function ringOf(tokenRules: Partial<TokenRules>) {
  return createKeyRing({ apiKey: SECRET, jwtRbac: true, tokenRules: { ...NO_TOKEN_RULES, ...tokenRules } }, 1);
}

async function present(claims: object, tokenRules: Partial<TokenRules>) {
  const { authenticate } = createAuthenticator({ ring: ringOf(tokenRules), cacheEntries: 0, now: () => NOW * 1000 });
  return authenticate(['api-key', makeToken(claims, SECRET)]);
}

const list = [{ collection: 'docs', access: 'r' }];
const CASES: readonly [name: string, claims: object, rules: Partial<TokenRules>, answer: string][] = [
  ['nothing is required by default', {}, {}, 'ok'],
  ['`exp` as required', { exp: NOW + 9e9 }, { requireExp: true }, 'ok'],
  ['no `exp`', {}, { requireExp: true }, 'token_without_exp'],
  ['a life as long as allowed', { iat: NOW - 50, exp: NOW + 50 }, { maxLifetime: 100 }, 'ok'],
  ['one second longer', { iat: NOW - 50, exp: NOW + 51 }, { maxLifetime: 100 }, 'token_too_long'],
  ['counted from now without `iat`', { exp: NOW + 100 }, { maxLifetime: 100 }, 'ok'],
  ['one second longer from now', { exp: NOW + 101 }, { maxLifetime: 100 }, 'token_too_long'],
  [
    'an issue time in the future lengthens nothing',
    { iat: NOW + 1000, exp: NOW + 1001 },
    { maxLifetime: 100 },
    'token_too_long',
  ],
  [
    'an issue time in milliseconds lengthens nothing',
    { iat: NOW * 1000, exp: NOW * 1000 + 1 },
    { maxLifetime: 100 },
    'token_too_long',
  ],
  ['a longest life needs an end', { iat: NOW }, { maxLifetime: 100 }, 'token_without_exp'],
  ['`access` as required', { access: 'm' }, { requireAccess: true }, 'ok'],
  ['no `access`', {}, { requireAccess: true }, 'token_without_access'],
  ['a list where manage is refused', { access: list }, { refuseManage: true }, 'ok'],
  ['global reading where manage is refused', { access: 'r' }, { refuseManage: true }, 'ok'],
  ['manage where it is refused', { access: 'm' }, { refuseManage: true }, 'token_manages'],
  ['manage by saying nothing where it is refused', {}, { refuseManage: true }, 'token_manages'],
  ['a secret as long as required', {}, { minSecretBytes: 32 }, 'ok'],
  ['a shorter secret', {}, { minSecretBytes: 33 }, 'token_secret_short'],
];

t.test('requirements on tokens', async (test) => {
  for (const [name, claims, rules, answer] of CASES) {
    const identity = await present(claims, rules);
    test.equal(identity.kind === 'denial' ? identity.code : 'ok', answer, name);
    if (identity.kind === 'denial') test.equal(identity.status, 401, `${name}: 401`);
  }
});

t.test('a pattern in a token is literal, until the switch', async (test) => {
  const claims = { access: [{ collection: 'team-a-*', access: 'r' }] };
  for (const patterns of [false, true]) {
    const identity = await present(claims, { patterns });
    if (identity.kind === 'denial') throw new TypeError(identity.code);
    test.equal(lists(identity.access, 'team-a-1'), patterns);
    test.equal(lists(identity.access, 'team-a-*'), true);
    test.equal(lists(identity.access, 'team-b-1'), false);
  }
});

import { createHash, createPublicKey, verify } from 'node:crypto';
import t from 'tap';
import { createAuthenticator } from '../../../src/identity/authenticate.ts';
import { createKeyRing, type RingKeys } from '../../../src/identity/key-ring.ts';
import { NO_REVOCATIONS } from '../../../src/identity/revocations.ts';
import { accessText } from '../../../src/policy/mapping/access-text.ts';
import { accessOf } from '../../../src/policy/settings.ts';
import { tenantsOf } from '../../../src/policy/tenants/settings.ts';
import { rulingOn } from '../../../src/policy/tenants/tenancy.ts';
import { NO_TOKEN_RULES } from '../../../src/policy/token-rules.ts';
import { goodClaims, hmacToken, ISSUER, issuerWith, providerKey, signToken } from '../../support/issuers/keys.ts';
import { makeToken } from '../../support/tokens.ts';

/* What a token of an identity provider must be, and what is tried to get around it. Deny beside every allow. */

const NOW = 1_800_000_000;
const ADMIN = 'admin-key-0123456789';
const rsa = providerKey('RS256', 'one');
const ec = providerKey('ES256', 'two');
const stranger = providerKey('RS256', 'one');
const corp = issuerWith([rsa, ec]);
const other = { ...issuerWith([stranger]), id: 'other', issuer: 'https://other.example.com' };

const ring = (keys: Partial<RingKeys> = {}) =>
  createKeyRing({ apiKey: ADMIN, jwtRbac: true, issuers: [corp, other], ...keys }, 1);

async function outcome(token: string, keys: Partial<RingKeys> = {}, at = NOW): Promise<string> {
  const authenticator = createAuthenticator({ ring: ring(keys), cacheEntries: 8, now: () => at * 1000 });
  const found = await authenticator.authenticate(['api-key', token]);
  // Once more: a remembered token is judged alike.
  const again = await authenticator.authenticate(['Authorization', `Bearer ${token}`]);
  const text = (one: typeof found) =>
    one.kind === 'denial' ? one.code : `${one.keyId} ${one.subject} ${accessText(one.access)}`;
  if (text(found) !== text(again)) return `${text(found)}, then ${text(again)}`;
  return text(found);
}

const GOOD = 'corp alice r';
const claims = goodClaims(NOW);
const without = (...names: readonly string[]) =>
  Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name)));
const publicPem = (() => rsa.jwk)();
const pem = Buffer.from(JSON.stringify(publicPem));

const CASES: readonly (readonly [name: string, token: string, result: string])[] = [
  ['a good token', signToken(rsa, claims), GOOD],
  ['a good token of another algorithm', signToken(ec, claims), GOOD],
  ['no `typ`', signToken(rsa, claims, { typ: undefined }), GOOD],
  ['the type of access tokens', signToken(rsa, claims, { typ: 'at+jwt' }), GOOD],
  ['the same in full and upper case', signToken(rsa, claims, { typ: 'application/AT+JWT' }), GOOD],
  ['another type', signToken(rsa, claims, { typ: 'logout+jwt' }), 'issuer_token_unfit'],
  ['a type that is no text', signToken(rsa, claims, { typ: 5 }), 'bad_credential'],
  ['no `kid`, one key fits', signToken(rsa, claims, { kid: undefined }), GOOD],
  ['a `kid` that is not there', signToken(rsa, claims, { kid: 'gone' }), 'issuer_key_unknown'],
  ['a key of another issuer with the same `kid`', signToken(stranger, claims), 'invalid_signature'],
  ['the other issuer itself', signToken(stranger, { ...claims, iss: other.issuer }), 'other alice r'],
  ['a signature that is cut off', signToken(rsa, claims).slice(0, -10), 'invalid_signature'],
  ['no signature', signToken(rsa, claims).replace(/[^.]*$/, ''), 'invalid_signature'],
  ['`crit` with an unknown extension', signToken(rsa, claims, { crit: ['x'], x: 1 }), 'issuer_token_unfit'],
  ['`crit` that is empty', signToken(rsa, claims, { crit: [] }), 'issuer_token_unfit'],
  ['`crit` with `b64`', signToken(rsa, claims, { crit: ['b64'], b64: false }), 'issuer_token_unfit'],
  ['the algorithm none', signToken(rsa, claims, { alg: 'none' }), 'bad_credential'],
  ['none without signature', signToken(rsa, claims, { alg: 'none' }).replace(/[^.]*$/, ''), 'bad_credential'],
  ['none in other letters', signToken(rsa, claims, { alg: 'nOnE' }), 'bad_credential'],
  ['no algorithm', signToken(rsa, claims, { alg: undefined }), 'bad_credential'],
  ['HS256 with the public key', hmacToken(pem, claims, { kid: 'one' }), 'invalid_signature'],
  ['HS256 with the admin key is a native token', makeToken({ ...claims, access: 'r' }, ADMIN), 'api_key undefined r'],
  ['an RSA key for ES256', signToken(rsa, claims, { alg: 'ES256' }), 'issuer_key_unknown'],
  ['an EC key for RS256', signToken(ec, claims, { alg: 'RS256', kid: 'two' }), 'issuer_key_unknown'],
  ['PS256 with a key for RS256', signToken(rsa, claims, { alg: 'PS256' }, 'PS256'), 'issuer_key_unknown'],
  ['a key of its own (`jwk`)', signToken(stranger, claims, { jwk: stranger.jwk, kid: undefined }), 'invalid_signature'],
  [
    'the address of its own keys (`jku`)',
    signToken(stranger, claims, { jku: 'https://evil.example.com', kid: 'evil' }),
    'issuer_key_unknown',
  ],
  ['a certificate (`x5u`)', signToken(stranger, claims, { x5u: 'https://evil.example.com' }), 'invalid_signature'],
  ['another audience', signToken(rsa, { ...claims, aud: 'other' }), 'wrong_audience'],
  ['one of several audiences', signToken(rsa, { ...claims, aud: ['other', 'qdrant'] }), GOOD],
  ['an audience that only begins alike', signToken(rsa, { ...claims, aud: 'qdrant2' }), 'wrong_audience'],
  ['no audience', signToken(rsa, without('aud')), 'wrong_audience'],
  ['an audience that is an object', signToken(rsa, { ...claims, aud: { 0: 'qdrant' } }), 'issuer_token_unfit'],
  ['another `iss`', signToken(rsa, { ...claims, iss: 'https://evil.example.com' }), 'bad_credential'],
  ['an `iss` with a slash more', signToken(rsa, { ...claims, iss: `${ISSUER}/` }), 'bad_credential'],
  ['no `iss`', signToken(rsa, without('iss')), 'bad_credential'],
  ['expired by more than the skew', signToken(rsa, { ...claims, exp: NOW - 30 }), 'token_expired'],
  ['expired within the skew', signToken(rsa, { ...claims, exp: NOW - 29 }), GOOD],
  ['no `exp`', signToken(rsa, without('exp')), 'token_without_exp'],
  ['an `exp` that is a text', signToken(rsa, { ...claims, exp: '9999999999' }), 'issuer_token_unfit'],
  ['an `exp` in milliseconds', signToken(rsa, { ...claims, exp: NOW * 1000 }), 'issuer_token_unfit'],
  ['a negative `exp`', signToken(rsa, { ...claims, exp: -1 }), 'issuer_token_unfit'],
  ['a fraction', signToken(rsa, { ...claims, exp: NOW + 0.5 }), GOOD],
  ['`nbf` in the future', signToken(rsa, { ...claims, nbf: NOW + 31 }), 'token_not_yet_valid'],
  ['`nbf` within the skew', signToken(rsa, { ...claims, nbf: NOW + 30 }), GOOD],
  ['`iat` in the future', signToken(rsa, { ...claims, iat: NOW + 31 }), 'token_not_yet_valid'],
  ['`nbf` that is a text', signToken(rsa, { ...claims, nbf: '1' }), 'issuer_token_unfit'],
  ['`jti` that is a number', signToken(rsa, { ...claims, jti: 1 }), 'issuer_token_unfit'],
  ['no subject', signToken(rsa, without('sub')), 'claim_missing'],
  ['an empty subject', signToken(rsa, { ...claims, sub: '' }), 'claim_unfit'],
  ['a subject that is a list', signToken(rsa, { ...claims, sub: ['alice'] }), 'claim_unfit'],
  ['a subject with a line end', signToken(rsa, { ...claims, sub: 'a\nb' }), 'claim_unfit'],
  [
    'a claim that is given twice',
    signToken(rsa, `${JSON.stringify(claims).slice(0, -1)},"aud":"qdrant"}`),
    'bad_credential',
  ],
  [
    'a nested claim that is given twice',
    signToken(rsa, `${JSON.stringify(claims).slice(0, -1)},"a":{"b":1,"b":2}}`),
    'bad_credential',
  ],
  ['a header member that is given twice', signToken(rsa, claims, '{"alg":"RS256","alg":"none"}'), 'bad_credential'],
  ['claims that are a list', signToken(rsa, '[]'), 'bad_credential'],
  ['claims that are deep', signToken(rsa, { ...claims, x: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]] }), 'bad_credential'],
  ['claims with a byte order mark', signToken(rsa, `\ufeff${JSON.stringify(claims)}`), 'bad_credential'],
  ['padding', `${signToken(rsa, claims)}=`, 'bad_credential'],
  ['a fourth part', `${signToken(rsa, claims)}.x`, 'bad_credential'],
  ['a token of 40 kB', signToken(rsa, { ...claims, x: 'x'.repeat(30_000) }), 'bad_credential'],
  ['`__proto__` as a claim', signToken(rsa, `${JSON.stringify(claims).slice(0, -1)},"__proto__":{"a":1}}`), GOOD],
];

for (const [name, token, result] of CASES) {
  t.test(name, async (t) => {
    t.equal(await outcome(token), result);
  });
}

for (const alg of corp.algorithms) {
  t.test(`${alg} is verified, and a signature over other claims is not`, async (t) => {
    const key = providerKey(alg, 'k');
    const keys = { issuers: [issuerWith([key])] };
    const token = signToken(key, claims);
    t.equal(await outcome(token, keys), GOOD);
    const [head, , signature] = token.split('.');
    const changed = Buffer.from(JSON.stringify({ ...claims, sub: 'bob' })).toString('base64url');
    t.equal(await outcome(`${head}.${changed}.${signature}`, keys), 'invalid_signature');
    const allowed = corp.algorithms.filter((one) => one !== alg);
    const strict = { issuers: [issuerWith([key], { algorithms: allowed })] };
    t.equal(await outcome(token, strict), 'issuer_key_unknown', 'an algorithm that is not allowed');
  });
}

t.test('native tokens and keys are judged as without issuers', async (t) => {
  const tokens = [
    makeToken({ access: 'r', iss: ISSUER }, ADMIN),
    makeToken({ access: 'r', iss: ISSUER }, 'another-key'),
    makeToken({ access: 'm', exp: 1 }, ADMIN),
    makeToken({}, ADMIN),
    signToken(rsa, { ...claims, iss: 'unknown' }),
    ADMIN,
    '',
    'a.b.c',
    'wrong',
  ];
  for (const token of tokens) t.equal(await outcome(token), await outcome(token, { issuers: [] }), token.slice(0, 40));
});

t.test('a ring with an issuer alone is not open, and takes no native token', async (t) => {
  const alone = { apiKey: null, jwtRbac: null };
  t.equal(await outcome(signToken(rsa, claims), alone), GOOD);
  t.equal(await outcome(makeToken({}, ''), alone), 'bad_credential');
  const authenticator = createAuthenticator({ ring: ring(alone), cacheEntries: 8, now: () => NOW * 1000 });
  t.notOk(authenticator.isOpen());
  t.match(await authenticator.authenticate([]), { code: 'missing_credential' });
});

t.test('a key that is too short, or no key at all, verifies nothing', async (t) => {
  const key = { ...rsa, jwk: { ...rsa.jwk, n: 'AQAB' } };
  t.equal(await outcome(signToken(rsa, claims), { issuers: [issuerWith([key])] }), 'invalid_signature');
});

t.test('a token that is made without a private key, under a key that OpenSSL takes', async (t) => {
  const key = { ...rsa, jwk: { ...rsa.jwk, e: 'AQ' } };
  const parts = [{ alg: 'RS256', kid: rsa.kid, typ: 'JWT' }, claims];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const hash = createHash('sha256').update(text).digest('hex');
  const info = '3031300d060960864801650304020105000420';
  const padded = Buffer.from(`0001${'ff'.repeat(202)}00${info}${hash}`, 'hex');
  const object = createPublicKey({ key: key.jwk, format: 'jwk' });
  t.ok(verify('sha256', Buffer.from(text), object, padded), 'OpenSSL says yes');
  const forged = `${text}.${padded.toString('base64url')}`;
  t.equal(await outcome(forged, { issuers: [issuerWith([key])] }), 'issuer_key_unknown');
});

t.test('requirements on tokens hold, too', async (t) => {
  const manages = [issuerWith([rsa], { mappings: [{ id: 'all', access: 'm' }] })];
  const refuse = { ...NO_TOKEN_RULES, refuseManage: true };
  t.equal(await outcome(signToken(rsa, claims), { issuers: manages }), 'corp alice m');
  t.equal(await outcome(signToken(rsa, claims), { issuers: manages, tokenRules: refuse }), 'token_manages');
  const short = { ...NO_TOKEN_RULES, maxLifetime: 299 };
  t.equal(await outcome(signToken(rsa, claims), { tokenRules: short }), 'token_too_long');
  t.equal(await outcome(signToken(rsa, claims), { issuers: [{ ...corp, maxLifetime: 299 }] }), 'token_too_long');
  t.equal(await outcome(signToken(rsa, claims), { issuers: [{ ...corp, maxLifetime: 300 }] }), GOOD);
  const old = signToken(rsa, { ...claims, iat: NOW - 10 });
  t.equal(await outcome(old, { issuers: [{ ...corp, maxLifetime: 305 }] }), 'token_too_long', 'from `iat`');
});

t.test('rules, tenants and revocations are for these principals by issuer and subject', async (t) => {
  const rule = { id: 'x', mode: 'enforce', operations: undefined } as const;
  const docs = accessOf([{ collection: 'docs', access: 'r' }]);
  const rules = [{ ...rule, keys: new Set(['corp']), subjects: new Set(['alice']), access: docs }];
  t.equal(await outcome(signToken(rsa, claims), { rules }), 'corp alice docs r');
  t.equal(await outcome(signToken(rsa, { ...claims, sub: 'bob' }), { rules }), 'corp bob r');
  const token = signToken(rsa, { ...claims, jti: 'id' });
  const revoked = async (more: object) => {
    const revocations = () => ({ ...NO_REVOCATIONS, ...more });
    const authenticator = createAuthenticator({ ring: ring(), cacheEntries: 8, now: () => NOW * 1000, revocations });
    const found = await authenticator.authenticate(['api-key', token]);
    return found.kind === 'denial' ? found.code : 'accepted';
  };
  t.equal(await revoked({}), 'accepted');
  t.equal(await revoked({ tokens: new Set(['id']) }), 'token_revoked');
  t.equal(await revoked({ subjects: new Set(['alice']) }), 'token_revoked');
  t.equal(await revoked({ keys: new Set(['corp']) }), 'token_revoked');
  t.equal(await revoked({ keys: new Set(['other']) }), 'accepted');
  t.equal(await revoked({ issuedBefore: NOW }), 'accepted');
  t.equal(await revoked({ issuedBefore: NOW + 1 }), 'token_revoked');
  t.equal(await revoked({ unknown: true }), 'revocation_unknown');
});

t.test('the tenant is that of the mapping, else of the claim; without one nothing is allowed', async (t) => {
  const tenants = tenantsOf([
    { id: 't', keys: ['corp'], credentials: 'tokens', collections: ['*'], field: 't', from: 'tid' },
  ]);
  const valuesOf = async (more: object, mapping: object) => {
    const issuers = [issuerWith([rsa], { mappings: [{ id: 'all', access: 'r', ...mapping }] })];
    const authenticator = createAuthenticator({
      ring: ring({ issuers, tenants }),
      cacheEntries: 8,
      now: () => NOW * 1000,
    });
    const found = await authenticator.authenticate(['api-key', signToken(rsa, { ...claims, ...more })]);
    if (found.kind === 'denial') return found.code;
    const ruling = found.tenancy && rulingOn(found.tenancy, 'docs');
    return typeof ruling === 'object' ? ruling[0]?.values : ruling;
  };
  t.strictSame(await valuesOf({ tid: 'a' }, {}), ['a'], 'the claim of that name');
  t.strictSame(await valuesOf({ tid: [1, 'b'] }, {}), [1n, 'b']);
  t.equal(await valuesOf({}, {}), 'missing');
  t.equal(await valuesOf({ tid: '' }, {}), 'missing');
  t.equal(await valuesOf({ tid: { a: 1 } }, {}), 'missing');
  t.strictSame(await valuesOf({ tid: 'a' }, { tenant: ['b'] }), ['b'], 'that of the mapping counts');
  t.strictSame(await valuesOf({ tid: 'a', org: 7 }, { tenant_from: 'org' }), [7n]);
  t.equal(await valuesOf({ tid: 'a' }, { tenant_from: 'org' }), 'claim_missing');
});

t.test('Entra ID leaves out many groups: the refusal says so, unless another claim maps', async (t) => {
  const mappings = [
    { id: 'group', claim: 'groups', values: ['g'], access: 'r' },
    { id: 'role', claim: 'roles', values: ['r'], access: 'm' },
  ] as const;
  const issuers = [issuerWith([rsa], { mappings })];
  const overage = { ...claims, _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'https://x' } } };
  t.equal(await outcome(signToken(rsa, overage), { issuers }), 'groups_overage');
  t.equal(await outcome(signToken(rsa, { ...claims, hasgroups: true }), { issuers }), 'groups_overage');
  t.equal(await outcome(signToken(rsa, { ...overage, roles: ['r'] }), { issuers }), 'corp alice m');
  t.equal(await outcome(signToken(rsa, claims), { issuers }), 'no_mapping');
});

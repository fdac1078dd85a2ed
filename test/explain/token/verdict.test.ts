import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { presentToken } from '../../../src/explain/token/verdict.ts';
import { createKeyRing } from '../../../src/identity/key-ring.ts';
import { NO_REVOCATIONS, type Revocations } from '../../../src/identity/revocations.ts';
import { UPSTREAM_UNREACHABLE, VALUE_EXISTS_NO_COLLECTION, VALUE_EXISTS_NO_POINT } from '../../../src/policy/denial.ts';
import type { DenialCode } from '../../../src/policy/denial-codes.ts';
import { runScript } from '../../support/process/run-script.ts';

const KEY = 'an-admin-key-of-thirty-two-bytes!';
const OTHER = 'another-key-of-thirty-two-bytes!!';
const NOW = 1_900_000_000;
const MAIN = 'src/cli/main.ts';

const part = (value: string): string => Buffer.from(value).toString('base64url');
const signed = (claims: string, secret = KEY, header = '{"alg":"HS256","typ":"JWT"}'): string => {
  const body = `${part(header)}.${part(claims)}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
};
const revoked = (what: Partial<Revocations>): Revocations => ({ ...NO_REVOCATIONS, ...what });
const EXISTS = '{"value_exists":{"collection":"c","matches":[]}}';

interface Case {
  readonly name: string;
  readonly token: string;
  readonly why: string;
  /** Of a refusal; by default that of a token that cannot be read or is signed with another key. */
  readonly code?: DenialCode;
  readonly revocations?: Revocations;
  readonly valueExists?: typeof VALUE_EXISTS_NO_POINT;
  readonly jwtRbac?: boolean;
}

const REFUSED: readonly Case[] = [
  {
    name: 'tokens are off',
    token: signed('{}'),
    jwtRbac: false,
    why: 'tokens are off, set `service.jwt_rbac` and a key to sign with',
  },
  { name: 'two parts', token: 'a.b', why: 'a token has three parts, separated by dots' },
  { name: 'four parts', token: 'a.b.c.d', why: 'a token has three parts, separated by dots' },
  { name: 'a signature with padding', token: `${signed('{}')}=`, why: 'the signature is not strict base64url' },
  { name: 'a header with padding', token: 'e30=.e30.e30', why: 'the header is not strict base64url' },
  { name: 'a header without alg', token: signed('{}', KEY, '{}'), why: 'the header: `alg`: a field is missing' },
  { name: 'alg none', token: signed('{}', KEY, '{"alg":"none"}'), why: 'the header: `alg`: it must be HS256' },
  { name: 'alg RS256', token: signed('{}', KEY, '{"alg":"RS256"}'), why: 'the header: `alg`: it must be HS256' },
  {
    name: 'an extension',
    token: signed('{}', KEY, '{"alg":"HS256","crit":[]}'),
    why: 'the header: `crit`: the header asks for an extension',
  },
  { name: 'a header that is no JSON', token: signed('{}', KEY, '{'), why: 'the header: the text ends too early' },
  {
    name: 'a kid that is a number',
    token: signed('{}', KEY, '{"alg":"HS256","kid":1}'),
    why: 'the header: `kid`: expected a value of kind string',
  },
  {
    name: 'another key',
    token: signed('{}', OTHER),
    why: 'it is signed with none of the configured keys',
    code: 'invalid_signature',
  },
  {
    name: 'a character changed',
    token: signed('{}').replace('.e30.', '.e31.'),
    why: 'it is signed with none of the configured keys',
    code: 'invalid_signature',
  },
  {
    name: 'exp as a float (PyJWT with time.time())',
    token: signed(`{"exp":${NOW + 600}.25}`),
    why: 'the claims cannot be read: `exp`: it must be a whole number of seconds since 1970, without sign, fraction or exponent',
  },
  {
    name: 'exp as text',
    token: signed(`{"exp":"${NOW}"}`),
    why: 'the claims cannot be read: `exp`: expected a value of kind number',
  },
  {
    name: 'nbf as an object',
    token: signed('{"nbf":{}}'),
    why: 'the claims cannot be read: `nbf`: it must not be an object',
  },
  { name: 'access rw', token: signed('{"access":"rw"}'), why: 'the claims cannot be read: `access`: it must be r, m' },
  {
    name: 'a list with m',
    token: signed('{"access":[{"collection":"a","access":"m"}]}'),
    why: 'the claims cannot be read: `access`: it must be r, rw, prw',
  },
  {
    name: 'a list without access',
    token: signed('{"access":[{"collection":"a"}]}'),
    why: 'the claims cannot be read: `access`: a field is missing',
  },
  {
    name: 'a claim twice',
    token: signed('{"exp":1,"exp":2}'),
    why: 'the claims cannot be read: a claim is given twice',
  },
  {
    name: 'claims that are a list',
    token: signed('[]'),
    why: 'the claims cannot be read: expected a value of kind object',
  },
  {
    name: 'a subject that is a number',
    token: signed('{"subject":1}'),
    why: 'the claims cannot be read: `subject`: expected a value of kind string',
  },
  {
    name: 'value_exists with a bad path',
    token: signed('{"value_exists":{"collection":"c","matches":[{"key":"a b","value":1}]}}'),
    why: 'the claims cannot be read: `value_exists`: no payload path',
  },
  {
    name: 'expired',
    token: signed(`{"exp":${NOW - 31}}`),
    why: 'it has expired (`exp` plus 30 seconds of leeway)',
    code: 'token_expired',
  },
  {
    name: 'a collection twice',
    token: signed('{"access":[{"collection":"a","access":"r"},{"collection":"a","access":"r"}]}'),
    why: 'access[1].collection: Collection name should be unique',
    code: 'invalid_claims',
  },
  {
    name: 'revoked by id',
    token: signed('{"jti":"x"}'),
    revocations: revoked({ tokens: new Set(['x']) }),
    why: 'its id (`jti`) is revoked',
    code: 'token_revoked',
  },
  {
    name: 'revoked by key',
    token: signed('{}'),
    revocations: revoked({ keys: new Set(['api_key']) }),
    why: 'the key that signed it is revoked',
    code: 'token_revoked',
  },
  {
    name: 'revoked by sub',
    token: signed('{"sub":"x"}'),
    revocations: revoked({ subjects: new Set(['x']) }),
    why: 'its subject (`sub` or `subject`) is revoked',
    code: 'token_revoked',
  },
  {
    name: 'revoked by subject',
    token: signed('{"subject":"x"}'),
    revocations: revoked({ subjects: new Set(['x']) }),
    why: 'its subject (`sub` or `subject`) is revoked',
    code: 'token_revoked',
  },
  {
    name: 'revoked by time',
    token: signed('{"iat":9}'),
    revocations: revoked({ issuedBefore: 10 }),
    why: 'tokens issued (`iat`) before a time are revoked, and it is older or does not say',
    code: 'token_revoked',
  },
  {
    name: 'revoked by time of its subject',
    token: signed('{"sub":"x"}'),
    revocations: revoked({ issuedBeforeBySubject: new Map([['x', 10]]) }),
    why: 'tokens of its subject issued (`iat`) before a time are revoked, and it is older or does not say',
    code: 'token_revoked',
  },
  {
    name: 'revocations are not known',
    token: signed('{}'),
    revocations: revoked({ unknown: true }),
    why: 'revocations cannot be checked',
    code: 'revocation_unknown',
  },
  {
    name: 'no point',
    token: signed(EXISTS),
    valueExists: VALUE_EXISTS_NO_POINT,
    why: 'Invalid JWT, stateful validation failed',
    code: 'value_exists_no_point',
  },
  {
    name: 'no collection',
    token: signed(EXISTS),
    valueExists: VALUE_EXISTS_NO_COLLECTION,
    why: 'Invalid JWT, stateful validation failed',
    code: 'value_exists_no_collection',
  },
  {
    name: 'no upstream',
    token: signed(EXISTS),
    valueExists: UPSTREAM_UNREACHABLE,
    why: 'upstream is not reachable',
    code: 'upstream_unreachable',
  },
];

const ACCEPTED: readonly Case[] = [
  { name: 'no claim at all', token: signed('{}'), why: 'signed with the key `api_key`' },
  { name: 'within the leeway', token: signed(`{"exp":${NOW - 30}}`), why: 'signed with the key `api_key`' },
  {
    name: 'claims that nothing reads',
    token: signed('{"nbf":1.5,"x":[1.5],"iat":1.5}'),
    why: 'signed with the key `api_key`',
  },
  { name: 'value_exists that holds', token: signed(EXISTS), why: 'signed with the key `api_key`' },
  {
    name: 'another token is revoked',
    token: signed('{"jti":"y"}'),
    revocations: revoked({ tokens: new Set(['x']) }),
    why: 'signed with the key `api_key`',
  },
];

t.test('every refusal has its reason, beside tokens that are accepted', async (test) => {
  for (const [accepted, cases] of [
    [false, REFUSED],
    [true, ACCEPTED],
  ] as const) {
    for (const { name, token, why, code, revocations = NO_REVOCATIONS, valueExists, jwtRbac = true } of cases) {
      const ring = createKeyRing({ apiKey: KEY, jwtRbac }, 1);
      const verdict = await presentToken(
        token,
        { ring, revocations, valueExists: async () => valueExists },
        NOW * 1000,
      );
      const refused = { accepted, text: `refused: ${why}`, code: code ?? 'bad_credential' };
      test.strictSame(verdict, accepted ? { accepted, text: `accepted: ${why}` } : refused, name);
    }
  }
});

t.test('with a second key the reason is found behind the answer of the other one', async (test) => {
  const ring = createKeyRing({ apiKey: OTHER, altApiKey: KEY, jwtRbac: true }, 1);
  const asked = { ring, revocations: NO_REVOCATIONS, valueExists: async () => undefined };
  const verdict = await presentToken(signed('{"access":"w"}'), asked, NOW * 1000);
  test.same(verdict.text, 'refused: the claims cannot be read: `access`: it must be r, m');
});

const ENV = { QDRANT__SERVICE__API_KEY: KEY, QDRANT__SERVICE__JWT_RBAC: 'true' };

t.test('the command says so, and ends with 1', async (test) => {
  const float = signed('{"exp":4102444800.5}');
  const ended = await runScript([MAIN, 'token', 'inspect'], { env: ENV, input: float });
  test.match(ended, {
    code: 1,
    err: 'error: a gateway with this configuration refuses the token\n',
    out: /signature: by `service.api_key`\nverdict: refused: the claims cannot be read: `exp`: it must be a whole number/,
  });
  const file = join(test.testdir({ 'r.yaml': 'revocations: [{ kind: token, value: x }]\n' }), 'r.yaml');
  const env = { ...ENV, QDRANT_GATEWAY__REVOCATION__FILE: file };
  test.match(await runScript([MAIN, 'token', 'inspect'], { env, input: signed('{"jti":"x"}') }), {
    code: 1,
    out: /verdict: refused: its id \(`jti`\) is revoked\ncode: token_revoked\n$/,
  });
  test.match(await runScript([MAIN, 'token', 'inspect'], { env, input: signed('{"jti":"y"}') }), { code: 0 });
});

t.test('a token that comes late, in pieces, is read', async (test) => {
  const child = spawn(process.execPath, [join(import.meta.dirname, '..', '..', '..', MAIN), 'token', 'inspect'], {
    env: { PATH: process.env.PATH ?? '', ...ENV },
    stdio: 'pipe',
  });
  const [out, err] = [text(child.stdout), text(child.stderr)];
  const token = signed('{}');
  // So slowly that reading begins in the middle: a read that does not wait is refused then (EAGAIN).
  for (const letter of token) {
    child.stdin.write(letter);
    await pause(20);
  }
  child.stdin.end();
  test.match(await out, /verdict: accepted/);
  test.equal(await err, '');
});

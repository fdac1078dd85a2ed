import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { mintToken, verifyToken } from '../../src/identity/token.ts';
import { readTokenShape } from '../../src/identity/token-shape.ts';
import { forge, type TokenRecipe } from './forge.ts';

const SECRET = 'a-secret';
const NO_FORM = 'no form';

/** What becomes of a token: its claims as text, or why there are none. */
async function outcomeOf(token: string, secret: string | Buffer = SECRET): Promise<string> {
  const shape = readTokenShape(token);
  if (!shape) return NO_FORM;
  const verification = await verifyToken(shape, Buffer.from(secret as string));
  return verification.kind === 'verified' ? Buffer.from(verification.claims).toString() : verification.kind;
}

const outcomeOfRecipe = (recipe: TokenRecipe) => outcomeOf(forge(recipe, 0, SECRET));

t.test('the form comes before the signature, the claims part after it', async (t) => {
  const header = { alg: 'HS256' }; // 20 characters encoded
  const claims = '{"a":"?>~"}'; // 15 characters encoded: one short of a multiple of four
  const cases: readonly (readonly [sentence: string, recipe: TokenRecipe, outcome: string])[] = [
    ['a plain token is verified', { header, claims }, claims],
    ['padding on the header has no form', { header: '{"alg":"HS256"} ', tweak: 'pad-header' }, NO_FORM],
    ['unused bits in the header have no form', { header: '{"alg":"HS256"} ', tweak: 'header-trailing-bits' }, NO_FORM],
    ['padding on the claims is undecodable', { claims, tweak: 'pad-claims' }, 'undecodable'],
    ['unused bits in the claims are undecodable', { claims, tweak: 'claims-trailing-bits' }, 'undecodable'],
    ['a blank in the claims is undecodable', { claims, tweak: 'claims-space' }, 'undecodable'],
    ['the other alphabet in the claims is undecodable', { claims, tweak: 'std-alphabet' }, 'undecodable'],
    ['padding on the signature has no form', { tweak: 'pad-signature' }, NO_FORM],
    ['unused bits in the signature have no form', { tweak: 'signature-trailing-bits' }, NO_FORM],
    ['an empty signature is wrong', { tweak: 'empty-signature' }, 'invalid-signature'],
    ['a short signature is wrong', { tweak: 'short-signature' }, 'invalid-signature'],
    ['a long signature is wrong', { tweak: 'long-signature' }, 'invalid-signature'],
    [
      'a padded claims part with a wrong signature is a wrong signature',
      { claims, tweak: 'pad-claims', secret: 'x' },
      'invalid-signature',
    ],
    ['two parts have no form', { tweak: 'two-parts' }, NO_FORM],
    ['four parts have no form', { tweak: 'four-parts' }, NO_FORM],
    ['an empty claims part is a claims part', { claims: '' }, ''],
  ];
  for (const [sentence, recipe, outcome] of cases) t.equal(await outcomeOfRecipe(recipe), outcome, sentence);
});

t.test('header fields', async (t) => {
  const good = [
    '{"alg":"HS256"}',
    ' {\n"alg" : "HS\\u003256" } ',
    '{"alg":"HS256","typ":null,"kid":null,"cty":null,"jwk":null}',
    '{"alg":"HS256","typ":"at+jwt","kid":"\' or 1=1","cty":"x","jku":"http://127.0.0.1:1/","x5u":"x","zip":"DEF"}',
    '{"alg":"HS256","x5c":[],"b64":"false","__proto__":"x","x":"1","x":"2"}',
    '{"alg":"HS256","jwk":{"kty":"oct","k":"AA","key_ops":["sign"]}}',
    '{"alg":"HS256","jwk":{"kty":"RSA","n":"AA","e":"AQAB"}}',
  ];
  for (const header of good) t.equal(await outcomeOfRecipe({ header, claims: 'c' }), 'c', `good: ${header}`);
  const bad = [
    ...['', 'null', '[]', '["HS256"]', '"HS256"', '{}', '{"typ":"JWT"}', '{"alg":"HS256"}x', '\ufeff{"alg":"HS256"}'],
    ...[
      '"none"',
      '"None"',
      '""',
      '"HS384"',
      '"RS256"',
      '"hs256"',
      '" HS256"',
      'null',
      '{"HS256":null}',
      '["HS256"]',
    ].map((alg) => `{"alg":${alg}}`),
    ...[
      '"alg":"none"',
      '"alg":"HS256"',
      '"a\\u006cg":"HS256"',
      '"typ":1',
      '"typ":"a","typ":"a"',
      '"kid":[]',
      '"cty":true',
      '"x5c":"a"',
      '"x5c":[1]',
      '"jku":null',
      '"zip":1',
      '"b64":false',
      '"b64":true',
      '"x":null',
      '"x":1',
      '"x":{}',
      '"x":"\\ud800"',
      '"crit":["exp"]',
      '"crit":["b64"]',
      '"crit":[]',
      '"crit":null',
      '"jwk":{}',
      '"jwk":[]',
      '"jwk":{"kty":"oct"}',
      '"jwk":{"kty":"x","k":"AA"}',
      '"jwk":{"kty":"oct","k":1}',
      '"jwk":{"kty":"oct","k":"AA","k":"AA"}',
    ].map((field) => `{"alg":"HS256",${field}}`),
  ];
  for (const header of bad) t.equal(await outcomeOfRecipe({ header, claims: 'c' }), NO_FORM, `bad: ${header}`);
});

t.test('minting', async (t) => {
  const claims = { exp: 5, access: [{ collection: 'é', access: 'r' }] };
  const token = await mintToken(claims, SECRET);
  t.equal(token, forge({ claims }, 0, SECRET), 'a token is byte for byte what RFC 7515 says');
  const header = Buffer.from(token.split('.')[0] ?? '', 'base64url').toString();
  t.equal(header, '{"alg":"HS256","typ":"JWT"}', 'the header is exactly this');
  t.equal(await outcomeOf(token), JSON.stringify(claims), 'it is verified with its secret');
  t.equal(await outcomeOf(token, 'a-secres'), 'invalid-signature', 'it is not verified with another');
  t.equal(await outcomeOf(await mintToken({}, 'k'), 'k'), '{}', 'a secret of one character works');
  t.equal(await outcomeOf(await mintToken({}, 'ü'.repeat(100)), 'ü'.repeat(100)), '{}', 'a long secret works');
  await t.rejects(mintToken({}, ''), RangeError, 'an empty secret is refused');
});

interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly jws: string;
  readonly result: 'valid' | 'invalid';
}

/**
 * Labels that do not fit the bytes: 367 and 370 are byte for byte the valid vector 357; 372 and 373 hold a `?`, which is
 * no base64url.
 */
const MISLABELLED: ReadonlyMap<number, boolean> = new Map([
  [367, true],
  [370, true],
  [372, false],
  [373, false],
]);

const folder = process.env.TEST_VECTORS_DIR ?? '';
const vectors = join(folder, 'wycheproof', 'json_web_signature_test.json');
const skip =
  folder === '' ? 'TEST_VECTORS_DIR is not set' : existsSync(vectors) ? false : 'no Wycheproof vectors there';

t.test('Wycheproof HS256', { skip }, async (t) => {
  const groups = (JSON.parse(readFileSync(vectors, 'utf8')) as { testGroups: readonly Group[] }).testGroups;
  type Group = { readonly private?: { readonly alg?: string; readonly k?: string }; readonly tests: readonly Vector[] };
  let ran = 0;
  for (const { private: key, tests } of groups) {
    if (key?.alg !== 'HS256' || key.k === undefined) continue;
    const secret = Buffer.from(key.k, 'base64url');
    for (const { tcId, comment, jws, result } of tests) {
      const outcome = await outcomeOf(jws, secret);
      const accepted = ![NO_FORM, 'invalid-signature', 'undecodable'].includes(outcome);
      t.equal(accepted, MISLABELLED.get(tcId) ?? result === 'valid', `${tcId} ${comment}: ${result}`);
      ran += 1;
    }
  }
  t.equal(ran, 40, 'every HS256 vector ran');
  const vector = (tcId: number) => groups.flatMap(({ tests }) => tests).find((one) => one.tcId === tcId)?.jws;
  t.equal(vector(367), vector(357), '367 is 357');
  t.equal(vector(370), vector(357), '370 is 357');
  t.match(vector(372), /\?/, '372 is no base64url');
  t.match(vector(373), /\?/, '373 is no base64url');
});

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readKeySet } from '../../../src/config/policy/issuers/key-set.ts';
import { readIssuedToken } from '../../../src/identity/issuers/issued-token.ts';
import { KeySets, keyObjectOf } from '../../../src/identity/issuers/key-sets.ts';
import { verifySignature } from '../../../src/identity/jwks.ts';
import { issuerWith, providerKey } from '../../support/issuers/keys.ts';

/* Published vectors for signatures with public keys: form, choice of the key, signature. */

const folder = process.env.TEST_VECTORS_DIR ?? '';
const vectors = join(folder, 'wycheproof', 'json_web_signature_test.json');
const skip =
  folder === '' ? 'TEST_VECTORS_DIR is not set' : existsSync(vectors) ? false : 'no Wycheproof vectors there';

interface Group {
  readonly public?: Readonly<Record<string, unknown>>;
  readonly tests: readonly {
    readonly tcId: number;
    readonly comment: string;
    readonly jws: string;
    readonly result: string;
  }[];
}

/** Valid vectors that are refused here, with the reason. */
const REFUSED: ReadonlyMap<number, string> = new Map(
  [346, 347, 350, 351].map((id) => [id, '(the `alg` of the key is another one, RFC 7517 section 4.4)'] as const),
);

async function accepts(key: Readonly<Record<string, unknown>>, jws: string): Promise<boolean> {
  const set = readKeySet(JSON.stringify({ keys: [key] }));
  const token = readIssuedToken(jws);
  if (typeof set === 'string' || !token || token.hasCrit) return false;
  const sets = new KeySets(() => 0);
  sets.configure([{ ...issuerWith([providerKey('ES256', 'any')]), source: { from: 'file', keys: set.keys } }]);
  const found = sets.find('corp', token.kid, token.alg);
  if (found === 'unusable') return false;
  for (const one of found) {
    const object = keyObjectOf(one);
    if (object && (await verifySignature(jws, object, token.alg))) return true;
  }
  return false;
}

t.test('Wycheproof: RS, PS and ES', { skip }, async (t) => {
  const { testGroups: groups } = JSON.parse(readFileSync(vectors, 'utf8')) as { testGroups: readonly Group[] };
  let ran = 0;
  for (const { public: key, tests } of groups) {
    if (!key) continue;
    for (const { tcId, comment, jws, result } of tests) {
      const expected = result === 'valid' && !REFUSED.has(tcId);
      t.equal(await accepts(key, jws), expected, `${tcId} ${comment}: ${result} ${REFUSED.get(tcId) ?? ''}`);
      ran += 1;
    }
  }
  t.ok(ran > 350, `${ran} vectors ran`);
});

/** RFC 8037, appendix A.2 and A.4. */
const RFC_8037 = {
  key: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
  input: 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc',
  signature: 'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg',
};
/** The order of the group (RFC 8032, section 5.1). */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** The signature with another number S, in 32 bytes, the lowest first. */
function withS(signature: Buffer, change: (s: bigint) => bigint): Buffer {
  const s = change(BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`));
  const bytes = Buffer.from((s & (2n ** 256n - 1n)).toString(16).padStart(64, '0'), 'hex').reverse();
  return Buffer.concat([signature.subarray(0, 32), bytes]);
}

/* Wycheproof has no vectors of EdDSA in JWS: these are its kinds of wrong signatures, made of the one of the RFC. */
t.test('EdDSA: the signature of RFC 8037, and no other form of it', async (t) => {
  const { key, input } = RFC_8037;
  const good = Buffer.from(RFC_8037.signature, 'base64url');
  const flipped = (at: number): Buffer => {
    const changed = Buffer.from(good);
    changed[at] = (changed[at] ?? 0) ^ 1;
    return changed;
  };
  const cases: readonly (readonly [name: string, signature: Buffer | string, expected: boolean])[] = [
    ['as published', good, true],
    ['S and the order of the group', withS(good, (s) => s + ORDER), false],
    ['S and twice the order', withS(good, (s) => s + 2n * ORDER), false],
    ['the negative S', withS(good, (s) => ORDER - s), false],
    ['S of 0', withS(good, () => 0n), false],
    ['the highest bit of S', withS(good, (s) => s + 2n ** 255n), false],
    ['another R', flipped(0), false],
    ['another sign of R', flipped(31), false],
    ['another S', flipped(32), false],
    ['a byte too few', good.subarray(0, 63), false],
    ['a byte too many', Buffer.concat([good, Buffer.of(0)]), false],
    ['R alone', good.subarray(0, 32), false],
    ['nothing', '', false],
    ['zeroes', Buffer.alloc(64), false],
    ['the neutral element and 0', Buffer.concat([Buffer.of(1), Buffer.alloc(63)]), false],
  ];
  for (const [name, signature, expected] of cases) {
    const text = typeof signature === 'string' ? signature : signature.toString('base64url');
    t.equal(await accepts(key, `${input}.${text}`), expected, name);
  }
  const others = [
    { ...key, crv: 'X25519' },
    { ...key, crv: 'Ed448' },
    { ...key, alg: 'ES256' },
    { ...key, kty: 'EC' },
  ];
  for (const other of others) {
    t.equal(await accepts(other, `${input}.${RFC_8037.signature}`), false, JSON.stringify(other));
  }
});

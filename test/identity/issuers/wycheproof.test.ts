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

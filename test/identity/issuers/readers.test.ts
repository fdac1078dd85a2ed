import * as fc from 'fast-check';
import t from 'tap';
import { MAX_KEYS_IN_SET, readKeySet } from '../../../src/config/policy/issuers/key-set.ts';
import { readClaimTree } from '../../../src/identity/issuers/claim-tree.ts';
import { readIssuedToken } from '../../../src/identity/issuers/issued-token.ts';
import type { ClaimValue } from '../../../src/policy/mapping/claims.ts';
import { runs } from '../../support/generators/runs.ts';
import { providerKey } from '../../support/issuers/keys.ts';

/* Readers of tokens and key sets: any bytes are read or refused, and what is read is what JSON says. */

const part = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text).toString('base64url')),
  fc.json().map((text) => Buffer.from(text).toString('base64url')),
  fc
    .record({ alg: fc.constantFrom('RS256', 'none', 1, null), kid: fc.anything(), typ: fc.anything() })
    .map((header) => {
      const text = JSON.stringify(header, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
      return Buffer.from(text).toString('base64url');
    }),
  fc.string(),
);

t.test('any text is a token or none', async (t) => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
      const read = readIssuedToken(parts.join('.'));
      return read === undefined || read.alg === 'RS256';
    }),
    { numRuns: runs(2000) },
  );
  t.pass();
});

const plain = (value: ClaimValue): unknown => {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, one]) => [name, plain(one)]));
  return value;
};

t.test('claims are what JSON says', async (t) => {
  const claims = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 }), { noNullPrototype: true });
  fc.assert(
    fc.property(claims, (given) => {
      const text = JSON.stringify(given);
      const read = readClaimTree(Buffer.from(text));
      return read !== undefined && JSON.stringify(plain(read)) === JSON.stringify(JSON.parse(text));
    }),
    { numRuns: runs(1000) },
  );
  t.pass();
});

t.test('integers of 64 bits are exact, others are numbers', async (t) => {
  const of = (text: string) => readClaimTree(Buffer.from(`{"n":${text}}`))?.get('n');
  t.equal(of('9223372036854775807'), 9223372036854775807n);
  t.equal(of('-9223372036854775808'), -9223372036854775808n);
  t.equal(of('9223372036854775808'), 2 ** 63);
  t.equal(of('1.0'), 1);
  t.equal(of('1e3'), 1000);
  t.equal(of('-0'), -0);
  t.equal(of('01'), undefined);
});

t.test('any text is a key set or none', async (t) => {
  const { jwk } = providerKey('ES256', 'k');
  const key = fc.oneof(
    fc.constant(jwk),
    fc.anything(),
    fc.record({ kty: fc.constantFrom('RSA', 'EC'), n: fc.anything() }),
  );
  fc.assert(
    fc.property(fc.array(key, { maxLength: 5 }), fc.string(), (keys, other) => {
      const text = JSON.stringify({ keys }, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
      const read = readKeySet(text);
      const isSane = typeof read === 'string' || read.keys.every(({ members }) => typeof members.x === 'string');
      return isSane && typeof readKeySet(other) === 'string';
    }),
    { numRuns: runs(500) },
  );
  t.type(readKeySet(JSON.stringify({ keys: [jwk] })), 'object');
});

const { jwk } = providerKey('RS256', 'k');
const KEYS: readonly (readonly [name: string, more: object, usable: boolean])[] = [
  ['a key for signatures', {}, true],
  ['a key without use', { use: undefined }, true],
  ['a key for encryption', { use: 'enc' }, false],
  ['a key that verifies', { key_ops: ['verify'] }, true],
  ['a key that encrypts', { key_ops: ['encrypt'] }, false],
  ['a secret key', { d: 'AQAB' }, false],
  ['a symmetric key', { kty: 'oct', k: 'c2VjcmV0' }, false],
  ['a `kid` that is a number', { kid: 1 }, false],
  ['no modulus', { n: undefined }, false],
  ['a modulus that is not base64url', { n: 'a+b=' }, false],
  ['another curve', { kty: 'EC', crv: 'secp256k1', x: 'AQ', y: 'AQ' }, false],
];
for (const [name, more, usable] of KEYS) {
  t.test(`of a key set: ${name} is ${usable ? 'used' : 'not used'}`, async (t) => {
    const set = readKeySet(
      JSON.stringify({
        keys: [
          { ...jwk, ...more },
          { ...jwk, kid: 'other' },
        ],
      }),
    );
    t.equal(typeof set === 'object' && set.keys.length, usable ? 2 : 1);
  });
}

const evenModulus = Buffer.from(String(jwk.n), 'base64url');
evenModulus[evenModulus.length - 1] = 2;
const FORGEABLE: readonly (readonly [name: string, key: object, forgeable: number])[] = [
  ['exponent 65537', jwk, 0],
  ['exponent 3', { ...jwk, e: 'Aw' }, 0],
  ['exponent 0', { ...jwk, e: 'AA' }, 1],
  ['exponent 1', { ...jwk, e: 'AQ' }, 1],
  ['exponent 1 after zeros', { ...jwk, e: 'AAAB' }, 1],
  ['exponent 2', { ...jwk, e: 'Ag' }, 1],
  ['exponent 65536', { ...jwk, e: 'AQAA' }, 1],
  ['an even modulus', { ...jwk, n: evenModulus.toString('base64url') }, 1],
];
t.test('keys under which signatures can be forged are not used', async (t) => {
  for (const [name, key, forgeable] of FORGEABLE) {
    const set = readKeySet(
      JSON.stringify({
        keys: [
          { ...key, use: 'sig' },
          { ...jwk, kid: 'other' },
        ],
      }),
    );
    t.match(set, { forgeable, ignored: forgeable }, name);
    t.equal(typeof set === 'object' && set.keys.length, 2 - forgeable, name);
  }
});

t.test('a set has at most 1024 keys', async (t) => {
  const set = (count: number) => readKeySet(JSON.stringify({ keys: Array.from({ length: count }, () => jwk) }));
  t.type(set(MAX_KEYS_IN_SET), 'object');
  t.match(set(MAX_KEYS_IN_SET + 1), /more than 1024/);
});

t.test('a set without a usable key is one: its provider trusts no key', async (t) => {
  t.match(readKeySet('{"keys":[]}'), { keys: [], ignored: 0 });
  t.match(readKeySet(JSON.stringify({ keys: [{ ...jwk, use: 'enc' }] })), { keys: [], ignored: 1 });
  t.equal(readKeySet('{}'), 'it has no list `keys`', 'another answer is none');
});

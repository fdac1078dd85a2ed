import t from 'tap';
import { isRevoked, NO_REVOCATIONS, type RevocableToken, type Revocations } from '../../src/identity/revocations.ts';

const TOKEN: RevocableToken = { jti: 'id-1', sub: 'alice', subject: 'Alice', issuedAt: 1000, keyId: 'api_key' };
const BARE: RevocableToken = { jti: undefined, sub: undefined, subject: undefined, issuedAt: undefined, keyId: 'k' };

const CASES: readonly (readonly [name: string, Partial<Revocations>, Partial<RevocableToken>, revoked: boolean])[] = [
  ['nothing is revoked', {}, {}, false],
  ['its id', { tokens: new Set(['id-1']) }, {}, true],
  ['the id of another token', { tokens: new Set(['id-2']) }, {}, false],
  ['an id of other letter case', { tokens: new Set(['ID-1']) }, {}, false],
  ['its id where subjects stand', { subjects: new Set(['id-1']) }, {}, false],
  ['an id, and it has none', { tokens: new Set(['undefined', '']) }, { jti: undefined }, false],
  ['its `sub`', { subjects: new Set(['alice']) }, {}, true],
  ['its `subject`', { subjects: new Set(['Alice']) }, {}, true],
  ['its only subject, in `sub`', { subjects: new Set(['alice']) }, { subject: undefined }, true],
  ['its only subject, in `subject`', { subjects: new Set(['Alice']) }, { sub: undefined }, true],
  ['another subject', { subjects: new Set(['bob']) }, {}, false],
  ['the key it was signed with', { keys: new Set(['api_key']) }, {}, true],
  ['another key', { keys: new Set(['alt_api_key']) }, {}, false],
  ['everything before a later second', { issuedBefore: 1001 }, {}, true],
  ['everything before the second it was issued in', { issuedBefore: 1000 }, {}, false],
  ['everything before a fraction later', { issuedBefore: 1000 }, { issuedAt: 999.999 }, true],
  ['everything before a time, and it does not say when', { issuedBefore: 1 }, { issuedAt: undefined }, true],
  ['everything before a time, and it says no number', { issuedBefore: 1 }, { issuedAt: Number.NaN }, true],
  ['everything before a time, and it says milliseconds', { issuedBefore: 1 }, { issuedAt: 1_700_000_000_000 }, true],
  ['everything before a time, and it says infinity', { issuedBefore: 1 }, { issuedAt: Infinity }, true],
  ['everything before a time, and it was issued before 1970', { issuedBefore: 0 }, { issuedAt: -1 }, true],
  ['those of its `sub` before a later second', { issuedBeforeBySubject: new Map([['alice', 1001]]) }, {}, true],
  ['those of its `subject` before a later second', { issuedBeforeBySubject: new Map([['Alice', 1001]]) }, {}, true],
  ['those of its subject before its second', { issuedBeforeBySubject: new Map([['alice', 1000]]) }, {}, false],
  ['those of another subject', { issuedBeforeBySubject: new Map([['bob', 9999]]) }, {}, false],
  [
    'those of its subject before a time, and it does not say when',
    { issuedBeforeBySubject: new Map([['alice', 1]]) },
    { issuedAt: undefined },
    true,
  ],
  [
    'an earlier time for all, a later one for its subject',
    { issuedBefore: 500, issuedBeforeBySubject: new Map([['alice', 1001]]) },
    {},
    true,
  ],
];

t.test('what is revoked of a token', async (t) => {
  for (const [name, revocations, token, revoked] of CASES) {
    t.equal(isRevoked({ ...NO_REVOCATIONS, ...revocations }, { ...TOKEN, ...token }), revoked, name);
  }
});

t.test('a token that says nothing of itself', async (t) => {
  const all = { subjects: new Set(['alice']), tokens: new Set(['id-1']) };
  t.equal(isRevoked({ ...NO_REVOCATIONS, ...all }, BARE), false, 'has no subject and no id');
  t.equal(isRevoked({ ...NO_REVOCATIONS, keys: new Set(['k']) }, BARE), true, 'but has a key');
  t.equal(isRevoked({ ...NO_REVOCATIONS, issuedBefore: 1 }, BARE), true, 'and was issued before any time');
});

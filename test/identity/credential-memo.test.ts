import t from 'tap';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { readCredential } from '../../src/identity/credential.ts';
import { CredentialMemo } from '../../src/identity/credential-memo.ts';
import { createKeyRing, digestOf } from '../../src/identity/key-ring.ts';
import { INVALID_CREDENTIAL } from '../../src/policy/denial.ts';

t.test('whatever follows on whatever, it reads and digests as if it remembered nothing', (t) => {
  const headers = [
    ['api-key', 'one'],
    ['authorization', 'Bearer one'],
    ['authorization', 'Basic one'],
    ['api-key', 'two', 'authorization', 'Bearer one'],
    ['api-key', ''],
    ['api-key', 'a\u0001b'],
    ['x-other', 'one'],
    [],
  ];
  const memo = new CredentialMemo();
  for (const first of headers) {
    for (const second of headers) {
      for (const raw of [first, second, second, [...second]]) {
        const read = memo.read(raw);
        t.same(read, readCredential(raw), JSON.stringify([first, second]));
        if (read?.kind === 'given') t.equal(memo.digestOf(read.text), digestOf(read.text));
      }
    }
  }
  t.end();
});

t.test('the outcome is that of the ring in place, for the same array of headers', (t) => {
  const ring = (apiKey: string, generation: number) => createKeyRing({ apiKey }, generation);
  const { authenticate, replaceRing } = createAuthenticator({ ring: ring('one', 1), cacheEntries: 10, now: Date.now });
  const memo = new CredentialMemo();
  const headers = ['api-key', 'one'];
  const outcome = () => {
    const identity = authenticate(headers, memo);
    return 'kind' in identity ? identity.kind : identity;
  };
  t.equal(outcome(), 'principal');
  replaceRing(ring('two', 2));
  t.same(authenticate(headers, memo), INVALID_CREDENTIAL);
  replaceRing(ring('one', 3));
  t.equal(outcome(), 'principal');
  t.end();
});

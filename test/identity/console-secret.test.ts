import t from 'tap';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { CONSOLE_ID, createKeyRing } from '../../src/identity/key-ring.ts';
import { mintFor } from '../../src/identity/minted/mint.ts';
import { mintToken } from '../../src/identity/token.ts';

/* The secret of the console's own requests: it signs for sessions alone, and changes no answer to anything else. */

const NOW = 1_800_000_000_000;
const SECRET = 'the secret of the console, made at the start';
const KEYS = { apiKey: 'admin-key-of-this-test', readOnlyApiKey: 'read-only-key-of-this-test' };

const authenticatorOf = (ring: Parameters<typeof createKeyRing>[0]) =>
  createAuthenticator({ ring: createKeyRing({ ...KEYS, ...ring }, 1), cacheEntries: 10, now: () => NOW });

t.test(
  'the answer to a credential that the console did not make is the same with and without its secret',
  async (t) => {
    const claims = { access: 'm', exp: NOW / 1000 + 60 };
    const credentials = {
      'the admin key': KEYS.apiKey,
      'a token of the admin key': await mintToken(claims, KEYS.apiKey),
      'a token of another key': await mintToken(claims, 'another key'),
      'a token that names the console as its key': await mintToken(claims, 'another key', CONSOLE_ID),
      'no token': 'a.b.c',
      'the secret of the console as a key': SECRET,
    };
    for (const jwtRbac of [true, null]) {
      for (const [name, credential] of Object.entries(credentials)) {
        const [without, withIt] = await Promise.all(
          [{ jwtRbac }, { jwtRbac, consoleSecret: SECRET }].map((ring) =>
            authenticatorOf(ring).authenticate(['api-key', credential]),
          ),
        );
        t.strictSame(withIt, without, `${name}, tokens ${jwtRbac ? 'on' : 'off'}`);
      }
    }
  },
);

t.test('a token of the console is judged as its source, and ends with it', async (t) => {
  const before = authenticatorOf({ consoleSecret: SECRET });
  const tokenFor = async (key: string, scope: 'r' | 'm'): Promise<string> => {
    const source = await before.sourceOf(key, '127.0.0.1', undefined, 'console');
    if (typeof source === 'string' || source.kind === 'denial') throw new TypeError('there is a source');
    return (await mintFor(source, { id: 'one', now: NOW, lifetime: 60, scope }))?.text ?? '';
  };
  const admin = await tokenFor(KEYS.apiKey, 'm');
  for (const [name, token, ring, expected] of [
    ['of the admin key', admin, {}, { kind: 'principal', keyId: 'api_key', access: { kind: 'global', mode: 'm' } }],
    ['of a reader', await tokenFor(KEYS.apiKey, 'r'), {}, { kind: 'principal', access: { kind: 'global', mode: 'r' } }],
    [
      'of the read-only key',
      await tokenFor(KEYS.readOnlyApiKey, 'm'),
      {},
      { kind: 'principal', access: { mode: 'r' } },
    ],
    ['after a rotation of the key', admin, { apiKey: 'rotated' }, { kind: 'denial', code: 'token_source_gone' }],
    ['of another start', admin, { consoleSecret: 'another secret' }, { kind: 'denial' }],
    ['without a console', admin, { consoleSecret: undefined }, { kind: 'denial' }],
  ] as const) {
    const identity = await authenticatorOf({ consoleSecret: SECRET, ...ring }).authenticate(['api-key', token]);
    t.match(identity, expected, name);
  }
});

t.test('the console signs no token in exchange, and a forged one names no source', async (t) => {
  const authenticator = authenticatorOf({ jwtRbac: true, consoleSecret: SECRET, exchangedKeys: ['api_key'] });
  t.equal(await authenticator.sourceOf(KEYS.apiKey, '127.0.0.1'), 'off');
  for (const claims of [{ access: 'm' }, { access: 'm', exp: NOW / 1000 + 60, iat: NOW / 1000, jti: 'one' }]) {
    t.match(await authenticator.authenticate(['api-key', await mintToken(claims, SECRET)]), { kind: 'denial' });
  }
});

import fc from 'fast-check';
import t from 'tap';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { createKeyRing, OPEN_PRINCIPAL, type RingKeys } from '../../src/identity/key-ring.ts';
import type { Identity } from '../../src/identity/principal.ts';
import { NO_REVOCATIONS, type Revocations } from '../../src/identity/revocations.ts';
import { mintToken } from '../../src/identity/token.ts';
import { createValueExists, type Scroll } from '../../src/identity/value-exists.ts';
import {
  EXPIRED_SIGNATURE,
  INTERNAL_FAULT,
  INVALID_CREDENTIAL,
  INVALID_SIGNATURE,
  MISSING_CREDENTIAL,
  REVOCATION_UNKNOWN,
  REVOKED,
  VALUE_EXISTS_NO_POINT,
} from '../../src/policy/denial.ts';
import { runs } from '../support/generators/runs.ts';
import { forge } from './forge.ts';

const NOW = 1_700_000_000;
const KEYS: RingKeys = { apiKey: 'main', altApiKey: 'alt', readOnlyApiKey: 'read', jwtRbac: true };
const bearer = (credential: string) => ['authorization', `Bearer ${credential}`];

function start(keys: RingKeys, scroll?: Scroll, cacheEntries = 100) {
  let milliseconds = NOW * 1000;
  const valueExists = scroll && createValueExists({ scroll, timeoutMs: 60_000 });
  let revoked: Revocations = NO_REVOCATIONS;
  const authenticator = createAuthenticator({
    ring: createKeyRing(keys, 1),
    cacheEntries,
    now: () => milliseconds,
    revocations: () => revoked,
    ...(valueExists && { valueExists }),
  });
  return {
    revoke: (what: Partial<Revocations>) => {
      revoked = { ...NO_REVOCATIONS, ...what };
    },
    ask: (credential: string) => authenticator.authenticate(bearer(credential)),
    askWith: authenticator.authenticate,
    setTime: (seconds: number) => {
      milliseconds = seconds * 1000;
    },
    rotate: (next: RingKeys) => authenticator.replaceRing(createKeyRing(next, 2)),
  };
}

const accessOf = (identity: Identity | Promise<Identity>) => {
  if (identity instanceof Promise) return 'waits';
  return identity.kind === 'denial' ? identity.message : identity.access;
};
const READ = { kind: 'global', mode: 'r' };

t.test('rings that accept no token, or every caller', async (t) => {
  const token = await mintToken({}, 'main');
  t.equal(start({}).askWith([]), OPEN_PRINCIPAL, 'without a key every caller is accepted');
  t.equal(start({ jwtRbac: true }).ask('x'), OPEN_PRINCIPAL, 'without a key a wrong credential does no harm');
  t.equal(start({ ...KEYS, jwtRbac: false }).ask(token), INVALID_CREDENTIAL, 'with JWT off a token is an invalid key');
  t.match(start({ ...KEYS, jwtRbac: false }).ask('main'), { keyId: 'api_key' }, 'with JWT off a key is a key');
  const readOnly = { readOnlyApiKey: 'read', jwtRbac: true };
  t.equal(start(readOnly).askWith([]), MISSING_CREDENTIAL, 'a read-only key alone asks for a credential');
  t.equal(start(readOnly).ask(await mintToken({}, 'read')), INVALID_CREDENTIAL, 'a read-only key verifies no token');
  t.equal(start(readOnly).ask(await mintToken({}, 'undefined')), INVALID_CREDENTIAL, 'nor does an unset key');
});

t.test('principals', async (t) => {
  const { ask } = start(KEYS);
  t.same(await ask(await mintToken({ access: 'r', subject: 'me', sub: 'you' }, 'alt')), {
    kind: 'principal',
    access: READ,
    authType: 'Jwt',
    keyId: 'alt_api_key',
    subject: 'me',
  });
  const principal = await ask(await mintToken({ access: [] }, 'main'));
  t.match(principal, { keyId: 'api_key', access: { kind: 'list' } });
  t.ok(Object.isFrozen(principal), 'a principal cannot be changed');
});

t.test('a token waits once, then it is known', async (t) => {
  const { ask } = start(KEYS);
  const token = await mintToken({ access: 'r' }, 'main');
  const first = ask(token);
  t.type(first, Promise, 'the first time it is verified');
  const identity = await first;
  t.equal(ask(token), identity, 'then the same principal comes back at once');
  t.same(await Promise.all([ask(`${token.slice(0, -2)}AA`)]), [INVALID_SIGNATURE], 'another signature is not known');
  t.equal(ask(`${token}=`), INVALID_CREDENTIAL, 'nor is the token with something behind it');
  t.equal(ask('no token'), INVALID_CREDENTIAL, 'what is no token is refused at once');
});

t.test('without room for tokens each request verifies', async (t) => {
  const { ask } = start(KEYS, undefined, 0);
  const token = await mintToken({ access: 'r' }, 'main');
  for (const time of [1, 2]) t.match(await ask(token), { access: READ }, `time ${time}`);
  t.type(ask(token), Promise);
});

t.test('when room is short the oldest token is verified again', async (t) => {
  const { ask } = start(KEYS, undefined, 1);
  const [first, second] = [await mintToken({ access: 'r' }, 'main'), await mintToken({ access: 'm' }, 'main')];
  await ask(first);
  await ask(second);
  t.match(accessOf(ask(second)), { mode: 'm' });
  t.equal(accessOf(ask(first)), 'waits');
});

t.test('requests with the same new token share one verification', async (t) => {
  const { ask } = start(KEYS);
  const token = await mintToken({ access: 'r' }, 'main');
  const identities = await Promise.all([ask(token), ask(token), ask(token)]);
  t.equal(new Set(identities).size, 1, 'all get the same principal object');
});

t.test('expiry is exact to the second, known token or not', async (t) => {
  for (const cacheEntries of [100, 0]) {
    const { ask, setTime } = start(KEYS, undefined, cacheEntries);
    const token = await mintToken({ access: 'r', exp: NOW }, 'main');
    const how = cacheEntries > 0 ? 'remembered' : 'verified';
    setTime(NOW - 1000);
    t.match(await ask(token), { access: READ }, `${how}: before`);
    setTime(NOW);
    t.match(await ask(token), { access: READ }, `${how}: at exp`);
    setTime(NOW + 30.999);
    t.match(await ask(token), { access: READ }, `${how}: 30 s after`);
    setTime(NOW + 31);
    t.equal(await ask(token), EXPIRED_SIGNATURE, `${how}: 31 s after`);
    t.equal(await ask(token), EXPIRED_SIGNATURE, `${how}: and again`);
    const alternative = await mintToken({ access: 'r', exp: NOW + 10 }, 'alt');
    t.match(await ask(alternative), { access: READ }, `${how}: a token of the second secret`);
    setTime(NOW + 41);
    t.equal(await ask(alternative), INVALID_SIGNATURE, `${how}: the first secret's answer once it has expired`);
  }
});

t.test('a ring is replaced while tokens are known', async (t) => {
  const { ask, rotate } = start(KEYS);
  const ofMain = await mintToken({ access: 'r' }, 'main');
  const ofAlt = await mintToken({ access: 'r' }, 'alt');
  for (const token of [ofMain, ofAlt]) t.match(await ask(token), { access: READ }, 'both secrets are good');
  rotate({ apiKey: 'alt', altApiKey: 'next', jwtRbac: true });
  t.equal(await ask(ofMain), INVALID_SIGNATURE, 'a token of the removed secret is refused');
  t.match(await ask(ofAlt), { access: READ, keyId: 'api_key' }, 'a token of the promoted secret is still good');
  t.match(await ask(await mintToken({}, 'next')), { keyId: 'alt_api_key' }, 'so is one of the added secret');
  t.equal(ask('main'), INVALID_CREDENTIAL, 'the removed key is refused');
  t.equal(ask('read'), INVALID_CREDENTIAL, 'so is the removed read-only key');
  t.match(ask('next'), { keyId: 'alt_api_key' }, 'the added key is good');
  rotate({ apiKey: 'alt', jwtRbac: false });
  t.equal(ask(ofAlt), INVALID_CREDENTIAL, 'JWT switched off refuses a known token');
  rotate(KEYS);
  t.match(await ask(ofMain), { access: READ }, 'the secret put back is good again');
});

t.test('a ring is replaced while a token is being verified or looked up', async (t) => {
  const next: RingKeys = { apiKey: 'next', jwtRbac: true };
  const { ask, rotate } = start(KEYS);
  const [removed, added] = [await mintToken({}, 'main'), await mintToken({}, 'next')];
  const [early, late] = [ask(removed), ask(added)];
  rotate(next);
  t.equal(await early, INVALID_SIGNATURE, 'the removed secret does not let it in any more');
  t.match(await late, { keyId: 'api_key' }, 'the added secret lets it in already');

  const open: (() => void)[] = [];
  const slow = start(KEYS, () => new Promise((resolve) => open.push(() => resolve('match'))));
  const token = await mintToken({ value_exists: { collection: 'a', matches: [] } }, 'main');
  const first = slow.ask(token);
  for (let turn = 0; open.length === 0 && turn < 1000; turn += 1) await new Promise(setImmediate);
  slow.rotate(next);
  for (const go of open) go();
  t.equal(await first, INVALID_SIGNATURE, 'nor after a look-up that found the value');
});

t.test('value_exists is asked on every request', async (t) => {
  let asked = 0;
  let answer: 'match' | 'no-match' = 'match';
  const { ask } = start(KEYS, async () => {
    asked += 1;
    return answer;
  });
  const token = await mintToken({ access: 'r', value_exists: { collection: 'a', matches: [] } }, 'main');
  t.match(await ask(token), { access: READ }, 'it holds');
  t.match(await ask(token), { access: READ }, 'it still holds');
  t.equal(asked, 2, 'nothing was remembered');
  answer = 'no-match';
  t.equal(await ask(token), VALUE_EXISTS_NO_POINT, 'it does not hold any more');
  answer = 'match';
  asked = 0;
  await Promise.all(Array.from({ length: 100 }, () => ask(token)));
  t.equal(asked, 2, 'the first asks at once, all that come meanwhile share the next look-up');
  const wrong = await mintToken({ access: 'r', value_exists: { collection: 'a', matches: [] } }, 'other');
  asked = 0;
  t.equal(await ask(wrong), INVALID_SIGNATURE, 'a token that is not signed right is refused');
  t.equal(asked, 0, 'and nothing is looked up for it');
});

t.test('value_exists fails closed', async (t) => {
  const token = await mintToken({ value_exists: { collection: 'a', matches: [] } }, 'main');
  const without = start(KEYS);
  for (const time of [1, 2]) t.equal(await without.ask(token), INTERNAL_FAULT, `no upstream to ask, time ${time}`);
  const failing = start(KEYS, () => Promise.reject(new Error('gone')));
  for (const time of [1, 2]) t.equal(await failing.ask(token), INTERNAL_FAULT, `asking fails, time ${time}`);
});

t.test('a token is refused from its revocation on, and good again when that is taken back', async (t) => {
  const claims = { access: 'r', jti: 'id-1', sub: 'alice', subject: 'Alice', iat: NOW - 100 };
  const cases: readonly (readonly [name: string, what: Partial<Revocations>, denial: unknown])[] = [
    ['its id', { tokens: new Set(['id-1']) }, REVOKED],
    ['its sub', { subjects: new Set(['alice']) }, REVOKED],
    ['its subject', { subjects: new Set(['Alice']) }, REVOKED],
    ['its key', { keys: new Set(['api_key']) }, REVOKED],
    ['before a time', { issuedBefore: NOW }, REVOKED],
    ['before a time, for its subject', { issuedBeforeBySubject: new Map([['alice', NOW]]) }, REVOKED],
    ['unknown revocations', { unknown: true }, REVOCATION_UNKNOWN],
    ['unknown revocations, and it is revoked', { unknown: true, tokens: new Set(['id-1']) }, REVOCATION_UNKNOWN],
  ];
  for (const cacheEntries of [100, 0]) {
    const { ask, revoke } = start(KEYS, undefined, cacheEntries);
    const how = cacheEntries > 0 ? 'remembered' : 'verified';
    const token = await mintToken(claims, 'main');
    const other = await mintToken({ access: 'r', jti: 'id-2', sub: 'bob', iat: NOW }, 'alt');
    for (const [name, what, denial] of cases) {
      revoke({});
      t.match(await ask(token), { access: READ }, `${how}, ${name}: good before`);
      t.match(await ask(other), { access: READ }, `${how}, ${name}: the other one, too`);
      revoke(what);
      const answer = ask(token);
      t.equal(answer instanceof Promise, cacheEntries === 0, `${how}, ${name}: at once when it is remembered`);
      t.equal(await answer, denial, `${how}, ${name}: refused`);
      if (what.unknown) t.equal(await ask(other), denial, `${how}, ${name}: as every token`);
      else t.match(await ask(other), { access: READ }, `${how}, ${name}: the other one is not concerned`);
      t.match(ask('main'), { access: { mode: 'm' } }, `${how}, ${name}: nor is a key`);
    }
    revoke({});
    t.match(await ask(token), { access: READ }, `${how}: good again`);
  }
});

t.test('what a revoked token says otherwise makes no difference', async (t) => {
  const { ask, revoke, setTime } = start(KEYS);
  revoke({ tokens: new Set(['id-1']) });
  const token = await mintToken({ access: 'r', jti: 'id-1', exp: NOW }, 'main');
  t.equal(await ask(token), REVOKED);
  setTime(NOW + 31);
  t.equal(await ask(token), EXPIRED_SIGNATURE, 'one that is over is over');
  const forged = await mintToken({ access: 'r', jti: 'id-1' }, 'other');
  t.equal(await ask(forged), INVALID_SIGNATURE, 'one that is not ours is not ours');
  const numbered = await mintToken({ access: 'r', jti: 1 }, 'main');
  t.match(await ask(numbered), { access: READ }, 'an id that is no text is no id');
});

t.test('a revoked token with value_exists is not looked up, and one revoked meanwhile is refused', async (t) => {
  let asked = 0;
  let meanwhile = (): void => undefined;
  const { ask, revoke } = start(KEYS, async () => {
    asked += 1;
    meanwhile();
    return 'match';
  });
  const exists = { access: 'r', jti: 'id-1', value_exists: { collection: 'a', matches: [] } };
  const token = await mintToken(exists, 'main');
  const other = await mintToken({ ...exists, jti: 'id-2' }, 'main');
  t.match(await ask(token), { access: READ }, 'good before');
  revoke({ tokens: new Set(['id-1']) });
  asked = 0;
  t.equal(await ask(token), REVOKED);
  t.equal(asked, 0, 'upstream was not asked');
  t.match(await ask(other), { access: READ }, 'the other one is good');
  revoke({});
  meanwhile = () => revoke({ tokens: new Set(['id-1']) });
  t.equal(await ask(token), REVOKED, 'revoked while the look-up ran');
  meanwhile = () => undefined;
  t.match(await ask(other), { access: READ }, 'the other one is still good');
});

t.test('a token revoked while it is verified is refused', async (t) => {
  const { ask, revoke } = start(KEYS);
  const [token, other] = [await mintToken({ jti: 'id-1' }, 'main'), await mintToken({ jti: 'id-2' }, 'main')];
  const [first, second] = [ask(token), ask(other)];
  revoke({ tokens: new Set(['id-1']) });
  t.equal(await first, REVOKED);
  t.match(await second, { keyId: 'api_key' }, 'the other one is good');
  revoke({});
  t.match(await ask(token), { keyId: 'api_key' }, 'and nothing of it was remembered');
});

t.test('no random credential gets in, or throws', async (t) => {
  const { ask } = start(KEYS);
  const good = await mintToken({ access: 'm', exp: NOW + 100 }, 'main');
  const segment = fc.oneof(
    fc.base64String().map((text) => text.replace(/=+$/, '')),
    fc.constantFrom('', 'eyJhbGciOiJIUzI1NiJ9', ...good.split('.')),
    fc.string(),
  );
  const random = fc.oneof(
    fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.')),
    fc.string(),
  );
  const mutated = fc
    .tuple(fc.nat(good.length - 1), fc.constantFrom(...'AZaz09-_.=+/ '))
    .map(([at, character]) => good.slice(0, at) + character + good.slice(at + 1));
  const foreign = fc
    .tuple(fc.string(), fc.json())
    .map(([secret, claims]) => forge({ claims, secret: `x${secret}` }, NOW, ''));
  await fc.assert(
    fc.asyncProperty(fc.oneof(random, mutated, foreign), async (credential) => {
      fc.pre(credential !== good && !['main', 'alt', 'read'].includes(credential));
      return (await ask(credential)).kind === 'denial';
    }),
    { numRuns: runs(1500) },
  );
  t.match(await ask(good), { access: { mode: 'm' } }, 'the good one does');
});

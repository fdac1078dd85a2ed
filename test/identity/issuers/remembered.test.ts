import t from 'tap';
import { createAuthenticator } from '../../../src/identity/authenticate.ts';
import { createKeyRing } from '../../../src/identity/key-ring.ts';
import type { IssuerSettings } from '../../../src/policy/mapping/issuer.ts';
import { goodClaims, issuerWith, providerKey, published, signToken } from '../../support/issuers/keys.ts';

/* A verified token is remembered until it expires, its issuer changes, or its key set drops the key or is too old. */

const NOW = 1_800_000_000;
const one = providerKey('ES256', 'one');
const two = providerKey('ES256', 'two');
const STALE_MS = 3_600_000;
const url = 'https://login.example.com/keys';
const remote: IssuerSettings = issuerWith([one], {
  source: {
    ...{ from: 'url', url, ca: undefined, bearerTokenFile: undefined },
    ...{ refreshMs: 1000, coolDownMs: 1000, maxStaleMs: STALE_MS },
  },
});
const token = signToken(one, goodClaims(NOW, { exp: NOW + 86_400 }));

function start(issuers: readonly IssuerSettings[]) {
  const clock = { now: NOW * 1000 };
  const ringOf = (next: readonly IssuerSettings[]) => createKeyRing({ issuers: next }, 1);
  const authenticator = createAuthenticator({ ring: ringOf(issuers), cacheEntries: 8, now: () => clock.now });
  const keys = (...kept: readonly (typeof one)[]): void =>
    authenticator.setKeySets([{ id: 'corp', url, keys: published(...kept), fetchedAt: clock.now }]);
  /** `at once` = remembered. */
  const ask = async (text = token) => {
    const found = authenticator.authenticate(['api-key', text]);
    const { kind, ...rest } = await found;
    const how = found instanceof Promise ? 'verified' : 'at once';
    return 'code' in rest ? rest.code : `${kind}, ${how}`;
  };
  return { clock, authenticator, keys, ask, reload: (next: typeof issuers) => authenticator.replaceRing(ringOf(next)) };
}

t.test('a token of one among a hundred issuers is looked up without being read', async (t) => {
  const many = Array.from({ length: 100 }, (_, at) => ({
    ...issuerWith([one]),
    ...{ id: `corp${at}`, issuer: `https://i${at}.example.com` },
  }));
  const { ask, authenticator } = start(many);
  const last = signToken(one, goodClaims(NOW, { iss: 'https://i99.example.com' }));
  t.equal(await ask(last), 'principal, verified');
  for (let again = 0; again < 10; again += 1) t.equal(await ask(last), 'principal, at once');
  t.match(authenticator.remembered(), { size: 1, hits: 10, misses: 1 });
});

t.test('it stays remembered over a fetch that keeps its key, and not over one that drops it', async (t) => {
  const { ask, keys } = start([remote]);
  t.equal(await ask(), 'issuer_keys_unknown', 'before the first fetch');
  keys(one);
  t.equal(await ask(), 'principal, verified');
  keys(one, two);
  t.equal(await ask(), 'principal, at once');
  keys(two);
  t.equal(await ask(), 'issuer_key_unknown');
  keys(one);
  t.equal(await ask(), 'principal, verified');
});

t.test('it ends with its expiry and the skew, to the second', async (t) => {
  const { ask, clock } = start([issuerWith([one])]);
  const short = signToken(one, goodClaims(NOW, { exp: NOW + 60 }));
  t.equal(await ask(short), 'principal, verified');
  clock.now = (NOW + 89) * 1000;
  t.equal(await ask(short), 'principal, at once');
  clock.now = (NOW + 90) * 1000;
  t.equal(await ask(short), 'token_expired');
});

t.test('it ends when its key set is too old', async (t) => {
  const { ask, keys, clock } = start([remote]);
  keys(one);
  t.equal(await ask(), 'principal, verified');
  clock.now += STALE_MS - 1;
  t.equal(await ask(), 'principal, at once');
  clock.now += 1;
  t.equal(await ask(), 'issuer_keys_unknown');
  keys(one);
  t.equal(await ask(), 'principal, verified', 'fetched again');
});

t.test('it is judged anew when its issuer changes', async (t) => {
  const { ask, keys, reload } = start([remote]);
  keys(one);
  t.equal(await ask(), 'principal, verified');
  reload([{ ...remote, audiences: ['other'] }]);
  t.equal(await ask(), 'wrong_audience');
  reload([{ ...remote, mappings: [{ id: 'x', claim: 'groups', access: 'r' }] }]);
  t.equal(await ask(), 'no_mapping');
  reload([remote]);
  t.equal(await ask(), 'principal, verified');
});

t.test('a name that goes to another key: the keys are asked for, once per cool-down', async (t) => {
  const next = providerKey('ES256', 'one');
  const clock = { now: NOW * 1000 };
  let asked = 0;
  const ring = createKeyRing({ issuers: [remote] }, 1);
  const authenticator = createAuthenticator({
    ...{ ring, cacheEntries: 8, now: () => clock.now },
    askForKeys: async () => {
      asked += 1;
      authenticator.setKeySets([{ id: 'corp', url, keys: published(next), fetchedAt: clock.now }]);
    },
  });
  authenticator.setKeySets([{ id: 'corp', url, keys: published(one), fetchedAt: clock.now }]);
  const hear = async (text: string) => {
    const found = await authenticator.authenticate(['api-key', text]);
    return found.kind === 'denial' ? found.code : found.kind;
  };
  t.equal(await hear(signToken(next, goodClaims(NOW))), 'principal', 'the new key is fetched');
  t.equal(await hear(token), 'invalid_signature', 'the former key is gone');
  for (let again = 0; again < 5; again += 1) await hear(token);
  t.equal(asked, 1);
});

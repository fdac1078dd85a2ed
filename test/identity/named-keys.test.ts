import { createHash } from 'node:crypto';
import t from 'tap';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { createKeyRing, type RingKeys } from '../../src/identity/key-ring.ts';
import { chosenKeyText, isGeneratedKey, keyIdIn, newKeyId, newKeyText } from '../../src/identity/key-text.ts';
import { hashSlowly } from '../../src/identity/slow-hash.ts';
import { AddressRanges } from '../../src/net/addresses.ts';
import type { NamedKeySettings } from '../../src/policy/named-key.ts';
import { policyOf } from '../../src/policy/settings.ts';
import { namedKey } from '../support/named-keys.ts';

/* Named keys: allow beside deny. */

const NOW = 1_800_000_000_000;
const QUICK = { cost: 16, blockSize: 8, parallelization: 1 };
const TEXT = newKeyText('team');
const FORMER = newKeyText('team');
const sha256 = (text: string) => ({ kind: 'sha256', digest: createHash('sha256').update(text).digest('hex') }) as const;

function authenticator(keys: readonly NamedKeySettings[], more: Partial<RingKeys> = {}, now = NOW) {
  const rangesOf = (entries: readonly string[]) => new AddressRanges(entries);
  const ring = createKeyRing(
    { apiKey: 'native-key', namedKeys: keys, rangesOf, limitIds: new Set(['gold']), ...more },
    1,
  );
  return createAuthenticator({ ring, cacheEntries: 10, now: () => now });
}

async function heard(key: Partial<NamedKeySettings>, text = TEXT, remote = '10.1.2.3'): Promise<string> {
  const identity = await authenticator([namedKey('team', TEXT, key)]).authenticate(
    ['api-key', text],
    undefined,
    remote,
  );
  return identity.kind === 'denial' ? identity.code : identity.keyId;
}

const CASES: readonly [name: string, key: Partial<NamedKeySettings>, answer: string, text?: string, remote?: string][] =
  [
    ['the right text', {}, 'team'],
    ['another secret', {}, 'bad_credential', newKeyText('team')],
    ['another id', {}, 'bad_credential', newKeyText('other')],
    ['the text in another case', {}, 'bad_credential', TEXT.toUpperCase()],
    ['half of the text', {}, 'bad_credential', TEXT.slice(0, -1)],
    ['more than the text', {}, 'bad_credential', `${TEXT}x`],
    ['its hash instead of it', {}, 'bad_credential', sha256(TEXT).digest],
    ['the native key', {}, 'api_key', 'native-key'],
    ['a disabled key', { disabled: true }, 'key_disabled'],
    ['a disabled key with a wrong secret', { disabled: true }, 'bad_credential', newKeyText('team')],
    ['the last millisecond', { expiresAt: NOW + 1 }, 'team'],
    ['expired', { expiresAt: NOW }, 'key_expired'],
    ['begun', { notBefore: NOW }, 'team'],
    ['not begun', { notBefore: NOW + 1 }, 'key_not_yet_valid'],
    ['an address of its networks', { networks: ['192.168.0.1', '10.0.0.0/8'] }, 'team'],
    ['an address of its IPv6 network', { networks: ['2001:db8::/32'] }, 'team', TEXT, '2001:db8::1'],
    ['another address', { networks: ['192.168.0.1'] }, 'key_network'],
    ['an unknown address', { networks: ['0.0.0.0/0'] }, 'key_network', TEXT, ''],
    ['a limit of the policy', { limits: ['gold'] }, 'team'],
    ['a limit that the policy has lost', { limits: ['gold', 'gone'] }, 'key_limit_gone'],
    ['the text after a rotation', { previous: { hash: sha256(FORMER), until: NOW + 1 } }, 'team'],
    ['the text before it, meanwhile', { previous: { hash: sha256(FORMER), until: NOW + 1 } }, 'team', FORMER],
    ['the text before it, later', { previous: { hash: sha256(FORMER), until: NOW } }, 'bad_credential', FORMER],
  ];

t.test('what a named key is answered', async (test) => {
  for (const [name, key, answer, text, remote] of CASES) test.equal(await heard(key, text, remote), answer, name);
});

t.test('its access is that of the file, narrowed by rules for its id', async (test) => {
  const rules = policyOf('enforce', [{ id: 'r', mode: 'enforce', keys: ['team'], access: 'r' }]).rules;
  const key = namedKey('team', TEXT, { access: 'm', owner: 'Team A' });
  const asked = ['api-key', TEXT];
  const plain = await authenticator([key]).authenticate(asked);
  test.match(plain, { access: { kind: 'global', mode: 'm' }, authType: 'ApiKey', key: { owner: 'Team A' } });
  const narrowed = await authenticator([key], { rules }).authenticate(asked);
  test.match(narrowed, { access: { kind: 'global', mode: 'r' } });
});

t.test('a file of named keys closes the gateway, even an empty one', async (test) => {
  const alone = { apiKey: null };
  test.equal(authenticator([], alone).isOpen(), false);
  test.match(await authenticator([], alone).authenticate([]), { code: 'missing_credential' });
  test.equal(createAuthenticator({ ring: createKeyRing({}, 1), cacheEntries: 0, now: () => 0 }).isOpen(), true);
});

t.test('a chosen key is verified once, in another thread, and then remembered', async (test) => {
  const text = chosenKeyText('team', 'correct horse battery staple');
  const { authenticate } = authenticator([namedKey('team', text, { hash: await hashSlowly(text, QUICK) })]);
  const first = authenticate(['api-key', text]);
  test.ok(first instanceof Promise, 'it has to be waited for');
  test.equal(
    authenticate(['api-key', chosenKeyText('none1', 'x')]) instanceof Promise,
    false,
    'an unknown id costs nothing',
  );
  test.match(await first, { keyId: 'team' });
  test.match(authenticate(['api-key', text]), { keyId: 'team' }, 'at once');
  const wrong = chosenKeyText('team', 'wrong');
  test.match(await authenticate(['api-key', wrong]), { code: 'bad_credential' });
  test.match(authenticate(['api-key', wrong]), { code: 'bad_credential' }, 'a wrong one is remembered, too');
});

t.test('a chosen key that is verified while the ring changes gets the answer of the new one', async (test) => {
  const text = chosenKeyText('team', 'correct horse battery staple');
  const key = namedKey('team', text, { hash: await hashSlowly(text, QUICK) });
  const one = authenticator([key]);
  const asked = one.authenticate(['api-key', text]);
  one.replaceRing(createKeyRing({ apiKey: 'native-key', namedKeys: [{ ...key, disabled: true }] }, 2));
  test.match(await asked, { code: 'key_disabled' });
});

t.test(
  'a chosen key that was verified is not verified again after a reload, unless its hash is another',
  async (test) => {
    const text = chosenKeyText('team', 'correct horse battery staple');
    const key = namedKey('team', text, { hash: await hashSlowly(text, QUICK) });
    const one = authenticator([key]);
    await one.authenticate(['api-key', text]);
    one.replaceRing(createKeyRing({ namedKeys: [key] }, 2));
    test.match(one.authenticate(['api-key', text]), { keyId: 'team' }, 'at once');
    const other = chosenKeyText('team', 'another battery staple');
    one.replaceRing(createKeyRing({ namedKeys: [{ ...key, hash: await hashSlowly(other, QUICK) }] }, 3));
    test.match(await one.authenticate(['api-key', text]), { code: 'bad_credential' });
  },
);

t.test('one client that guesses leaves room for others', async (test) => {
  const text = chosenKeyText('team', 'correct horse battery staple');
  const { authenticate } = authenticator([namedKey('team', text, { hash: await hashSlowly(text, QUICK) })], {
    clientOf: (address) => address.slice(0, 7),
  });
  const ask = async (secret: string, remote: string) => {
    const identity = await authenticate(['api-key', chosenKeyText('team', secret)], undefined, remote);
    return identity.kind === 'denial' ? identity.code : identity.keyId;
  };
  const guesses = Array.from({ length: 100 }, (_, at) => ask(`guess ${at}`, `10.0.0.${at}`));
  const owner = ask('correct horse battery staple', '10.9.0.1');
  test.equal(await owner, 'team');
  const heard = Map.groupBy(await Promise.all(guesses), (code) => code);
  test.equal(heard.get('bad_credential')?.length, 8);
  test.equal(heard.get('keys_busy')?.length, 92);
  test.equal(await ask('guess 99', '10.0.0.1'), 'bad_credential', 'and later it may ask again');
});

t.test('the minute of the last use is kept, over a change of keys', async (test) => {
  const keys = [namedKey('team', TEXT), namedKey('idle', newKeyText('idle'))];
  const one = authenticator(keys);
  test.same(one.used(), []);
  await one.authenticate(['api-key', TEXT]);
  await one.authenticate(['api-key', newKeyText('idle')]);
  test.same(one.used(), [['team', NOW / 60_000]], 'a wrong secret is no use');
  one.replaceRing(createKeyRing({ namedKeys: keys }, 2));
  test.same(one.used(), [['team', NOW / 60_000]]);
});

t.test('texts of keys', async (test) => {
  for (let at = 0; at < 20; at += 1) {
    const id = newKeyId();
    const text = newKeyText(id);
    test.match(text, /^qgw_[a-z0-9]{10}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/);
    test.equal(keyIdIn(text), id);
    test.ok(isGeneratedKey(text), 'its checksum is right');
    test.notOk(
      isGeneratedKey(`${text.slice(0, 20)}${text[20] === 'a' ? 'b' : 'a'}${text.slice(21)}`),
      'a slip is found',
    );
  }
  test.not(newKeyText('team'), newKeyText('team'));
  test.equal(keyIdIn('qgw_'), undefined);
  test.equal(keyIdIn('eyJhbGciOiJIUzI1NiJ9.e30.x'), undefined);
  // CRC-32 of the text (0xdb632517) in base62, computed with another program.
  const body = `qgw_team_${'0'.repeat(43)}`;
  test.ok(isGeneratedKey(`${body}_415sFr`), 'the checksum of a known text');
});

t.test('a key with the id of a signing key or of an issuer is none: it would be taken for it', async (t) => {
  const ask = async (more: Partial<RingKeys>) => {
    const found = await authenticator([namedKey('team', TEXT, {})], more).authenticate(['api-key', TEXT]);
    return found.kind === 'denial' ? found.code : found.keyId;
  };
  const signing = (id: string) => ({ signingKeys: [{ id, secret: 's'.repeat(32) }] });
  t.equal(await ask(signing('other')), 'team');
  t.equal(await ask({ ...signing('team'), jwtRbac: true }), 'bad_credential');
  t.equal(await ask(signing('team')), 'bad_credential', 'also while tokens are off');
});

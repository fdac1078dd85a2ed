import { createHmac } from 'node:crypto';
import t from 'tap';
import type { Identity } from '../../../src/identity/principal.ts';
import { NO_REVOCATIONS } from '../../../src/identity/revocations.ts';
import type { NamedKeySettings } from '../../../src/policy/named-key.ts';
import { policyOf } from '../../../src/policy/settings.ts';
import { tenantsOf } from '../../../src/policy/tenants/settings.ts';
import { NO_TOKEN_RULES } from '../../../src/policy/token-rules.ts';
import { KEYS } from '../../support/gateway.ts';
import { claimsIn, MINTING_SECRET, type Mint, NOW, NOW_SECONDS, openMint } from '../../support/minting.ts';
import { namedKey } from '../../support/named-keys.ts';
import { makeToken } from '../../support/tokens.ts';

/** Tokens minted in exchange: what they say, and that each change of their source reaches them at once. */

const TEAM = 'qgw_team_secret';
const LIST = [
  { collection: 'docs', access: 'rw' },
  { collection: 'more', access: 'r' },
] as const;
const team = (more: Partial<NamedKeySettings> = {}) => namedKey('team', TEAM, { access: LIST, ...more });
const said = (identity: Identity): string => (identity.kind === 'denial' ? identity.code : 'accepted');
const modesOf = (identity: Identity): unknown =>
  identity.kind === 'principal' && identity.access.kind === 'list'
    ? Object.fromEntries(identity.access.modes)
    : identity.kind === 'principal' && identity.access.kind === 'global'
      ? identity.access.mode
      : 'other';

async function minted(mint: Mint, credential: string, more?: Readonly<Record<string, string>>): Promise<string> {
  const { token, status, description } = await mint.exchange(credential, more);
  if (status !== 200) throw new Error(`not minted: ${description}`);
  return token;
}

t.test('a token says what a secured Qdrant has to know, and names its source', async (t) => {
  const mint = openMint({ namedKeys: [team()] });
  const claims = claimsIn(await minted(mint, TEAM));
  const { qdrant_gateway_source: source, jti, ...native } = claims;
  t.match(jti, /^[0-9a-f-]{36}$/);
  t.strictSame(native, { sub: 'team', iat: NOW_SECONDS, exp: NOW_SECONDS + 300, access: LIST });
  t.match(source, { kind: 'key', key: 'team', bound: 'claim', print: /^[\w-]{22}$/ });
  const identity = await mint.who(await minted(mint, TEAM));
  t.match(identity, {
    ...{ keyId: 'team', authType: 'Jwt', subject: undefined, key: { name: 'key team' } },
    minted: { source: { keyId: 'team', authType: 'ApiKey' } },
  });
  t.strictSame(modesOf(identity), { docs: 'rw', more: 'r' });
});

t.test('of what Qdrant cannot express the token permits nothing natively', async (t) => {
  const rules = [{ id: 'ops', mode: 'enforce', operations: ['points.count'] }] as const;
  const tenants = tenantsOf([{ id: 't', collections: ['*'], field: 'tenant', value: 'a' }]);
  const cases = [
    ['patterns', { namedKeys: [team({ access: [{ collections: ['docs-*'], access: 'r' }] })] }],
    ['a rule by operations', { namedKeys: [team()], rules: policyOf('enforce', rules).rules }],
    ['tenants', { namedKeys: [team()], tenants }],
    ['networks', { namedKeys: [team({ networks: ['127.0.0.0/8'] })] }],
  ] as const;
  for (const [name, keys] of cases) {
    const mint = openMint(keys);
    const token = await minted(mint, TEAM);
    t.strictSame(claimsIn(token).access, [], name);
    const [child, parent] = [await mint.who(token), await mint.who(TEAM)];
    if (child.kind !== 'principal' || parent.kind !== 'principal') throw new Error('refused');
    t.strictSame([child.access, child.bounds, child.tenancy], [parent.access, parent.bounds, parent.tenancy], name);
  }
});

t.test('a token of a client is exchanged with all claims that decide', async (t) => {
  const mint = openMint({ tenants: tenantsOf([{ id: 't', collections: ['*'], field: 'f', from: 'org' }]) });
  const value_exists = { collection: 'users', matches: [{ key: 'id', value: 7 }] };
  const source = { sub: 'ada', subject: 'Ada', jti: 'one', iat: NOW_SECONDS - 10, org: 9007199254740993n, aud: 'x' };
  const text = JSON.stringify({ ...source, access: LIST, value_exists, other: [1] }, (_, value: unknown) =>
    typeof value === 'bigint' ? (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON(`${value}`) : value,
  );
  const signed = signRaw(text, KEYS.admin);
  const token = await minted(mint, signed);
  t.match(claimsIn(token), { sub: 'ada', subject: 'Ada', access: [], value_exists });
  const carried = (claimsIn(token).qdrant_gateway_source as { claims: object }).claims;
  t.strictSame(Object.keys(carried).sort(), ['access', 'iat', 'jti', 'org', 'sub', 'subject', 'value_exists']);
  const [child, parent] = [await mint.who(token), await mint.who(signed)];
  if (child.kind !== 'principal' || parent.kind !== 'principal') throw new Error('refused');
  t.strictSame(child.tenancy, parent.tenancy, 'the exact value of 64 bits');
  t.match(child, { keyId: 'api_key', subject: 'Ada' });
});

t.test('tokens for one source share its principal, so that they have one share of places and memory', async (t) => {
  const mint = openMint({ namedKeys: [team()] });
  const web = makeToken({ access: 'r', sub: 'x' }, KEYS.admin);
  for (const source of [TEAM, web]) {
    const [one, two] = [await mint.who(await minted(mint, source)), await mint.who(await minted(mint, source))];
    if (one.kind !== 'principal' || two.kind !== 'principal') throw new Error('refused');
    t.equal(one.minted?.source, two.minted?.source);
    t.not(one.minted?.id, two.minted?.id);
  }
});

t.test('each change of a named key reaches its tokens with the next request', async (t) => {
  const cases: [string, Partial<NamedKeySettings> | 'deleted' | 'unknown', string][] = [
    ['nothing', {}, 'accepted'],
    ['another name', { name: 'other' }, 'accepted'],
    ['disabled', { disabled: true }, 'key_disabled'],
    ['ended', { expiresAt: NOW }, 'key_expired'],
    ['not valid yet', { notBefore: NOW + 1 }, 'key_not_yet_valid'],
    ['for another network', { networks: ['10.0.0.0/8'] }, 'key_network'],
    ['with a limit that is gone', { limits: ['gone'] }, 'key_limit_gone'],
    ['another text', { hash: namedKey('team', 'qgw_team_other').hash }, 'token_source_gone'],
    [
      'another text with an overlap',
      { hash: namedKey('team', 'qgw_team_other').hash, previous: { hash: team().hash, until: NOW + 1 } },
      'accepted',
    ],
    [
      'another text after the overlap',
      { hash: namedKey('team', 'qgw_team_other').hash, previous: { hash: team().hash, until: NOW } },
      'token_source_gone',
    ],
    ['deleted', 'deleted', 'token_source_gone'],
    ['unknown', 'unknown', 'keys_unknown'],
  ];
  for (const way of ['a reload', 'Redis'] as const) {
    for (const [name, change, expected] of cases) {
      const mint = openMint({ namedKeys: [team()] });
      const token = await minted(mint, TEAM);
      t.equal(said(await mint.who(token)), 'accepted');
      const keys = change === 'deleted' ? [] : [change === 'unknown' ? team() : team(change)];
      if (way === 'a reload') mint.replace({ namedKeys: keys, namedKeysUnknown: change === 'unknown' });
      else mint.authenticator.replaceNamed({ keys, unknown: change === 'unknown' }, () => undefined);
      t.equal(said(await mint.who(token)), expected, `${name}, by ${way}`);
      t.equal(said(await mint.who(token)), expected, `${name}, by ${way}, remembered`);
    }
  }
});

t.test('a token follows the access of its key downwards, and never above what it was minted with', async (t) => {
  const mint = openMint({ namedKeys: [team()] });
  const token = await minted(mint, TEAM);
  mint.replace({ namedKeys: [team({ access: [{ collection: 'docs', access: 'r' }] })] });
  t.strictSame(modesOf(await mint.who(token)), { docs: 'r' });
  mint.replace({ namedKeys: [team({ access: 'm' })] });
  t.strictSame(modesOf(await mint.who(token)), { docs: 'rw', more: 'r' });
  mint.replace({ namedKeys: [team({ access: [{ collections: ['docs*'], operations: ['points.count'] }] })] });
  const identity = await mint.who(token);
  t.match(identity, { access: { kind: 'joint' } }, 'an intersection');
});

t.test('networks hold for the presenter of the token', async (t) => {
  const mint = openMint({ namedKeys: [team({ networks: ['127.0.0.0/8'] })] });
  const token = await minted(mint, TEAM);
  t.equal(said(await mint.who(token, '127.0.0.9')), 'accepted');
  t.equal(said(await mint.who(token, '10.0.0.1')), 'key_network');
  t.equal(said(await mint.who(token, '')), 'key_network', 'an unknown address');
});

t.test('a token is revoked by its own claims, and by those of its source', async (t) => {
  const source = { jti: 'source', sub: 'ada', subject: 'Ada', iat: NOW_SECONDS - 100, access: 'r' };
  const mint = openMint();
  const token = await minted(mint, makeToken(source, KEYS.admin));
  const id = String(claimsIn(token).jti);
  const cases = [
    ['nothing', {}, 'accepted'],
    ['its own id', { tokens: new Set([id]) }, 'token_revoked'],
    ['the id of the source', { tokens: new Set(['source']) }, 'token_revoked'],
    ['another id', { tokens: new Set(['other']) }, 'accepted'],
    ['`sub`', { subjects: new Set(['ada']) }, 'token_revoked'],
    ['`subject`', { subjects: new Set(['Ada']) }, 'token_revoked'],
    ['the key that mints', { keys: new Set(['minting']) }, 'token_revoked'],
    ['the key that signed the source', { keys: new Set(['api_key']) }, 'token_revoked'],
    ['tokens older than the source', { issuedBefore: NOW_SECONDS - 100 }, 'accepted'],
    ['tokens as old as the source', { issuedBefore: NOW_SECONDS - 99 }, 'token_revoked'],
    ['old tokens of the subject', { issuedBeforeBySubject: new Map([['ada', NOW_SECONDS]]) }, 'token_revoked'],
    ['unknown', { unknown: true }, 'revocation_unknown'],
  ] as const;
  for (const [name, revocations, expected] of cases) {
    mint.revocations = { ...NO_REVOCATIONS, ...revocations };
    t.equal(said(await mint.who(token)), expected, name);
  }
});

t.test('a token ends with its source', async (t) => {
  const cases: [string, string, number][] = [
    ['a key for ever', TEAM, 300],
    ['a token that lives longer', makeToken({ access: 'r', exp: NOW_SECONDS + 1000 }), 300],
    ['a token that ends before', makeToken({ access: 'r', exp: NOW_SECONDS + 20 }), 20],
    ['a key that ends before', 'qgw_soon_secret', 30],
  ];
  const namedKeys = [team(), namedKey('soon', 'qgw_soon_secret', { expiresAt: NOW + 30_999 })];
  for (const [name, credential, seconds] of cases) {
    const mint = openMint({ namedKeys });
    const { token, body } = await mint.exchange(credential);
    t.equal(body.expires_in, seconds, name);
    mint.now = NOW + seconds * 1000;
    t.equal(said(await mint.who(token)), 'accepted', `${name}, at its end`);
    mint.now += 1000;
    const after = credential.includes('soon') ? 'key_expired' : 'accepted';
    t.equal(said(await mint.who(token)), after, `${name}, natively 30 s of leeway`);
    mint.now += 31_000;
    t.match(said(await mint.who(token)), /expired/, `${name}, after`);
  }
});

t.test('a token ends with the key that signed it, or its source, or its mark for exchange', async (t) => {
  const web = 'a-secret-for-clients-0123456789-0123456789';
  const client = { id: 'web', secret: web };
  const minting = { id: 'minting', secret: MINTING_SECRET, exchange: true };
  const cases = [
    ['the same keys', [client, minting], 'accepted'],
    ['in another order', [minting, client], 'accepted'],
    ['without the key that mints', [client], 'invalid_signature'],
    [
      'another secret of the key that mints',
      [client, { ...minting, secret: `${MINTING_SECRET}x` }],
      'invalid_signature',
    ],
    ['the key that mints without its mark', [client, { ...minting, exchange: false }], 'token_wrong_signer'],
    ['without the key of the source', [minting], 'token_source_gone'],
    ['another secret of the key of the source', [{ ...client, secret: `${web}x` }, minting], 'token_source_gone'],
    [
      'a further key that mints',
      [client, { ...minting, id: 'next', secret: `${MINTING_SECRET}y` }, minting],
      'accepted',
    ],
  ] as const;
  for (const [name, signingKeys, expected] of cases) {
    const mint = openMint();
    const token = await minted(mint, makeToken({ access: 'r' }, web));
    mint.replace({ apiKey: null, signingKeys });
    t.equal(said(await mint.who(token)), expected, name);
  }
});

t.test('a configured key is exchanged where the policy names it, and its tokens end with it', async (t) => {
  const mint = openMint({ exchangedKeys: ['read_only_api_key'] });
  t.match(await mint.exchange(KEYS.admin), {
    status: 400,
    error: 'invalid_request',
    description: /token_exchange.keys/,
  });
  const token = await minted(mint, KEYS.readOnly);
  t.match(claimsIn(token), { sub: 'read_only_api_key', access: 'r' });
  t.strictSame([said(await mint.who(token)), modesOf(await mint.who(token))], ['accepted', 'r']);
  mint.replace({ readOnlyApiKey: 'another-key' });
  t.equal(said(await mint.who(token)), 'token_source_gone');
  mint.replace({ readOnlyApiKey: KEYS.readOnly, exchangedKeys: [] });
  t.equal(said(await mint.who(token)), 'token_source_gone', 'not named any more');
  mint.replace({ exchangedKeys: ['read_only_api_key'] });
  t.equal(said(await mint.who(token)), 'accepted');
});

t.test('a source is believed only where the gateway has signed it', async (t) => {
  const mint = openMint({ namedKeys: [team()] });
  const real = claimsIn(await minted(mint, TEAM));
  const source = real.qdrant_gateway_source as Readonly<Record<string, unknown>>;
  const cases = [
    ['as it was', real, MINTING_SECRET, 'accepted'],
    ['signed by the admin', real, KEYS.admin, 'token_wrong_signer'],
    ['by the key of clients', real, 'a-secret-for-clients-0123456789-0123456789', 'token_wrong_signer'],
    ['without a source', { ...real, qdrant_gateway_source: undefined }, MINTING_SECRET, 'token_wrong_signer'],
    ['a source of another form', { ...real, qdrant_gateway_source: 'team' }, MINTING_SECRET, 'token_wrong_signer'],
    ['without an id', { ...real, jti: undefined }, MINTING_SECRET, 'token_wrong_signer'],
    ['without an end', { ...real, exp: undefined }, MINTING_SECRET, 'token_wrong_signer'],
    ['without a time', { ...real, iat: undefined }, MINTING_SECRET, 'token_wrong_signer'],
    [
      'another key',
      { ...real, qdrant_gateway_source: { ...source, key: 'api_key' } },
      MINTING_SECRET,
      'token_source_gone',
    ],
    [
      'another print',
      { ...real, qdrant_gateway_source: { ...source, print: 'x' } },
      MINTING_SECRET,
      'token_source_gone',
    ],
    [
      'an unknown bound',
      { ...real, qdrant_gateway_source: { ...source, bound: 'all' } },
      MINTING_SECRET,
      'token_wrong_signer',
    ],
    [
      'a token without claims',
      { ...real, qdrant_gateway_source: { ...source, kind: 'token' } },
      MINTING_SECRET,
      'token_wrong_signer',
    ],
  ] as const;
  for (const [name, claims, secret, expected] of cases) {
    t.equal(said(await mint.who(makeToken(claims, secret))), expected, name);
  }
  const twice = JSON.stringify(real).replace('{', `{"qdrant_gateway_source":${JSON.stringify(source)},`);
  t.equal(said(await mint.who(signRaw(twice, MINTING_SECRET))), 'invalid_signature', 'two sources');
});

t.test('minted tokens, break-glass keys and what is refused are not exchanged', async (t) => {
  const namedKeys = [
    team(),
    namedKey('glass', 'qgw_glass_secret', { breakGlass: true }),
    namedKey('off', 'qgw_off_x', { disabled: true }),
  ];
  const mint = openMint({ namedKeys });
  const cases = [
    ['a minted token', await minted(mint, TEAM), /minted in exchange/],
    ['a break-glass key', 'qgw_glass_secret', /break-glass/],
    ['a disabled key', 'qgw_off_x', /refused: Invalid API key or JWT/],
    ['a wrong key', 'wrong', /refused: Invalid API key or JWT/],
    ['an expired token', makeToken({ access: 'r', exp: 1 }), /ExpiredSignature/],
    ['a token in its leeway', makeToken({ access: 'r', exp: NOW_SECONDS - 1 }), /ends now/],
    ['a token of another key', makeToken({ access: 'r' }, 'x'), /InvalidSignature/],
    ['bytes beyond ASCII', 'schlüssel', /refused/],
  ] as const;
  for (const [name, credential, description] of cases) {
    const answer = await mint.exchange(credential);
    t.match(answer, { status: 400, error: 'invalid_request', description, token: '' }, name);
  }
  mint.replace({ signingKeys: [] });
  t.match(await mint.exchange(TEAM), { status: 400, description: /no key signs/ });
});

t.test('the rules for tokens hold for minted ones', async (t) => {
  const rules = (more: object) => ({ tokenRules: { ...NO_TOKEN_RULES, ...more } });
  const all = openMint({ namedKeys: [team()], ...rules({ requireExp: true, maxLifetime: 60, requireAccess: true }) });
  t.equal((await all.exchange(TEAM)).body.expires_in, 60);
  const manage = { namedKeys: [team({ access: 'm' })], ...rules({ refuseManage: true }) };
  const refusing = openMint(manage);
  t.match(await refusing.exchange(TEAM), { status: 400, description: /manage access are not allowed/ });
  t.match(await refusing.exchange(TEAM, { scope: 'r' }), { status: 200 });
  const short = openMint({ namedKeys: [team()], ...rules({ minSecretBytes: 1000 }) });
  t.match(await short.exchange(TEAM), { status: 400, description: /too short a secret/ });
  const later = openMint({ namedKeys: [team({ access: [] })] });
  const token = await minted(later, TEAM);
  later.replace({ namedKeys: [team({ access: 'm' })], ...rules({ refuseManage: true }) });
  t.strictSame(modesOf(await later.who(token)), {}, 'it has what it was minted with');
});

/** A token over this text, with its long numbers and repeated members. */
function signRaw(claims: string, secret: string): string {
  const text = `${base64url('{"alg":"HS256","typ":"JWT"}')}.${base64url(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}

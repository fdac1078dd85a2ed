import t from 'tap';
import type { RingKeys } from '../../../src/identity/key-ring.ts';
import type { Identity } from '../../../src/identity/principal.ts';
import { NO_REVOCATIONS } from '../../../src/identity/revocations.ts';
import type { IssuerSettings } from '../../../src/policy/mapping/issuer.ts';
import { tenantsOf } from '../../../src/policy/tenants/settings.ts';
import { goodClaims, issuerWith, providerKey, signToken } from '../../support/issuers/keys.ts';
import { claimsIn, NOW, NOW_SECONDS, openMint } from '../../support/minting.ts';

/** A token of an identity provider, exchanged: each change of the issuer, its keys or its mappings reaches the minted token. */

const rsa = providerKey('RS256', 'one');
const next = providerKey('RS256', 'next');
const corp = (more: Partial<IssuerSettings> = {}, keys = [rsa]): RingKeys => ({ issuers: [issuerWith(keys, more)] });
const provided = signToken(
  rsa,
  goodClaims(NOW_SECONDS, { sub: 'alice', jti: 'p-1', exp: NOW_SECONDS + 100, org: 'acme' }),
);
const said = (identity: Identity): string => (identity.kind === 'denial' ? identity.code : 'accepted');

t.test('it has the access that the mappings give, ends with its source, and never shows its signature', async (t) => {
  const mint = openMint({
    ...corp(),
    tenants: tenantsOf([{ id: 't', keys: ['corp'], collections: ['*'], field: 'org', from: 'org' }]),
  });
  const { status, token, body } = await mint.exchange(provided);
  t.strictSame([status, body.expires_in], [200, 100]);
  t.match(claimsIn(token), { sub: 'alice', qdrant_gateway_source: { kind: 'issued', key: 'corp' } });
  const [, , signature = 'none'] = provided.split('.');
  t.notMatch(JSON.stringify(claimsIn(token)), new RegExp(signature));
  const [child, parent] = [await mint.who(token), await mint.who(provided)];
  if (child.kind !== 'principal' || parent.kind !== 'principal') throw new Error('refused');
  const { minted, ...rest } = child;
  t.strictSame({ ...rest }, { ...parent, access: child.access }, 'mappings, rules, tenants, subject');
  t.strictSame(child.access, parent.access);
  t.equal(minted?.source.keyId, 'corp');
  mint.now = NOW + 100_000 + 29_000;
  t.equal(said(await mint.who(token)), said(await mint.who(provided)));
  mint.now += 2000;
  t.strictSame([said(await mint.who(token)), said(await mint.who(provided))], ['token_expired', 'token_expired']);
});

t.test('what ends the source ends the token', async (t) => {
  const mapping = issuerWith([rsa]).mappings;
  const cases: [string, RingKeys, string][] = [
    ['nothing', corp(), 'accepted'],
    ['a further key', corp({}, [next, rsa]), 'accepted'],
    ['the key is not published any more', corp({}, [next]), 'token_source_gone'],
    ['another key with the same `kid`', corp({}, [providerKey('RS256', 'one')]), 'token_source_gone'],
    ['another audience', corp({ audiences: ['other'] }), 'wrong_audience'],
    ['another issuer under the id', corp({ issuer: 'https://other.example.com' }), 'token_source_gone'],
    ['another id', corp({ id: 'other' }), 'token_source_gone'],
    ['no issuer', { issuers: [] }, 'token_source_gone'],
    [
      'a mapping that names others',
      corp({ mappings: mapping.map((one) => ({ ...one, claim: 'team', values: ['x'] })) }),
      'no_mapping',
    ],
    ['a shorter life', corp({ maxLifetime: 10 }), 'token_too_long'],
  ];
  for (const [name, keys, expected] of cases) {
    const mint = openMint(corp());
    const { token } = await mint.exchange(provided);
    t.equal(said(await mint.who(token)), 'accepted', name);
    mint.replace(keys);
    t.equal(said(await mint.who(token)), expected, name);
  }
  const mint = openMint(corp());
  const { token } = await mint.exchange(provided);
  for (const revocations of [
    { tokens: new Set(['p-1']) },
    { subjects: new Set(['alice']) },
    { keys: new Set(['corp']) },
  ]) {
    mint.revocations = { ...NO_REVOCATIONS, ...revocations };
    t.strictSame([said(await mint.who(token)), said(await mint.who(provided))], ['token_revoked', 'token_revoked']);
  }
});

t.test('less access, and nothing for a token that the issuer did not sign', async (t) => {
  const mint = openMint(
    corp({ mappings: issuerWith([rsa]).mappings.map((one) => ({ ...one, access: 'r' as const })) }),
  );
  const { token } = await mint.exchange(provided, { scope: 'docs=r' });
  t.match(await mint.who(token), { access: { kind: 'list' }, keyId: 'corp' });
  t.match(await mint.exchange(provided, { scope: 'docs=rw' }), { error: 'invalid_scope' });
  t.match(await mint.exchange(signToken(next, goodClaims(NOW_SECONDS))), {
    status: 400,
    error: 'invalid_request',
    token: '',
  });
  const [header, body] = provided.split('.');
  t.match(await mint.exchange(`${header}.${body}.`), { status: 400, error: 'invalid_request', token: '' });
  t.equal(
    said(await mint.who(`${header}.${body}.`)),
    'invalid_signature',
    'what a minted token carries is no credential',
  );
});

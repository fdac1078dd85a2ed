import t from 'tap';
import { createAuthenticator } from '../../../src/identity/authenticate.ts';
import type { CertificateTrust } from '../../../src/identity/certificates/trust.ts';
import { createKeyRing, type RingKeys } from '../../../src/identity/key-ring.ts';
import type { Identity } from '../../../src/identity/principal.ts';
import { NO_REVOCATIONS, type Revocations } from '../../../src/identity/revocations.ts';
import { lists } from '../../../src/policy/access.ts';
import type { CertificateUse } from '../../../src/policy/mapping/certificates.ts';
import { accessOf } from '../../../src/policy/settings.ts';
import { tenantsOf } from '../../../src/policy/tenants/settings.ts';
import { rulingOn } from '../../../src/policy/tenants/tenancy.ts';
import { newCa } from '../../support/client-certificates.ts';
import { shownTo, trustIn } from '../../support/shown-certificate.ts';
import { makeToken } from '../../support/tokens.ts';

const ADMIN = 'the-admin-key-of-this-test-is-long-enough';
const [root, other] = await Promise.all([newCa('root'), newCa('other')]);
const CA = { ca: [root.cert] };
const trust = trustIn(CA);
const show = async (san: string, ca = root) => shownTo(CA, await ca.issue({ san: [[6, san]] }), trust);
const good = await show('spiffe://example.org/ns/a/sa/b');
const unmapped = await show('spiffe://example.org/ns/z/sa/b');
const bad = await show('spiffe://example.org/ns/a/sa/b', other);

const MAPPINGS: CertificateUse['mappings'] = [
  {
    ...{ id: 'teams', claim: 'spiffe.segments.2', values: ['a'], tenant_from: 'spiffe.segments.4' },
    access: [{ collections: ['shared', 'team-a-*'], access: 'r' }],
  },
];

function ask(mode: CertificateUse['mode'], more: RingKeys = {}, revocations: Revocations = NO_REVOCATIONS) {
  const use = { mode, id: 'mesh', mappings: MAPPINGS };
  const ring = createKeyRing({ apiKey: ADMIN, jwtRbac: true, certificates: { use, trust }, ...more }, 1);
  const options = { ring, cacheEntries: 10, now: Date.now, revocations: () => revocations };
  const { authenticate } = createAuthenticator(options);
  return async (certificate: typeof good, key?: string): Promise<Identity> =>
    await authenticate(key === undefined ? [] : ['api-key', key], undefined, '', certificate);
}

/** Who it is, or the code of the refusal. */
const said = (identity: Identity): string =>
  identity.kind === 'denial' ? identity.code : `${identity.keyId} ${identity.subject ?? ''}`.trim();

const CERTIFICATES = { none: undefined, good, unmapped, bad };
const TOKEN = makeToken({ access: 'r', subject: 'someone' }, ADMIN);
const KEYS_SHOWN = { none: undefined, good: ADMIN, token: TOKEN, bad: 'wrong' };
const HOLDER = 'mesh spiffe://example.org/ns/a/sa/b';

const TABLE = {
  identity: {
    none: { none: 'missing_credential', good: 'api_key', token: 'api_key someone', bad: 'bad_credential' },
    good: { none: HOLDER, good: 'api_key', token: 'api_key someone', bad: 'bad_credential' },
    unmapped: { none: 'no_mapping', good: 'api_key', token: 'api_key someone', bad: 'bad_credential' },
    bad: { none: 'certificate_unverified', good: 'api_key', token: 'api_key someone', bad: 'bad_credential' },
  },
  beside_key: {
    none: alike('certificate_missing'),
    good: { none: 'missing_credential', good: 'api_key', token: 'api_key someone', bad: 'bad_credential' },
    unmapped: alike('no_mapping'),
    bad: alike('certificate_unverified'),
  },
} as const;

function alike(code: string) {
  return { none: code, good: code, token: code, bad: code };
}

for (const mode of ['identity', 'beside_key'] as const) {
  const identify = ask(mode);
  for (const certificate of ['none', 'good', 'unmapped', 'bad'] as const) {
    for (const key of ['none', 'good', 'token', 'bad'] as const) {
      t.test(`${mode}: certificate ${certificate}, key ${key}`, async (t) => {
        const identity = await identify(CERTIFICATES[certificate], KEYS_SHOWN[key]);
        t.equal(said(identity), TABLE[mode][certificate][key]);
      });
    }
  }
}

t.test('without any key configured, only holders of a certificate are let in', async (t) => {
  const identify = ask('identity', { apiKey: null });
  t.equal(said(await identify(undefined)), 'missing_credential');
  t.equal(said(await identify(good)), HOLDER);
  t.equal(said(await identify(good, 'any')), 'bad_credential');
});

t.test('what a certificate gives is its mapping: access, tenant, and the rules for its id', async (t) => {
  const rule = { id: 'narrow', mode: 'enforce', subjects: undefined, operations: undefined } as const;
  const tenants = tenantsOf([{ id: 'own', keys: ['mesh'], collections: ['*'], field: 'tenant', from: 'tenant' }]);
  const rules = [{ ...rule, keys: new Set(['mesh']), access: accessOf([{ collections: ['shared'], access: 'r' }]) }];
  const identity = await ask('identity', { tenants, rules })(good);
  if (identity.kind === 'denial') throw new TypeError(identity.code);
  t.match(identity, { authType: 'Certificate', mappings: ['teams'] });
  t.ok(lists(identity.access, 'shared'), 'what mapping and rule allow');
  t.notOk(lists(identity.access, 'team-a-x'), 'the rule does not');
  t.match(identity.tenancy && rulingOn(identity.tenancy, 'shared'), [{ values: ['b'] }]);
});

t.test('beside a certificate a key may what both may, and keeps its name', async (t) => {
  const identity = await ask('beside_key')(good, ADMIN);
  if (identity.kind === 'denial') throw new TypeError(identity.code);
  t.match(identity, { keyId: 'api_key', authType: 'ApiKey', mappings: ['teams'] });
  t.ok(lists(identity.access, 'team-a-x'));
  t.notOk(lists(identity.access, 'team-b-x'), 'the certificate does not');
  const token = makeToken({ access: [{ collection: 'team-a-x', access: 'rw' }] }, ADMIN);
  const narrow = await ask('beside_key')(good, token);
  if (narrow.kind === 'denial') throw new TypeError(narrow.code);
  t.ok(lists(narrow.access, 'team-a-x'));
  t.notOk(lists(narrow.access, 'shared'), 'the token does not');
});

t.test('beside a certificate, the tenants of both hold, and what one of them does not cover is refused', async (t) => {
  const tenants = tenantsOf([
    { id: 'of-key', keys: ['api_key'], collections: ['shared', 'team-a-1'], field: 'owner', value: 'k' },
    { id: 'of-mesh', keys: ['mesh'], collections: ['shared', 'team-a-2'], field: 'tenant', from: 'tenant' },
  ]);
  const identity = await ask('beside_key', { tenants })(good, ADMIN);
  if (identity.kind === 'denial') throw new TypeError(identity.code);
  t.match(identity.tenancy && rulingOn(identity.tenancy, 'shared'), [{ values: ['k'] }, { values: ['b'] }]);
  t.ok(lists(identity.access, 'shared'));
  for (const name of ['team-a-1', 'team-a-2']) t.notOk(lists(identity.access, name), name);
});

t.test(
  'the principal is one for all connections with one certificate, so that limits and shares count it once',
  async (t) => {
    const identify = ask('identity');
    t.equal(await identify(good), await identify(good));
    const beside = ask('beside_key');
    t.equal(await beside(good, ADMIN), await beside(good, ADMIN));
    t.equal(await beside(good, TOKEN), await beside(good, TOKEN));
  },
);

t.test('a certificate is revoked as tokens are: fingerprint, subject, entry, begin of validity', async (t) => {
  const fingerprint = good?.kind === 'certificate' ? good.fingerprint : '';
  const soon = Math.floor(Date.now() / 1000);
  for (const [name, revoked] of Object.entries({
    fingerprint: { tokens: new Set([fingerprint]) },
    subject: { subjects: new Set(['spiffe://example.org/ns/a/sa/b']) },
    entry: { keys: new Set(['mesh']) },
    begin: { issuedBefore: soon },
    'begin for its subject': { issuedBeforeBySubject: new Map([['spiffe://example.org/ns/a/sa/b', soon]]) },
  })) {
    const revocations = { ...NO_REVOCATIONS, ...revoked };
    t.equal(said(await ask('identity', {}, revocations)(good)), 'certificate_revoked', name);
    t.equal(
      said(await ask('beside_key', {}, revocations)(good, ADMIN)),
      'certificate_revoked',
      `${name}, beside a key`,
    );
    t.equal(
      said(await ask('identity', {}, revocations)(good, ADMIN)),
      'api_key',
      `${name}, with a key that counts alone`,
    );
  }
  const unknown = { ...NO_REVOCATIONS, unknown: true };
  t.equal(said(await ask('identity', {}, unknown)(good)), 'revocation_unknown');
});

t.test('the subject may be another claim, which has to be one text', async (t) => {
  const subjectOf = async (subject: string) => {
    const use = { mode: 'identity', id: 'mesh', mappings: MAPPINGS, subject } as const;
    return said(await ask('identity', { certificates: { use, trust } })(good));
  };
  t.equal(await subjectOf('subject.CN'), 'mesh client');
  t.equal(await subjectOf('san.uri'), HOLDER, 'a list of one');
  t.equal(await subjectOf('san.dns'), 'claim_unfit', 'an empty list');
  t.equal(await subjectOf('gone'), 'claim_unfit');
});

t.test('a token under way while the trust is replaced is refused', async (t) => {
  const use = { mode: 'beside_key', id: 'mesh', mappings: MAPPINGS } as const;
  const ringOf = (trusted: CertificateTrust, generation: number) =>
    createKeyRing({ apiKey: ADMIN, jwtRbac: true, certificates: { use, trust: trusted } }, generation);
  const authenticator = createAuthenticator({ ring: ringOf(trust, 1), cacheEntries: 10, now: Date.now });
  const waiting = authenticator.authenticate(['api-key', TOKEN], undefined, '', good);
  t.ok(waiting instanceof Promise, 'it waits');
  authenticator.replaceRing(ringOf(trustIn({ ca: [other.cert] }), 2));
  t.equal(said(await waiting), 'certificate_unverified');
});

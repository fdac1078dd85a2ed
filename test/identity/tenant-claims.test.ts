import t from 'tap';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { readClaims } from '../../src/identity/claims.ts';
import { createKeyRing } from '../../src/identity/key-ring.ts';
import { readTenantValues } from '../../src/identity/tenant-claims.ts';
import type { NamedKeySettings } from '../../src/policy/named-key.ts';
import { type TenantSettings, tenantsOf } from '../../src/policy/tenants/settings.ts';
import type { TenantRuling, TenantValue } from '../../src/policy/tenants/tenancy.ts';
import { rulingOn } from '../../src/policy/tenants/tenancy.ts';
import { namedKey } from '../support/named-keys.ts';
import { makeToken } from '../support/tokens.ts';

/** Where a tenant comes from: claims are read exactly, and a caller without a value has none. */

const VALUES: readonly (readonly [json: string, values: readonly TenantValue[] | undefined])[] = [
  ['"acme"', ['acme']],
  ['"1"', ['1']],
  ['1', [1n]],
  ['0', [0n]],
  ['-7', [-7n]],
  ['9007199254740993', [9_007_199_254_740_993n]],
  ['9223372036854775807', [9_223_372_036_854_775_807n]],
  ['-9223372036854775808', [-9_223_372_036_854_775_808n]],
  ['true', [true]],
  ['false', [false]],
  ['["a",1,true]', ['a', 1n, true]],
  [' [ "a" ] ', ['a']],
  ['"\\u0061cme"', ['acme']],
  ['9223372036854775808', undefined],
  ['-9223372036854775809', undefined],
  ['1.0', undefined],
  ['1e3', undefined],
  ['-0', undefined],
  ['""', undefined],
  ['[]', undefined],
  ['["a",""]', undefined],
  ['["a",null]', undefined],
  ['[["a"]]', undefined],
  ['{"a":"b"}', undefined],
  ['null', undefined],
  ['"\\ud800"', undefined],
  ['"a" "b"', undefined],
];
for (const [json, values] of VALUES) {
  t.test(`${json} ${values ? 'is read' : 'is no tenant'}`, async (t) =>
    t.strictSame(readTenantValues(Buffer.from(json)), values),
  );
}

t.test('only claims that are asked for are read, and none that stands twice', async (t) => {
  const read = (claims: string) => readClaims(Buffer.from(claims), undefined, new Set(['org', 'sub']))?.tenants;
  t.strictSame(read('{"org":"acme","tenant":"x"}'), new Map([['org', ['acme']]]));
  t.strictSame(read('{"\\u006frg":"acme"}'), new Map([['org', ['acme']]]));
  t.strictSame(read('{"org":"acme","org":"acme"}'), new Map());
  t.strictSame(read('{"org":"acme","\\u006frg":"other"}'), new Map());
  t.strictSame(read('{"Org":"acme"}'), new Map());
  t.strictSame(read('{"sub":"me"}'), new Map([['sub', ['me']]]), 'also a claim with another use');
  t.strictSame(readClaims(Buffer.from('{"org":"acme"}'))?.tenants, new Map());
});

const ENTRIES: readonly TenantSettings[] = [
  { id: 'shop', collections: ['products'], field: 'tenant_id', from: 'org' },
  { id: 'fixed', keys: ['web'], credentials: 'tokens', collections: ['logs-*'], field: 'org', value: 7 },
  { id: 'public', keys: ['web', 'api_key', 'team'], collections: ['articles'], free: true },
];
const NAMED = 'qgw_team_secret';

async function ruling(
  credential: string | undefined,
  collection: string,
  {
    tenant,
    entries = ENTRIES,
    open,
  }: {
    readonly tenant?: NamedKeySettings['tenant'];
    readonly entries?: readonly TenantSettings[];
    readonly open?: true;
  } = {},
): Promise<TenantRuling | 'no tenancy'> {
  const keys = {
    ...{ apiKey: 'admin-key', readOnlyApiKey: 'reader-key', jwtRbac: true },
    signingKeys: [{ id: 'web', secret: 'signing-secret' }],
    namedKeys: [namedKey('team', NAMED, tenant ? { tenant } : {})],
  };
  const ring = createKeyRing({ ...(open ? {} : keys), tenants: tenantsOf(entries) }, 1);
  const { authenticate } = createAuthenticator({ ring, cacheEntries: 0, now: Date.now });
  const principal = await authenticate(credential === undefined ? [] : ['api-key', credential]);
  if (principal.kind === 'denial') throw new Error(principal.message);
  return principal.tenancy ? rulingOn(principal.tenancy, collection) : 'no tenancy';
}

function told(found: TenantRuling | 'no tenancy'): string {
  if (typeof found === 'string') return found;
  return found
    .map(({ field, values }) => `${field.join('.')} = ${values.map((value) => `${typeof value} ${value}`)}`)
    .join(' and ');
}

const web = (claims: object) => makeToken({ access: 'm', ...claims }, 'signing-secret');
const ONE: readonly TenantSettings[] = [
  { id: 'one', keys: ['team'], collections: ['products'], field: 't', value: 'x' },
];

const CASES: readonly (readonly [
  sentence: string,
  credential: string | undefined,
  collection: string,
  ruling: string,
  more?: Parameters<typeof ruling>[2],
])[] = [
  ['a token with a text', web({ org: 'acme' }), 'products', 'tenant_id = string acme'],
  ['a token with an integer', web({ org: 7 }), 'products', 'tenant_id = bigint 7'],
  ['a token with a list', web({ org: ['a', 7] }), 'products', 'tenant_id = string a,bigint 7'],
  ['a token without it', web({}), 'products', 'missing'],
  ['a token with null', web({ org: null }), 'products', 'missing'],
  ['a token of another name', web({ tenant: 'acme' }), 'products', 'missing'],
  ['a token on another collection', web({ org: 'acme' }), 'other', 'none'],
  ['a token on a free collection, without a value', web({}), 'articles', 'free'],
  ['a token on a constant', web({}), 'logs-2026', 'org = bigint 7'],
  [
    'a token of the admin key, which that entry does not name',
    makeToken({ access: 'm', org: 'a' }, 'admin-key'),
    'logs-2026',
    'none',
  ],
  ['a named key with a record', NAMED, 'products', 'tenant_id = string acme', { tenant: ['acme'] }],
  ['a named key with an integer', NAMED, 'products', 'tenant_id = bigint 7', { tenant: [7] }],
  ['a named key without one', NAMED, 'products', 'missing'],
  ['the admin key, which has no record', 'admin-key', 'products', 'missing'],
  ['the admin key on a free collection', 'admin-key', 'articles', 'free'],
  ['the read-only key', 'reader-key', 'articles', 'none'],
  ['a key without an entry', 'admin-key', 'products', 'no tenancy', { entries: ONE }],
  ['the key with the entry', NAMED, 'products', 't = string x', { entries: ONE }],
  ['without keys, every caller', undefined, 'products', 'missing', { open: true }],
  ['without keys and without an entry for them', undefined, 'products', 'no tenancy', { open: true, entries: ONE }],
];
for (const [sentence, credential, collection, expected, more] of CASES) {
  t.test(`${sentence}: ${expected}`, async (t) => t.equal(told(await ruling(credential, collection, more)), expected));
}

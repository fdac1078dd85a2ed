import t from 'tap';
import { tenantWarnings } from '../../src/gateway/tenant-warnings.ts';
import { UPSTREAM_UNREACHABLE } from '../../src/policy/denial.ts';
import type { TenantSettings } from '../../src/policy/tenants/settings.ts';
import type { PayloadIndex } from '../../src/upstream/lookup.ts';

/** Warnings about what upstream lacks for tenants: indexes, and features of its release. */

const ENTRY: TenantSettings = { id: 'shop', collections: ['products', 'shop-*'], field: 'tenant_id', value: 'acme' };
const KEYWORD: PayloadIndex = { type: 'keyword', isTenant: true };

interface Upstream {
  readonly release?: string;
  readonly collections?: Readonly<Record<string, Readonly<Record<string, PayloadIndex>>>>;
  readonly hasShardKeys?: boolean;
}

function told(
  entries: readonly TenantSettings[],
  { release = '1.19.0', collections = {}, hasShardKeys = false }: Upstream,
) {
  const lookup = {
    version: async () => release,
    listCollections: async () => [...Object.keys(collections), 'gone'],
    collectionSettings: async (name: string) => {
      const indexes = collections[name];
      return indexes && { indexes: new Map(Object.entries(indexes)), hasShardKeys };
    },
  };
  return tenantWarnings(entries, lookup, AbortSignal.timeout(1_000));
}

const on = (index: PayloadIndex, field = 'tenant_id') => ({ collections: { products: { [field]: index } } });
const READS_ALL = '(`shop`): its requests read all points';

const CASES: readonly (readonly [
  sentence: string,
  entries: readonly TenantSettings[],
  upstream: Upstream,
  warnings: readonly string[],
])[] = [
  ['a keyword index with is_tenant', [ENTRY], on(KEYWORD), []],
  [
    'a uuid index, which finds every spelling of a UUID',
    [ENTRY],
    on({ type: 'uuid', isTenant: true }),
    [
      'tenants: on the collection `products` the index on `tenant_id` is of type uuid, not keyword (`shop`): values that are spellings of one UUID are one tenant',
    ],
  ],
  [
    'the same under values of a claim',
    [{ id: 'shop', collections: ['products'], field: 'tenant_id', from: 'org' }],
    on({ type: 'uuid', isTenant: true }),
    [
      'tenants: on the collection `products` the index on `tenant_id` is of type uuid, not keyword (`shop`): values that are spellings of one UUID are one tenant',
    ],
  ],
  [
    'a uuid index under an integer',
    [{ ...ENTRY, value: 7 }],
    on({ type: 'uuid', isTenant: true }),
    [`tenants: on the collection \`products\` the index on \`tenant_id\` is of type uuid, not integer ${READS_ALL}`],
  ],
  ['the path in quotes', [ENTRY], on(KEYWORD, '"tenant_id"'), []],
  [
    'an index without is_tenant',
    [ENTRY],
    on({ type: 'keyword', isTenant: false }),
    [
      'tenants: on the collection `products` the index on `tenant_id` is made without `is_tenant` (`shop`): points of one tenant are not stored together',
    ],
  ],
  [
    'no index',
    [ENTRY],
    { collections: { products: {} } },
    [`tenants: on the collection \`products\` the field \`tenant_id\` has no keyword index ${READS_ALL}`],
  ],
  [
    'an index on another field',
    [ENTRY],
    on(KEYWORD, 'tenant'),
    [`tenants: on the collection \`products\` the field \`tenant_id\` has no keyword index ${READS_ALL}`],
  ],
  [
    'an index of another type',
    [ENTRY],
    on({ type: 'text', isTenant: false }),
    [`tenants: on the collection \`products\` the index on \`tenant_id\` is of type text, not keyword ${READS_ALL}`],
  ],
  [
    'an integer under a keyword index',
    [{ ...ENTRY, value: 7 }],
    on(KEYWORD),
    [`tenants: on the collection \`products\` the index on \`tenant_id\` is of type keyword, not integer ${READS_ALL}`],
  ],
  [
    'an integer index, which knows no is_tenant',
    [{ ...ENTRY, value: 7 }],
    on({ type: 'integer', isTenant: false }),
    [],
  ],
  [
    'values of a claim under any index of their types',
    [{ id: 'shop', collections: ['products'], field: 'tenant_id', from: 'org' }],
    on({ type: 'bool', isTenant: false }),
    [],
  ],
  [
    'a collection of a pattern',
    [ENTRY],
    { collections: { 'shop-a': {} } },
    [`tenants: on the collection \`shop-a\` the field \`tenant_id\` has no keyword index ${READS_ALL}`],
  ],
  ['other collections', [ENTRY], { collections: { articles: {}, shop: {} } }, []],
  [
    'shard keys without one of the tenant',
    [ENTRY],
    { ...on(KEYWORD), hasShardKeys: true },
    [
      'tenants: on the collection `products` points are spread by shard keys, and no entry sets `shard_key`: searches of tenants are refused',
    ],
  ],
  ['shard keys with one of the tenant', [{ ...ENTRY, shard_key: true }], { ...on(KEYWORD), hasShardKeys: true }, []],
  [
    'shard keys by another entry',
    [ENTRY, { ...ENTRY, id: 'keyed', shard_key: true }],
    { ...on(KEYWORD), hasShardKeys: true },
    [],
  ],
  [
    'a shard key of the tenant where there are none',
    [{ ...ENTRY, shard_key: true }],
    on(KEYWORD),
    [
      'tenants: on the collection `products` there are no shard keys: with `shard_key` (`shop`) every request is refused by Qdrant',
    ],
  ],
  [
    'a fallback of the shard key before its release',
    [{ ...ENTRY, shard_key: true, shard_key_fallback: 'shared', shared_statistics: true }],
    { release: '1.15.4' },
    [
      'tenants: Qdrant 1.15.4 is older than 1.16.0: it knows no `shard_key_fallback` (`shop`)',
      'tenants: Qdrant 1.15.4 is older than 1.19.0: with `shared_statistics` (`shop`) scores tell about the points of other tenants',
    ],
  ],
  [
    'an old release',
    [ENTRY],
    { release: '1.15.3' },
    [
      'tenants: Qdrant 1.15.3 is older than 1.15.4: upserts and vectors of tenants are refused until it is upgraded',
      'tenants: Qdrant 1.15.3 is older than 1.19.0: queries of sparse vectors with IDF are refused to tenants',
    ],
  ],
  [
    'shared statistics',
    [{ ...ENTRY, shared_statistics: true }],
    { release: '1.18.0' },
    [
      'tenants: Qdrant 1.18.0 is older than 1.19.0: with `shared_statistics` (`shop`) scores tell about the points of other tenants',
    ],
  ],
  ['shared statistics on a release that needs none', [{ ...ENTRY, shared_statistics: true }], on(KEYWORD), []],
  [
    'free collections alone',
    [{ id: 'all', collections: ['*'], free: true }],
    { release: '1.0.0', collections: { products: {} } },
    [],
  ],
];
for (const [sentence, entries, upstream, warnings] of CASES) {
  t.test(sentence, async (t) => t.strictSame(await told(entries, upstream), warnings));
}

t.test('an upstream that cannot be asked is told once', async (t) => {
  const refused = async () => UPSTREAM_UNREACHABLE;
  const lookup = {
    version: async () => '1.19.0',
    listCollections: async () => ['products'],
    collectionSettings: refused,
  };
  const message = 'tenants: indexes and release were not checked: upstream is not reachable';
  const asked = (part: object) => tenantWarnings([ENTRY], { ...lookup, ...part }, AbortSignal.timeout(1_000));
  t.strictSame(await asked({ version: refused }), [message]);
  t.strictSame(await asked({ listCollections: refused }), [message]);
  t.strictSame(await asked({}), [message]);
});

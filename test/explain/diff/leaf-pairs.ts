/** Two policy files that differ in one leaf alone. The configuration is one of the test; default: without named keys. */
export type Pair = readonly [from: object, to: object, config?: string];

/** Leaves whose changes decide nothing, with the reason. */
export const SILENT: Readonly<Record<string, string>> = {
  'rules[].id': 'a name in the audit log, metrics and `decided by`; shadow rules are told with it',
  'guards[].id': 'a name in the audit log, metrics and `decided by`',
  'limits[].id': 'a name in answers, the audit log and metrics; a key that carries it is told by its verdict',
  'tenants[].id': 'a name',
  ...ofExamples('issuers[].examples[]'),
  ...ofExamples('client_certificates.examples[]'),
};

function ofExamples(path: string): Record<string, string> {
  const leaves = ['collection', 'collections', 'access', 'operations', 'manage', 'max_collections'];
  const all = ['claims', 'refused', 'access', ...leaves.map((leaf) => `access[].${leaf}`)];
  return Object.fromEntries(all.map((leaf) => [`${path}.${leaf}`, 'proven by check-config; an example gives nothing']));
}

/** Pairs of one section. @param make a file with these members in an entry of the section */
function pairs(
  path: string,
  make: (own: object) => object,
  all: Readonly<Record<string, readonly [from: object, to: object]>>,
): Record<string, Pair> {
  return Object.fromEntries(
    Object.entries(all).map(([leaf, [from, to]]) => [`${path}${leaf}`, [make(from), make(to)] as const]),
  );
}

/** Pairs of an access. */
function accessPairs(path: string, make: (access: unknown) => object): Record<string, Pair> {
  const pair = (from: object, to: object): Pair => [make([from]), make([to])];
  const named = { collections: ['a', 'b-*'] };
  return {
    [`${path}.access`]: [make('r'), make('m')],
    [`${path}.access[].collection`]: pair({ collection: 'a', access: 'r' }, { collection: 'b', access: 'r' }),
    [`${path}.access[].collections`]: pair({ ...named, access: 'r' }, { collections: ['a'], access: 'r' }),
    [`${path}.access[].access`]: pair({ ...named, access: 'r' }, { ...named, access: 'rw' }),
    [`${path}.access[].operations`]: pair(
      { ...named, operations: ['search'] },
      { ...named, operations: ['search', 'upsert_points'] },
    ),
    [`${path}.access[].manage`]: pair({ ...named, manage: ['create'] }, { ...named, manage: ['create', 'delete'] }),
    [`${path}.access[].max_collections`]: pair(
      { ...named, manage: ['create'], max_collections: 5 },
      { ...named, manage: ['create'], max_collections: 50 },
    ),
  };
}

const rule = (own: object): object => ({ rules: [{ id: 'a-rule', ...own }] });
const guard = (own: object): object => ({ guards: [{ id: 'a-guard', ...own }] });
const bounds = (own: object): object => guard({ bounds: own });
const limit = (own: object): object => ({ limits: [{ id: 'a-limit', ...own }] });
const tenant = (own: object): object => ({ tenants: [{ id: 'a-tenant', collections: ['a'], ...own }] });
const valued = (own: object): object => tenant({ field: 'group', value: 'acme', ...own });
const tokens = (own: object): object => ({ tokens: own });
const exchange = (own: object): object => ({
  signing_keys: [{ id: 'mint', secret: SECRET, exchange: true }],
  token_exchange: { rest_port: true, ...own },
});
const certificates = (own: object): object => ({
  client_certificates: { id: 'mesh', mappings: [{ id: 'all', access: 'r' }], ...own },
});
const ISSUER = { id: 'corp', issuer: 'https://login.example.com', audiences: ['qdrant'] };
const ALL_READ = [{ id: 'all', access: 'r' }];
const issuer = (own: object): object => ({ issuers: [{ ...ISSUER, mappings: ALL_READ, ...own }] });
const fetched = (own: object): object => issuer({ jwks_url: 'https://login.example.com/keys', ...own });

const SECRET = 'a-signing-secret-of-thirty-two-by';
const OTHER_SECRET = 'another-signing-secret-of-32-bytes';
const QUOTA = { requests: { per: 'minute', most: 10 } };
const BY_ADMIN = [{ keys: ['api_key'] }, { keys: ['alt_api_key'] }] as const;
const BY_SUBJECT = [{ subjects: ['ann'] }, { subjects: ['ben'] }] as const;

/** Members that several sections have, each beside the rest of an entry. */
function scoped(rest: object, ...names: readonly string[]): Record<string, readonly [object, object]> {
  const all: Readonly<Record<string, readonly [object, object]>> = {
    keys: BY_ADMIN,
    subjects: BY_SUBJECT,
    collections: [{ collections: ['a'] }, { collections: ['a', 'b-*'] }],
    operations: [{ operations: ['search'] }, { operations: ['search', 'count'] }],
    mode: [{ mode: 'enforce' }, { mode: 'shadow' }],
  };
  return Object.fromEntries(
    names.map((name) => {
      const [from = {}, to = {}] = all[name] ?? [];
      return [
        name,
        [
          { ...rest, ...from },
          { ...rest, ...to },
        ],
      ] as const;
    }),
  );
}

function quotaPairs(what: string): Record<string, readonly [object, object]> {
  return {
    [`${what}.per`]: [{ [what]: { per: 'minute', most: 100_000 } }, { [what]: { per: 'hour', most: 100_000 } }],
    [`${what}.most`]: [{ [what]: { per: 'minute', most: 100_000 } }, { [what]: { per: 'minute', most: 200_000 } }],
  };
}

function mappingPairs(path: string, make: (mappings: readonly object[]) => object): Record<string, Pair> {
  const one = (own: object): object => make([{ id: 'some', access: 'r', ...own }]);
  return {
    ...accessPairs(path, (access) => make([{ id: 'some', access }])),
    ...pairs(`${path}.`, one, {
      id: [{}, { id: 'other' }],
      claim: [{ claim: 'subject.CN' }, { claim: 'subject.OU' }],
      value: [
        { claim: 'subject.CN', value: 'a' },
        { claim: 'subject.CN', value: 'b' },
      ],
      'values[]': [
        { claim: 'subject.CN', values: ['a'] },
        { claim: 'subject.CN', values: ['a', 'b'] },
      ],
      tenant: [{ tenant: 'acme' }, { tenant: 'other' }],
      'tenant[]': [{ tenant: ['acme'] }, { tenant: ['acme', 'other'] }],
      tenant_from: [{ tenant_from: 'subject.OU' }, { tenant_from: 'subject.CN' }],
    }),
  };
}

function numberPairs(...names: readonly string[]): Record<string, readonly [object, object]> {
  return Object.fromEntries(names.map((name) => [name, [{ [name]: 100 }, { [name]: 100_000 }]] as const));
}

/** For each leaf of the schema, policies that differ there alone. */
export const PAIRS: Readonly<Record<string, Pair>> = {
  ...pairs('signing_keys[].', (own) => ({ signing_keys: [{ id: 'app', ...own }] }), {
    id: [{ secret: SECRET }, { id: 'other', secret: SECRET }],
    secret: [{ secret: SECRET }, { secret: OTHER_SECRET }],
    secret_file: [{ secret_file: 'one.txt' }, { secret_file: 'other.txt' }],
    exchange: [{ secret: SECRET }, { secret: SECRET, exchange: true }],
  }),
  ...accessPairs('rules[]', (access) => rule({ access })),
  ...pairs('rules[].', rule, {
    ...scoped({ access: 'r' }, 'mode', 'keys', 'subjects'),
    ...scoped({}, 'operations'),
    deny_operations: [{ deny_operations: ['search'] }, { deny_operations: ['search', 'upsert_points'] }],
    ready: [{ access: 'm' }, { access: 'm', ready: 'no-snapshots' }],
  }),
  ...pairs('guards[].', guard, {
    ...scoped({ protected: ['a'] }, 'mode'),
    protected: [{ protected: ['a'] }, { protected: ['a', 'b'] }],
    freeze: [{ freeze: ['a'] }, { freeze: true }],
  }),
  ...pairs('guards[].bounds.', bounds, {
    ...scoped({ max_points: 5 }, 'keys', 'subjects', 'collections'),
    ...numberPairs('max_query_limit', 'max_offset', 'search_max_hnsw_ef', 'search_max_oversampling'),
    ...numberPairs('search_max_batchsize', 'max_points', 'filter_max_conditions', 'filter_max_depth'),
    search_allow_exact: [
      { max_points: 5, search_allow_exact: false },
      { max_points: 5, search_allow_exact: true },
    ],
  }),
  ...pairs('limits[].', limit, {
    ...scoped(QUOTA, 'mode', 'keys', 'subjects', 'collections', 'operations'),
    each: [
      { ...QUOTA, each: 'principal' },
      { ...QUOTA, each: 'all' },
    ],
    ...quotaPairs('requests'),
    ...quotaPairs('bytes'),
    ...quotaPairs('cost'),
    concurrent: [{ concurrent: 5 }, { concurrent: 50 }],
  }),
  'limits[].carried': [limit({ ...QUOTA, carried: true }), limit(QUOTA), 'with-keys.yaml'],
  ...pairs('tenants[].', valued, {
    ...scoped({}, 'keys', 'subjects'),
    collections: [{}, { collections: ['a', 'b-*'] }],
    credentials: [{ credentials: 'tokens' }, { credentials: 'keys' }],
    field: [{}, { field: 'owner.id' }],
    value: [{}, { value: 'other' }],
    hide_field: [{}, { hide_field: true }],
    hidden_fields: [{ hidden_fields: ['cost'] }, { hidden_fields: ['cost', 'notes'] }],
    read_only_fields: [{ read_only_fields: ['cost'] }, { read_only_fields: ['cost', 'notes'] }],
    shared_statistics: [{}, { shared_statistics: true }],
    shard_key: [{}, { shard_key: true }],
    shard_key_fallback: [{ shard_key: true }, { shard_key: true, shard_key_fallback: 'rest' }],
  }),
  ...pairs('tenants[].', tenant, {
    'values[]': [
      { field: 'group', values: ['acme'] },
      { field: 'group', values: ['acme', 'other'] },
    ],
    from: [
      { field: 'group', from: 'tenant' },
      { field: 'group', from: 'org' },
    ],
    free: [{ free: true }, { field: 'group', value: 'acme' }],
  }),
  ...mappingPairs('issuers[].mappings[]', (mappings) => issuer({ mappings })),
  ...pairs('issuers[].', issuer, {
    id: [{}, { id: 'other' }],
    preset: [{}, { preset: 'keycloak' }],
    issuer: [{}, { issuer: 'https://other.example.com' }],
    audiences: [{}, { audiences: ['qdrant', 'other'] }],
    jwks_url: [{}, { jwks_url: 'https://login.example.com/keys' }],
    jwks_file: [{ jwks_file: 'keys.json' }, { jwks_file: 'other-keys.json' }],
    algorithms: [{ algorithms: ['RS256'] }, { algorithms: ['RS256', 'ES256'] }],
    types: [{ types: ['JWT'] }, { types: ['JWT', 'none'] }],
    max_lifetime: [{ max_lifetime: 60 }, { max_lifetime: 600 }],
    clock_skew: [{}, { clock_skew: 300 }],
    subject: [{}, { subject: 'oid' }],
  }),
  ...pairs('issuers[].', fetched, {
    ca_file: [{}, { ca_file: 'test-ca.pem' }],
    bearer_token_file: [{}, { bearer_token_file: 'one.txt' }],
    refresh: [{}, { refresh: 60 }],
    cool_down: [{}, { cool_down: 60 }],
    max_stale: [{}, { max_stale: 600 }],
  }),
  ...mappingPairs('client_certificates.mappings[]', (mappings) => certificates({ mappings })),
  ...pairs('client_certificates.', certificates, {
    id: [{}, { id: 'other' }],
    subject: [{}, { subject: 'subject.CN' }],
  }),
  token_patterns: [{ rules: [] }, { rules: [], token_patterns: true }],
  ...pairs('tokens.', tokens, {
    require_exp: [{ max_lifetime: 60 }, { max_lifetime: 60, require_exp: true }],
    max_lifetime: [{ max_lifetime: 60 }, { max_lifetime: 600 }],
    require_access: [{ require_access: true }, { require_access: false }],
    refuse_manage: [{ refuse_manage: true }, { refuse_manage: false }],
    min_secret_bytes: [{ min_secret_bytes: 16 }, { min_secret_bytes: 20 }],
  }),
  ...pairs('token_exchange.', exchange, {
    lifetime: [{}, { lifetime: 3600 }],
    per_minute: [{}, { per_minute: 600 }],
    keys: [{}, { keys: ['api_key'] }],
  }),
  'token_exchange.rest_port': [exchange({}), exchange({ rest_port: false }), 'with-admin.yaml'],
};

import fc from 'fast-check';
import type { CertificateSettings } from '../../src/policy/mapping/certificates.ts';
import type { IssuerSettings, KeySource } from '../../src/policy/mapping/issuer.ts';
import type { MappingSettings } from '../../src/policy/mapping/mapper.ts';
import type { AccessSettings } from '../../src/policy/settings.ts';

/* Random issuers and client certificates over few ids and names, so that two of them meet. */

const literal = fc.subarray(['a', 'ab', 'ab*', 'b*'], { minLength: 1, maxLength: 2 });
const claimed = fc.subarray(['${team}_docs', '${team}-*', '${groups[]}_g', 'a'], { minLength: 1, maxLength: 2 });
const mode = fc.constantFrom('r' as const, 'rw' as const, 'prw' as const);
const operations = fc.option(fc.constantFrom(['clear_payload'], ['set_payload', 'points.query']), { nil: undefined });

const accessTo = (names: fc.Arbitrary<readonly string[]>): fc.Arbitrary<AccessSettings> =>
  fc.oneof(
    fc.constantFrom('r' as const, 'm' as const),
    fc.array(
      fc
        .record({ collections: names, access: mode, operations })
        .map(({ operations: own, ...entry }) => (own ? { ...entry, operations: own } : entry)),
      { minLength: 1, maxLength: 2 },
    ),
  );

const mappingsTo = (names: fc.Arbitrary<readonly string[]>): fc.Arbitrary<readonly MappingSettings[]> =>
  fc
    .uniqueArray(
      fc.record({
        id: fc.constantFrom('one', 'two', 'three'),
        condition: fc.constantFrom<Partial<MappingSettings>>(
          ...[{}, { claim: 'roles', values: ['reader'] }, { claim: 'roles', values: ['reader', 7] }, { claim: 'team' }],
        ),
        access: accessTo(names),
        tenants: fc.constantFrom<Partial<MappingSettings>>({}, {}, { tenant: ['acme'] }, { tenant_from: 'shop.id' }),
      }),
      { selector: ({ id }) => id, minLength: 1, maxLength: 2 },
    )
    .map((all) => all.map(({ id, condition, access, tenants }) => ({ id, ...condition, access, ...tenants })));

const source: fc.Arbitrary<KeySource> = fc.oneof(
  fc.record({
    from: fc.constantFrom('url' as const, 'discovery' as const),
    url: fc.constantFrom('https://one.example.com/keys', 'https://two.example.com/keys'),
    ca: fc.constantFrom(undefined, 'one', 'two'),
    bearerTokenFile: fc.constantFrom(undefined, 'token'),
    refreshMs: fc.constantFrom(300_000, 60_000),
    coolDownMs: fc.constant(30_000),
    maxStaleMs: fc.constantFrom(86_400_000, 60_000),
  }),
  fc.constantFrom('k1', 'k2').map(
    (kid): KeySource => ({
      ...{ from: 'file', keys: [{ kty: 'OKP', kid, alg: undefined, members: { crv: 'Ed25519', x: kid } }] },
    }),
  ),
);

const issuersWith = (names: fc.Arbitrary<readonly string[]>): fc.Arbitrary<readonly IssuerSettings[]> =>
  fc.uniqueArray(
    fc
      .record({
        ...{ id: fc.constantFrom('corp', 'ci'), source, mappings: mappingsTo(names) },
        audiences: fc.constantFrom(['qdrant'], ['qdrant', 'other']),
        algorithms: fc.subarray(['RS256', 'ES256', 'EdDSA'] as const, { minLength: 1 }),
        types: fc.constantFrom(['JWT'], ['JWT', 'none']),
        maxLifetime: fc.constantFrom(undefined, 60),
        clockSkew: fc.constantFrom(30, 0),
        subject: fc.constantFrom('sub', 'oid'),
      })
      .map((one): IssuerSettings => ({ ...one, issuer: `https://${one.id}.example.com`, examples: [] })),
    { selector: ({ id }) => id, maxLength: 2 },
  );

/** Random issuers; names of collections may hold claims. */
export const issuers = issuersWith(fc.oneof(literal, claimed));

/** Random issuers without claims in names. */
export const literalIssuers = issuersWith(literal);

/** A random section of client certificates. */
export const certificates: fc.Arbitrary<CertificateSettings> = fc
  .record({
    id: fc.constantFrom('workload', 'pod'),
    subject: fc.constantFrom(undefined, 'spiffe_id'),
    mappings: mappingsTo(fc.oneof(literal, claimed)),
  })
  .map(({ subject, ...one }) => (subject === undefined ? one : { ...one, subject }));

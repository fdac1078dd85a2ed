import { z } from 'zod';
import { accessSchema } from '../access-schema.ts';
import { name, TENANT_VALUE_FORM, tenantScalar, text } from '../fields.ts';
import { ALGORITHM_NAMES } from './algorithms.ts';
import { PRESET_NAMES } from './presets.ts';

/* The declaration of `issuers` in the policy file. */

const PATH_FORM = 'must be the path of a claim, such as groups, realm_access.roles or "https://example.com/roles"';
const path = (doc: string) => z.string({ error: PATH_FORM }).min(1, PATH_FORM).meta({ description: doc });
const VALUES_FORM = `must be a list, each ${TENANT_VALUE_FORM}`;
const file = (doc: string) =>
  text('the path of a file').min(1, 'must be the path of a file').optional().meta({ description: doc });

const seconds = (doc: string, least: number, most: number) => {
  const form = `must be a whole number of seconds from ${least} to ${most}`;
  return z.int({ error: form }).min(least, form).max(most, form).optional().meta({ description: doc });
};

/** One entry of `mappings`: of an issuer, or of another source of claims. */
export const mappingSchema = z.strictObject(
  {
    id: name('name of the mapping in the audit log'),
    claim: path('claim that decides; unset: the mapping is for every token of the issuer').optional(),
    value: tenantScalar
      .optional()
      .meta({ description: 'the claim equals it, or is a list that holds it; its type counts' }),
    values: z.array(tenantScalar, { error: VALUES_FORM }).min(1, 'must name a value').optional().meta({
      description:
        'several values, each of which is enough; unset like `value`: any value but false, 0 and an empty text',
    }),
    access: accessSchema.meta({
      description: 'the access, as of a named key; names of collections may hold claims in braces after a dollar sign',
    }),
    tenant: z
      .union([tenantScalar, z.array(tenantScalar).min(1, 'must name a tenant')], {
        error: `must be ${TENANT_VALUE_FORM}, or a list of them`,
      })
      .optional()
      .meta({ description: 'tenant, or list of them, for entries of `tenants` with `from`' }),
    tenant_from: path('claim with the tenant, or a list of them').optional(),
  },
  { error: 'must have `id` and `access`' },
);

/** One entry of `examples`. */
export const exampleSchema = z.strictObject(
  {
    claims: z
      .record(z.string(), z.unknown(), { error: 'must be claims by name' })
      .meta({ description: 'claims as in a token' }),
    access: accessSchema.optional().meta({ description: 'the access that the mappings must give, before rules' }),
    refused: z
      .enum(['no_mapping', 'mappings_conflict', 'claim_missing', 'claim_unfit', 'groups_overage'], {
        error: 'must be no_mapping, mappings_conflict, claim_missing, claim_unfit or groups_overage',
      })
      .optional()
      .meta({ description: 'or the code of the refusal' }),
  },
  { error: 'must have `claims`, and `access` or `refused`' },
);

const LIST_FORM = 'must be a list of audiences';

/** One entry of `issuers`. */
export const issuerSchema = z.strictObject(
  {
    id: name('name of the issuer in rules, limits, tenants, revocations and the audit log'),
    preset: z
      .enum(PRESET_NAMES, { error: `must be ${PRESET_NAMES.join(', ')}` })
      .optional()
      .meta({ description: 'defaults for a product' }),
    issuer: text('the exact text of `iss`')
      .min(1, 'must be the exact text of `iss`')
      .optional()
      .meta({ description: 'exact text of `iss`; some presets have one' }),
    audiences: z
      .array(text('text').min(1, LIST_FORM), { error: LIST_FORM })
      .min(1, 'must name an audience: a token for another service must not be accepted here')
      .meta({ description: 'audiences (`aud`), one of which a token must have' }),
    jwks_url: text('an https URL').optional().meta({
      description:
        'URL of the key set; unset, like `jwks_file`: the metadata of the issuer name it (OpenID Connect discovery)',
    }),
    jwks_file: file('file with the key set, in the place of a URL'),
    ca_file: file('CA to trust for the URL, PEM; unset: the CAs of the runtime'),
    bearer_token_file: file('file with a token to send to `jwks_url`; read for each fetch'),
    algorithms: z
      .array(z.enum(ALGORITHM_NAMES, { error: `must be ${ALGORITHM_NAMES.join(', ')}` }), {
        error: 'must be a list of algorithms',
      })
      .min(1, 'must name an algorithm')
      .optional()
      .meta({ description: 'allowed algorithms; unset: those of the preset, or all' }),
    types: z
      .array(text('a list of types').min(1, 'must be a list of types'), { error: 'must be a list of types' })
      .min(1, 'must name a type; `none` stands for a token without one')
      .optional()
      .meta({ description: 'allowed `typ` of the header, `none` = absent; unset: at+jwt, JWT and none' }),
    max_lifetime: seconds(
      'longest life of a token in seconds, from `iat`, or from now without one; unset: any',
      1,
      31_622_400,
    ),
    clock_skew: seconds('tolerance for `exp`, `nbf` and `iat` in seconds; unset: 30', 0, 300),
    subject: path('claim with the subject; unset: sub, or that of the preset').optional(),
    refresh: seconds('time between two fetches of the key set in seconds; unset: 300', 10, 86_400),
    cool_down: seconds('least time between two fetches that unknown keys cause, in seconds; unset: 30', 1, 3600),
    max_stale: seconds(
      'age in seconds from which a key set that cannot be fetched again is not used any more; unset: 86400',
      60,
      2_592_000,
    ),
    mappings: z.array(mappingSchema, { error: 'must be a list of mappings' }).min(1, 'must have a mapping').meta({
      description: 'what claims give; several that match add up, and without one a token is refused',
    }),
    examples: z.array(exampleSchema, { error: 'must be a list of examples' }).optional().meta({
      description: 'claims with the result that the mappings must give, proven by check-config and at each start',
    }),
  },
  { error: 'must have `id`, `audiences` and `mappings`' },
);

/** The section `client_certificates` of the policy file. */
export const certificatesSchema = z
  .strictObject(
    {
      id: name('name of their holders in rules, limits, tenants, revocations and the audit log'),
      subject: issuerSchema.shape.subject.meta({
        description: 'claim with the subject; unset: the SPIFFE id, or else the subject of the certificate',
      }),
      mappings: issuerSchema.shape.mappings.meta({
        description: 'what names give; several that match add up, and without one a certificate is refused',
      }),
      examples: issuerSchema.shape.examples,
    },
    { error: 'must have `id` and `mappings`' },
  )
  .meta({
    description: 'client certificates as identities (`gateway.client_certificates.mode`), and what their names give',
  });

/** An issuer in the form of the file. */
export type RawIssuer = z.output<typeof issuerSchema>;
/** A mapping in the form of the file. */
export type RawMapping = z.output<typeof mappingSchema>;

import { z } from 'zod';
import { accessSchema } from './access-schema.ts';
import { boundsSchema } from './bounds-schema.ts';
import { collectionName, name, names, text } from './fields.ts';
import { certificatesSchema, issuerSchema } from './issuers/schema.ts';
import { tenantSchema } from './tenant-schema.ts';
import { tokenExchangeSchema } from './token-exchange-schema.ts';

/*
 * The only declaration of the policy file: names, types and one line of documentation each. The JSON schema is
 * generated from it, and every entry is validated with it. Unknown members are errors: a misspelt restriction would
 * restrict nothing.
 */

/** One entry of `signing_keys`. */
export const signingKeySchema = z.strictObject(
  {
    id: name('name of the key in `kid`, audit log, revocations and rules'),
    secret: text('text that is not empty')
      .min(1, 'must be text that is not empty')
      .optional()
      .meta({ description: 'the secret; prefer `secret_file`', 'x-secret': true }),
    secret_file: text('the path of a file')
      .min(1, 'must be the path of a file')
      .optional()
      .meta({ description: 'file with the secret; one newline at its end is ignored' }),
    exchange: z.boolean({ error: 'must be true or false' }).optional().meta({
      description:
        'true: the key signs the tokens that the gateway mints (`token_exchange`), and no others; the first one mints',
    }),
  },
  { error: 'must have `id`, and `secret` or `secret_file`' },
);

const access = accessSchema
  .optional()
  .meta({ description: 'upper bound of the access: r, m, or entries for collections; unset: no bound' });

/** One entry of `rules`. */
export const ruleSchema = z.strictObject(
  {
    id: name('name of the rule in audit log and metrics'),
    mode: z
      .enum(['enforce', 'shadow'], { error: 'must be enforce or shadow' })
      .default('enforce')
      .meta({ description: 'enforce refuses; shadow forwards and counts requests that it would refuse' }),
    keys: names('key ids', 'key ids the rule applies to, including tokens signed with them; unset: all'),
    subjects: names(
      'texts',
      "`subject` claims the rule applies to; '' stands for callers without one, including keys; unset: all",
    ),
    access,
    operations: names(
      'operation names',
      'the only permitted operations, by their names in the audit log, or ready groups; unset: all',
    ),
    deny_operations: names(
      'operation names',
      'operations that are refused, by the same names, and batches that can hold one; unset: none',
    ),
    ready: z
      .enum(['no-snapshots'], { error: 'must be no-snapshots' })
      .optional()
      .meta({ description: 'a ready restriction; no-snapshots refuses everything that carries whole collections' }),
  },
  { error: 'must have `id`, and `access`, `operations`, `deny_operations` or `ready`' },
);

const FREEZE_FORM = 'must be true, false, or a list of collections';

/** One entry of `guards`. */
export const guardSchema = z.strictObject(
  {
    id: name('name of the guard in audit log and metrics'),
    mode: z
      .enum(['enforce', 'shadow'], { error: 'must be enforce or shadow' })
      .default('enforce')
      .meta({ description: 'enforce refuses; shadow forwards and counts requests that it would refuse' }),
    protected: z.array(collectionName, { error: 'must be a list of collections' }).optional().meta({
      description:
        'collections that are deleted or replaced only if `x-qdrant-gateway-confirm` names them; a `*` at the end makes a prefix',
    }),
    freeze: z
      .union([z.boolean(), z.array(collectionName, { error: 'must be a list of collections' })], { error: FREEZE_FORM })
      .optional()
      .meta({ description: 'true: nothing is written; or collections that are not written to' }),
    bounds: boundsSchema.optional(),
  },
  { error: 'must have `id`, and `protected`, `freeze` or `bounds`' },
);

const flag = (doc: string) => z.boolean({ error: 'must be true or false' }).default(false).meta({ description: doc });
const natural = (doc: string) =>
  z
    .int({ error: 'must be a whole number from 1' })
    .min(1, 'must be a whole number from 1')
    .optional()
    .meta({ description: doc });

const quota = (what: string) =>
  z
    .strictObject(
      {
        per: z
          .enum(['second', 'minute', 'hour', 'day'], { error: 'must be second, minute, hour or day' })
          .meta({ description: 'unit of time' }),
        most: z
          .int({ error: 'must be a whole number from 1' })
          .min(1, 'must be a whole number from 1')
          .meta({ description: `most ${what} per unit of time; as many may come at once after a rest` }),
      },
      { error: 'must have `per` and `most`' },
    )
    .optional()
    .meta({ description: `${what} per time` });

/** Members of a quota, for error texts. */
export const QUOTA_FIELDS: readonly string[] = ['per', 'most'];

/** One entry of `limits`. */
export const limitSchema = z.strictObject(
  {
    id: name('name of the limit in answers, audit log and metrics'),
    mode: z
      .enum(['enforce', 'shadow'], { error: 'must be enforce or shadow' })
      .default('enforce')
      .meta({ description: 'enforce refuses; shadow forwards and counts requests that it would refuse' }),
    keys: names('key ids', 'key ids the limit applies to, including tokens signed with them; unset: all'),
    subjects: names(
      'texts',
      "`subject` claims the limit applies to; '' stands for callers without one, including keys; unset: all",
    ),
    carried: z
      .boolean({ error: 'must be true or false' })
      .optional()
      .meta({ description: 'true: only for the named keys that name it in `limits`; unset: false' }),
    collections: z.array(collectionName, { error: 'must be a list of collections' }).optional().meta({
      description:
        'only requests on these collections, by the name in the request; a `*` at the end makes a name a prefix; unset: all requests',
    }),
    operations: names(
      'operation names',
      'only these operations, by their names in the audit log, or ready groups; unset: all',
    ),
    each: z
      .enum(['principal', 'network', 'collection', 'all'], { error: 'must be principal, network, collection or all' })
      .default('principal')
      .meta({
        description:
          'who has the amounts alone: each key with each subject, each client network (an IPv4 address, an IPv6 /64), each collection, or all together',
      }),
    requests: quota('requests'),
    bytes: quota('bytes of request bodies'),
    cost: quota('cost of searches and points in vector terms'),
    concurrent: z
      .int({ error: 'must be a whole number from 1' })
      .min(1, 'must be a whole number from 1')
      .optional()
      .meta({ description: 'most requests at once' }),
  },
  { error: 'must have `id`, and `requests`, `bytes`, `cost` or `concurrent`' },
);

/** The section `tokens`. */
export const tokensSchema = z
  .strictObject(
    {
      require_exp: flag('refuse tokens without `exp`'),
      max_lifetime: natural('longest life of a token in seconds, from `iat`, or from now without one; unset: any'),
      require_access: flag('refuse tokens without `access`, which natively have global manage'),
      refuse_manage: flag('refuse tokens with global manage'),
      min_secret_bytes: natural('shortest secret that may sign a token, in bytes; unset: any'),
    },
    { error: 'must be a section with requirements' },
  )
  .meta({ description: 'requirements on tokens beyond Qdrant' });

/** The switch `token_patterns`. */
export const tokenPatternsSchema = z
  .boolean({ error: 'must be true or false' })
  .meta({ description: 'a `*` at the end of a collection in a token makes it a prefix; natively it is literal' });

/** The whole file, for the JSON schema. */
export const policySchema = z.strictObject({
  signing_keys: z
    .array(signingKeySchema)
    .optional()
    .meta({ description: 'further secrets that sign tokens; they are not accepted as keys' }),
  rules: z.array(ruleSchema).optional().meta({ description: 'limits on keys and tokens; a rule never adds access' }),
  guards: z.array(guardSchema).optional().meta({
    description: 'restrictions for every caller, the admin key included, or bounds for some; a guard only forbids',
  }),
  limits: z
    .array(limitSchema)
    .optional()
    .meta({ description: 'limits on permitted requests per caller, operation and collection' }),
  tenants: z
    .array(tenantSchema)
    .optional()
    .meta({ description: 'conditions on every point that keys and tokens read or write; an entry only narrows' }),
  issuers: z
    .array(issuerSchema)
    .optional()
    .meta({ description: 'identity providers whose tokens are accepted, and what their claims give' }),
  client_certificates: certificatesSchema.optional(),
  token_patterns: tokenPatternsSchema.optional(),
  tokens: tokensSchema.optional(),
  token_exchange: tokenExchangeSchema.optional(),
});

/** A signing key in the form of the file. */
export type RawSigningKey = z.output<typeof signingKeySchema>;

/** One entry of a list. */
export interface PolicyEntry<T> {
  /** `undefined` = invalid. */
  readonly entry: T | undefined;
  /** Set whenever it is a text, also in an invalid entry. */
  readonly id: string | undefined;
  /** Its index. */
  readonly at: number;
}

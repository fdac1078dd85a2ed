import { z } from 'zod';
import { accessSchema } from '../policy/access-schema.ts';
import { TENANT_VALUE_FORM, tenantScalar } from '../policy/fields.ts';
import { BREAK_GLASS_HOURS } from './moment.ts';

/*
 * The only declaration of the file of named keys: names, types and one line of documentation each. Words of Qdrant Cloud
 * where it has them.
 */

const NAME = /^[A-Za-z0-9_ -]{4,128}$/;
const NAME_FORM = 'must be 4 to 128 letters, digits, underscores, blanks or dashes';
const ID_FORM = 'must be 4 to 32 lower-case letters and digits';
const HASH_FORM = 'must be sha256:HEX or scrypt:COST:BLOCK:PARALLEL:SALT:HASH, as `qdrant-gateway key` writes it';
const TIME_FORM = 'must be a time such as 2027-01-31T12:00:00Z';
/** RFC 3339, with a time zone. */
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/;

const time = (form: string) =>
  z.string({ error: form }).refine((text) => TIME.test(text) && !Number.isNaN(Date.parse(text)), form);

const hash = z
  .string({ error: HASH_FORM })
  .regex(/^(?:sha256:[0-9a-f]{64}|scrypt:\d{1,7}:\d{1,2}:\d{1,2}:[\w-]{16,128}:[\w-]{43})$/, HASH_FORM);

const previous = z
  .strictObject(
    {
      hash,
      postfix: z.string({ error: 'must be text' }).optional(),
      until: time(TIME_FORM).meta({ description: 'the former text is accepted until then' }),
    },
    { error: 'must have `hash` and `until`' },
  )
  .meta({ description: 'the text before a rotation' });

const TENANT_FORM = `must be ${TENANT_VALUE_FORM}, or a list of them`;
const LIMITS_FORM = 'must be a list of ids of limits of the policy';
const OWNER_FORM = 'must be text of one line, at most 255 characters';

/** One entry of `keys`. */
export const namedKeySchema = z.strictObject(
  {
    id: z
      .string({ error: ID_FORM })
      .regex(/^[a-z0-9]{4,32}$/, ID_FORM)
      .meta({ description: 'id of the key, part of its text' }),
    name: z.string({ error: NAME_FORM }).regex(NAME, NAME_FORM).meta({ description: 'name of the key, for people' }),
    owner: z
      .string({ error: OWNER_FORM })
      .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{0,255}$/u, OWNER_FORM)
      .optional()
      .meta({ description: 'person or team, for lists and audit log' }),
    hash: hash.meta({ description: 'hash of the text of the key' }),
    postfix: z
      .string({ error: 'must be text' })
      .max(8, 'must be at most 8 characters')
      .optional()
      .meta({ description: 'last characters of the text, for lists' }),
    previous: previous.optional(),
    access: accessSchema.meta({ description: 'the access: r, m, or entries for collections, as in rules' }),
    state: z
      .enum(['active', 'disabled'], { error: 'must be active or disabled' })
      .default('active')
      .meta({ description: 'a disabled key is refused' }),
    expires_at: z
      .union([z.literal('never'), time('must be a time such as 2027-01-31T12:00:00Z, or never')], {
        error: 'must be a time such as 2027-01-31T12:00:00Z, or never',
      })
      .meta({ description: 'end of the key, or `never`' }),
    not_before: time(TIME_FORM).optional().meta({ description: 'begin of the key; unset: at once' }),
    networks: z
      .array(z.string({ error: 'must be a list of addresses and ranges' }), {
        error: 'must be a list of addresses and ranges',
      })
      .min(1, 'must name a network; leave it out to accept all')
      .optional()
      .meta({ description: 'client addresses and ranges that may present the key; unset: all' }),
    limits: z
      .array(z.string({ error: LIMITS_FORM }).regex(/^[A-Za-z0-9._-]{1,64}$/, LIMITS_FORM), { error: LIMITS_FORM })
      .min(1, 'must name a limit; leave it out for none')
      .max(16, 'must name at most 16 limits')
      .optional()
      .meta({ description: 'ids of limits of the policy that the key carries, beside those that apply to it anyway' }),
    break_glass: z
      .boolean({ error: 'must be true or false' })
      .optional()
      .meta({ description: `each request needs a reason, and the key ends within ${BREAK_GLASS_HOURS} hours` }),
    tenant: z
      .union([tenantScalar, z.array(tenantScalar).min(1, TENANT_FORM)], { error: TENANT_FORM })
      .optional()
      .meta({ description: 'tenant, or list of them, for entries of `tenants` in the policy with `from`' }),
    created_at: time(TIME_FORM).optional().meta({ description: 'time of creation' }),
  },
  { error: 'must have `id`, `name`, `hash`, `access` and `expires_at`' },
);

/** The whole file, for the JSON schema. */
export const keysSchema = z.strictObject({
  keys: z.array(namedKeySchema).meta({ description: 'named keys' }),
});

/** An entry in the form of the file. */
export type KeyEntry = z.output<typeof namedKeySchema>;

import { z } from 'zod';
import { collectionName, name, names, TENANT_VALUE_FORM, tenantScalar, text } from './fields.ts';

const VALUES_FORM = `must be a list, each ${TENANT_VALUE_FORM}`;
const SWITCH_FORM = 'must be true or false';

const KEY_FORM = 'must be a text or a whole number from 0 to 2^53 - 1';

function fields(what: string) {
  const path = text('the path of a payload field, such as `cost` or `internal.notes`');
  return z.array(path, { error: `must be a list of ${what}` }).optional();
}

/** One entry of `tenants`. */
export const tenantSchema = z.strictObject(
  {
    id: name('name of the entry'),
    keys: names('key ids', 'key ids the entry applies to, including tokens signed with them; unset: all'),
    subjects: names(
      'texts',
      "`subject` claims the entry applies to; '' stands for callers without one, including keys; unset: all",
    ),
    credentials: z
      .enum(['tokens', 'keys'], { error: 'must be tokens or keys' })
      .optional()
      .meta({ description: 'only tokens, or only keys themselves; unset: both' }),
    collections: z.array(collectionName, { error: 'must be a list of collections' }).meta({
      description: 'collections by the name in the request; a `*` at the end of a name makes it a prefix',
    }),
    field: text('the path of a payload field, such as `tenant_id` or `owner.id`')
      .optional()
      .meta({ description: 'payload field that tells tenants apart: a path of keys, without steps into arrays' }),
    value: tenantScalar.optional().meta({ description: 'the only value; its type counts' }),
    values: z
      .array(tenantScalar, { error: VALUES_FORM })
      .optional()
      .meta({ description: 'several values, each of which is allowed' }),
    from: text('the name of a claim').min(1, 'must be the name of a claim').optional().meta({
      description:
        'token claim with the value or a list of values; of a named key its `tenant`; a caller without one is refused',
    }),
    hide_field: z
      .boolean({ error: SWITCH_FORM })
      .optional()
      .meta({ description: 'true: the field does not appear in answers; unset: false' }),
    hidden_fields: fields('hidden fields').meta({
      description:
        'payload fields that the caller does not read: they do not appear in answers, and conditions, orders and scores on them are refused; unset: none',
    }),
    read_only_fields: fields('read-only fields').meta({
      description:
        'payload fields that the caller does not write; points that have a value there keep their payload when it would be replaced; unset: none',
    }),
    shared_statistics: z.boolean({ error: SWITCH_FORM }).optional().meta({
      description:
        'true: sparse and text queries are allowed on a Qdrant that computes their statistics over all tenants; unset: false',
    }),
    shard_key: z.boolean({ error: SWITCH_FORM }).optional().meta({
      description:
        'true: every request is sent with the value as its shard key, for a collection with `sharding_method: custom`; unset: false',
    }),
    shard_key_fallback: z
      .union([z.string().min(1), z.int().min(0).max(Number.MAX_SAFE_INTEGER)], { error: KEY_FORM })
      .optional()
      .meta({
        description:
          'shard key that Qdrant uses as long as that of the tenant does not exist (Qdrant 1.16.0); unset: none',
      }),
    free: z
      .literal(true, { error: 'must be true' })
      .optional()
      .meta({ description: 'true: the collections are used without a condition' }),
  },
  { error: 'must have `id` and `collections`, and `field` with `value`, `values` or `from`, or `free`' },
);

import { z } from 'zod';
import { collectionName, names } from './fields.ts';

/* The access of rules, named keys and mappings. */

const ACCESS_FORM = 'must be r, m, or a list of entries with `collection` or `collections`';

/** One entry of an access: `collection` and `access` as in a token, or the gateway's own form with `collections`. */
export const accessEntrySchema = z.strictObject(
  {
    collection: collectionName
      .optional()
      .meta({ description: 'one collection, as in a token; a `*` at the end makes it a prefix' }),
    collections: z
      .array(collectionName, { error: 'must be a list of collections' })
      .optional()
      .meta({ description: 'collections; a `*` at the end of a name makes it a prefix, and `*` alone is all' }),
    access: z
      .enum(['r', 'rw', 'prw'], { error: 'must be r, rw or prw' })
      .optional()
      .meta({ description: 'upper bound of the operations on them, in the letters of a token' }),
    operations: names('operation names', 'the only permitted operations: names as in the audit log, and ready groups'),
    manage: z
      .array(
        z.enum(['create', 'update', 'delete', 'aliases'], { error: 'must be create, update, delete or aliases' }),
        {
          error: 'must be a list of create, update, delete and aliases',
        },
      )
      .optional()
      .meta({ description: 'rights over the collections as a whole; of an alias, both ends must lie in the entry' }),
    max_collections: z
      .int({ error: 'must be a whole number from 1' })
      .min(1, 'must be a whole number from 1')
      .optional()
      .meta({ description: 'most collections of this entry that may exist after `create`; unset: no limit' }),
  },
  { error: 'must have `collection` and `access`, or `collections` and `access`, `operations` or `manage`' },
);

/** An access, in rules and in named keys. */
export const accessSchema = z.union([z.enum(['r', 'm']), z.array(accessEntrySchema)], { error: ACCESS_FORM });

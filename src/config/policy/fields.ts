import { z } from 'zod';

/* Fields that several entries of the policy file share, each with its error text. */

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const NAME_FORM = 'must be 1 to 64 letters, digits, dots, dashes or underscores';
const COLLECTION_FORM = 'must be the name of a collection';

/** The id of an entry. */
export const name = (doc: string) => z.string({ error: NAME_FORM }).regex(NAME, NAME_FORM).meta({ description: doc });

/** Any text. */
export const text = (what: string) => z.string({ error: `must be ${what}` });

/** An optional list of texts. */
export const names = (what: string, doc: string) =>
  z
    .array(text(`a list of ${what}`), { error: `must be a list of ${what}` })
    .optional()
    .meta({ description: doc });

/** The name of a collection, or a prefix with a trailing `*`. */
export const collectionName = z.string({ error: COLLECTION_FORM }).min(1, COLLECTION_FORM);

/** The form of one value of a tenant, for error texts. Larger integers come from tokens only. */
export const TENANT_VALUE_FORM = 'text that is not empty, a whole number up to 9007199254740991 in size, true or false';

const FORM = { error: `must be ${TENANT_VALUE_FORM}` };

/** One value of a tenant. */
export const tenantScalar = z.union([z.string(FORM).min(1, FORM), z.int(FORM), z.boolean(FORM)], FORM);

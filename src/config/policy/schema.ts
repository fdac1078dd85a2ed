import { z } from 'zod';

/*
 * The only declaration of the policy file: names, types and one line of documentation each. The JSON schema is
 * generated from it, and every entry is validated with it. Unknown members are errors: a misspelt restriction would
 * restrict nothing.
 */

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const NAME_FORM = 'must be 1 to 64 letters, digits, dots, dashes or underscores';

const name = (doc: string) => z.string({ error: NAME_FORM }).regex(NAME, NAME_FORM).meta({ description: doc });

const text = (what: string) => z.string({ error: `must be ${what}` });

const names = (what: string, doc: string) =>
  z
    .array(text(`a list of ${what}`), { error: `must be a list of ${what}` })
    .optional()
    .meta({ description: doc });

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
  },
  { error: 'must have `id`, and `secret` or `secret_file`' },
);

const COLLECTION_FORM = 'must be the name of a collection';
const ACCESS_FORM = 'must be r, m, or a list of `collection` and `access`';

const listedCollection = z.strictObject(
  {
    collection: z.string({ error: COLLECTION_FORM }).min(1, COLLECTION_FORM),
    access: z.enum(['r', 'rw', 'prw'], { error: 'must be r, rw or prw' }),
  },
  { error: 'must have `collection` and `access`' },
);

const access = z
  .union([z.enum(['r', 'm']), z.array(listedCollection)], { error: ACCESS_FORM })
  .optional()
  .meta({ description: 'upper bound of the access, in the letters of a token; unset: no bound' });

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
    operations: names('operation names', 'the only permitted operations, by their names in the audit log; unset: all'),
  },
  { error: 'must have `id`, and `access` or `operations`' },
);

/** The whole file, for the JSON schema. */
export const policySchema = z.strictObject({
  signing_keys: z
    .array(signingKeySchema)
    .optional()
    .meta({ description: 'further secrets that sign tokens; they are not accepted as keys' }),
  rules: z.array(ruleSchema).optional().meta({ description: 'limits on keys and tokens; a rule never adds access' }),
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

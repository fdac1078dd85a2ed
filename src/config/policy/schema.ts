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
    id: name('what `kid`, audit, revocations and rules call the key'),
    secret: text('text that is not empty')
      .min(1, 'must be text that is not empty')
      .optional()
      .meta({ description: 'the secret; better in a file of its own', 'x-secret': true }),
    secret_file: text('the path of a file')
      .min(1, 'must be the path of a file')
      .optional()
      .meta({ description: 'file that holds the secret; one newline at its end is not part of it' }),
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
  .meta({ description: 'at most this much, in the letters of a token; unset: as much as the credential has' });

/** One entry of `rules`. */
export const ruleSchema = z.strictObject(
  {
    id: name('what audit and metrics call the rule'),
    mode: z
      .enum(['enforce', 'shadow'], { error: 'must be enforce or shadow' })
      .default('enforce')
      .meta({ description: 'enforce refuses; shadow lets pass and counts what it would refuse' }),
    keys: names('key ids', 'keys it is for, tokens signed with them included; unset: all'),
    subjects: names(
      'texts',
      "`subject` claims it is for; '' stands for callers without one, keys included; unset: all",
    ),
    access,
    operations: names('operation names', 'only these operations, by the names the audit log has; unset: all'),
  },
  { error: 'must have `id`, and `access` or `operations`' },
);

/** The whole file, for the JSON schema. */
export const policySchema = z.strictObject({
  signing_keys: z
    .array(signingKeySchema)
    .optional()
    .meta({ description: 'further secrets of tokens; they open nothing by themselves' }),
  rules: z
    .array(ruleSchema)
    .optional()
    .meta({ description: 'what is taken away from keys and tokens; a rule never gives anything' }),
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

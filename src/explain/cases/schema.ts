import { z } from 'zod';
import { CREDENTIAL_HEADERS } from '../../identity/credential.ts';
import { DENIAL_CODES, type DenialCode } from '../../policy/denial-codes.ts';

/*
 * The one declaration of files for `policy test`: names, types and the texts of mistakes. The schema is strict, so that a
 * misspelt expectation does not pass.
 */

const text = (what: string) => z.string({ error: `must be ${what}` }).min(1, `must be ${what}`);
const CODES: readonly string[] = Object.keys(DENIAL_CODES);
const EXPECTED_FORM = 'must be allowed, denied, a denial code, or a section with `verdict` or `code`';
const REQUEST = /^[A-Z]{1,20} \/\S*$/;
const SECTION = 'must be a section';

/** A caller: `anonymous` or the id of a key, or the claims of a token. */
const caller = z.union(
  [
    text('a name of `principals`, the id of a key, or anonymous'),
    z.strictObject(
      {
        claims: z.record(z.string(), z.unknown(), { error: SECTION }),
        signing_key: text('the id of a key').optional(),
      },
      { error: 'must have `claims`' },
    ),
  ],
  { error: 'must be a name of `principals`, the id of a key, anonymous, or a section with `claims`' },
);

const expectation = z.strictObject(
  {
    verdict: z.enum(['allowed', 'denied'], { error: 'must be allowed or denied' }).optional(),
    code: z.string().refine(isCode, { error: 'must be a denial code' }).optional(),
    decided_by: text('the id of a rule, guard, limit or tenant, or the place of the access').optional(),
    status: z.int({ error: 'must be a whole number' }).optional(),
    cost: z.int({ error: 'must be a whole number' }).optional(),
    sent: text('a part of the request that goes upstream').optional(),
    filtered: z.boolean({ error: 'must be true or false' }).optional(),
  },
  { error: EXPECTED_FORM },
);

/** One entry of `cases`. */
export const caseSchema = z.strictObject(
  {
    name: text('text that is not empty').optional(),
    as: caller,
    request: z
      .string({ error: 'must be like `GET /collections`' })
      .regex(REQUEST, 'must be like `GET /collections`')
      .optional(),
    grpc: text('a gRPC method, like Points/Search').optional(),
    headers: z
      .record(z.string(), z.string({ error: 'must be text' }), { error: SECTION })
      // Beside the caller one of the two would not count.
      .refine((all) => !Object.keys(all).some((one) => CREDENTIAL_HEADERS.includes(one.toLowerCase())), {
        error: 'must hold no credential: `as` names the caller',
      })
      .optional(),
    body: z.unknown().optional(),
    expect: z.union([z.string({ error: EXPECTED_FORM }).refine(isExpected, { error: EXPECTED_FORM }), expectation], {
      error: EXPECTED_FORM,
    }),
  },
  { error: 'must have `as`, `request` or `grpc`, and `expect`' },
);

/** The member `assume`: facts of the running system. */
export const assumeSchema = z.strictObject(
  {
    release: z
      .string({ error: 'must be like 1.19.2, in quotes' })
      .regex(/^v?\d+\.\d+\.\d+$/, 'must be like 1.19.2')
      .optional(),
    collections: z.array(text('the name of a collection'), { error: 'must be a list of collections' }).optional(),
    idf_vectors: z.array(text('the name of a vector'), { error: 'must be a list of vectors' }).optional(),
    from: text('an address').optional(),
    value_exists: z.boolean({ error: 'must be true or false' }).optional(),
    now: z.iso.datetime({ error: 'must be a time like 2026-11-23T10:00:00Z' }).optional(),
  },
  { error: SECTION },
);

/** The entries of `principals`. */
export const principalsSchema = z.record(z.string(), caller, { error: SECTION });

export type CaseEntry = z.infer<typeof caseSchema>;
export type CaseCaller = z.infer<typeof caller>;
export type Expectation = z.infer<typeof expectation>;
export type AssumeEntry = z.infer<typeof assumeSchema>;

/** Members of a file of cases. */
export const FILE_MEMBERS: readonly string[] = ['principals', 'assume', 'cases'];
/** Members of the sections in it, for the texts of mistakes. */
export const INNER_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  expect: Object.keys(expectation.shape),
  as: ['claims', 'signing_key'],
};

function isCode(text: string): boolean {
  return CODES.includes(text);
}

function isExpected(text: string): boolean {
  return text === 'allowed' || text === 'denied' || isCode(text);
}

/** An expectation written as one word. */
export function expectationOf(expected: CaseEntry['expect']): Expectation {
  if (typeof expected !== 'string') return expected;
  if (expected === 'allowed' || expected === 'denied') return { verdict: expected };
  return { verdict: 'denied', code: expected as DenialCode };
}

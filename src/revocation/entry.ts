import { z } from 'zod';

/** Most revocations of one gateway; more are refused, so that no store can fill the memory. */
export const MAX_ENTRIES = 100_000;

/** Why one more is refused. */
export const TOO_MANY = `there are ${MAX_ENTRIES} revocations already: take out old ones, give \`until\`, or revoke by subject or time`;

interface Common {
  /** Expiry of the entry in seconds since 1970, for example a token's `exp` plus the leeway. */
  readonly until?: number | undefined;
  /** A note for people. */
  readonly reason?: string | undefined;
  /** Time of the revocation in seconds since 1970. */
  readonly at?: number | undefined;
}

/** One revocation as plain data. Two of the same content are the same revocation. */
export type RevocationEntry =
  /** A token (`jti`), a subject (`sub` or `subject`), or a signing key (its id). */
  | ({ readonly kind: 'token' | 'subject' | 'key'; readonly value: string } & Common)
  /** All tokens, or all tokens of a subject, issued before this second since 1970. */
  | ({ readonly kind: 'before'; readonly value: number; readonly subject?: string | undefined } & Common);

/** A problem of an entry: the member, if there is one, and a text without any of its values. */
export interface EntryProblem {
  readonly member: string | undefined;
  readonly message: string;
}

const MAX_TEXT = 1024;
const MAX_REASON = 200;
/** Larger numbers are not in seconds. */
const MAX_SECONDS = 100_000_000_000;
const TIME = 'a time (seconds since 1970, or like 2026-11-23T10:00:00Z)';
const TEXT = `text of 1 to ${MAX_TEXT} characters`;

// Rounded up, to include tokens issued within that second.
const time = z.union([
  z.number().min(0).max(MAX_SECONDS).transform(Math.ceil),
  z.union([z.iso.datetime({ offset: true }), z.iso.date()]).transform((text) => Math.ceil(Date.parse(text) / 1000)),
]);
const common = {
  until: time.optional(),
  reason: z.string().min(1).max(MAX_REASON).optional(),
  at: time.optional(),
};
const named = z.strictObject({
  kind: z.enum(['token', 'subject', 'key']),
  value: z.string().min(1).max(MAX_TEXT),
  ...common,
});
const before = z.strictObject({
  kind: z.literal('before'),
  value: time,
  subject: z.string().min(1).max(MAX_TEXT).optional(),
  ...common,
});
const schema = z.discriminatedUnion('kind', [named, before]);

const ALLOWED: Readonly<Record<string, string>> = {
  kind: 'token, subject, key or before',
  value: TEXT,
  subject: TEXT,
  until: TIME,
  reason: `text of 1 to ${MAX_REASON} characters`,
  at: TIME,
};

/** Validates an entry. No problem quotes a value: it may be a claim, or a token given by mistake. */
export function readEntry(input: unknown): RevocationEntry | readonly EntryProblem[] {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const kind = typeof input === 'object' && input !== null && 'kind' in input ? input.kind : undefined;
  return parsed.error.issues.flatMap((issue) => problemsOf(issue, kind));
}

/** Validates what is to be lifted: `kind`, `value` and, of a time, `subject`. An entry is meant whatever its end. */
export function readLifted(input: unknown): RevocationEntry | readonly EntryProblem[] {
  const read = readEntry(input);
  if (!isEntry(read)) return read;
  const member = (['until', 'reason', 'at'] as const).find((one) => read[one] !== undefined);
  if (member === undefined) return read;
  return [
    {
      member,
      message: `\`${member}\` is of no matter for a lift: give \`kind\`, \`value\` and, of a time, \`subject\``,
    },
  ];
}

/** True = both revoke the same, whatever their ends. */
export function isSameRevocation(one: RevocationEntry, other: RevocationEntry): boolean {
  const subjects = [one, other].map((entry) => (entry.kind === 'before' ? entry.subject : undefined));
  return one.kind === other.kind && one.value === other.value && subjects[0] === subjects[1];
}

/** True = `readEntry` returned an entry. */
export function isEntry(read: RevocationEntry | readonly EntryProblem[]): read is RevocationEntry {
  return 'kind' in read;
}

function problemsOf(issue: z.core.$ZodIssue, kind: unknown): EntryProblem[] {
  if (issue.code === 'unrecognized_keys') {
    const allowed = Object.keys(kind === 'before' ? before.shape : named.shape).join(', ');
    return issue.keys.map((key) => {
      const member = key in ALLOWED ? ` \`${key}\`` : '';
      return { member: key, message: `unknown member${member}: allowed are ${allowed}` };
    });
  }
  const [member] = issue.path;
  if (typeof member !== 'string') {
    return [{ member: undefined, message: 'a revocation must have members `kind` and `value`' }];
  }
  const allowed = member === 'value' && kind === 'before' ? TIME : ALLOWED[member];
  return [{ member, message: `\`${member}\` must be ${allowed ?? 'something else'}` }];
}

/** The identity of an entry: its deciding members, as text. */
export function entryId(entry: RevocationEntry): string {
  const subject = entry.kind === 'before' ? (entry.subject ?? null) : null;
  return JSON.stringify([entry.kind, entry.value, subject, entry.until ?? null]);
}

/** True = the entry has expired. `now` in seconds since 1970. */
export function isOver(entry: RevocationEntry, now: number): boolean {
  return entry.until !== undefined && entry.until < now;
}

/** Entries by id, without duplicates. */
export function byId(entries: Iterable<RevocationEntry>): ReadonlyMap<string, RevocationEntry> {
  return new Map([...entries].map((entry) => [entryId(entry), entry]));
}

import { type Entry, readEntries } from '../../audit/reading/entries.ts';
import { collectionsOf } from '../../audit/reading/filter.ts';
import { renderLearned } from '../../learning/render.ts';
import { GRPC_OPERATIONS } from '../../operations/grpc.ts';
import { REST_OPERATIONS } from '../../operations/rest.ts';
import { DENIAL_CODES, type DenialCode, reasonOf } from '../../policy/denial-codes.ts';
import { type Caller, Learner, type Seen } from '../../policy/learn.ts';
import type { Operation } from '../../policy/operation.ts';
import { WHOLE_POLICY } from '../../policy/rules.ts';
import type { Report } from '../frame/declare.ts';
import type { Output } from '../output.ts';
import { type FilterFlags, filterFrom } from './filter.ts';
import { filesOf } from './query.ts';

const OPERATIONS: ReadonlyMap<string, Operation> = new Map(
  [...REST_OPERATIONS, ...GRPC_OPERATIONS].map((operation) => [operation.name, operation]),
);

/** `learn`: the smallest policy for the requests of audit files, as `gateway.mode: learn` makes it of a running gateway. */
export async function learnFromAudit(
  paths: readonly string[],
  flags: FilterFlags,
  output: Output,
  now: number,
): Promise<Report> {
  const fits = filterFrom(flags, now);
  const learner = new Learner();
  const numbers = { learned: 0, left_out: 0 };
  await readEntries(filesOf(paths), (entry) => {
    if (!fits(entry)) return;
    const seen = seenIn(entry);
    if (seen) learner.see(seen);
    numbers[seen ? 'learned' : 'left_out'] += 1;
  });
  output.err(
    `learned from ${numbers.learned} requests; ${numbers.left_out} entries were refused, or are of other kinds\n`,
  );
  const policy = renderLearned(learner.snapshot());
  return { text: policy, json: { ...numbers, policy } };
}

/** The observation in an entry; `undefined` = it was refused, or names no operation of this release. */
function seenIn(entry: Entry): Seen | undefined {
  const operation = OPERATIONS.get(String(entry.operation));
  const at = Date.parse(String(entry.timestamp));
  if (entry.result !== 'ok' || entry.error !== undefined || !operation || Number.isNaN(at)) return undefined;
  // Entries leave out collections beyond a number: what is learned would be too little.
  if (entry.collections_left_out !== undefined) return undefined;
  const caller = callerOf(entry);
  if (!caller) return undefined;
  const target = typeof entry.collection === 'string' ? entry.collection : undefined;
  return { caller, operation, target, others: collectionsOf(entry).filter((name) => name !== target), at };
}

function callerOf({ key, subject, would_deny: shadowed }: Entry): Caller | undefined {
  const { rule, code } = Object(shadowed) as { rule?: unknown; code?: unknown };
  const isRefused = rule === WHOLE_POLICY;
  if (typeof key === 'string' && !isRefused) {
    return { kind: 'principal', keyId: key, subject: typeof subject === 'string' ? subject : '' };
  }
  return isRefused && key === undefined && isOfCredential(code) ? { kind: 'stranger', code } : undefined;
}

/** A refusal of the credential: the caller would need another one. */
function isOfCredential(code: unknown): code is DenialCode {
  return (
    typeof code === 'string' && Object.hasOwn(DENIAL_CODES, code) && reasonOf(code as DenialCode) === 'authentication'
  );
}

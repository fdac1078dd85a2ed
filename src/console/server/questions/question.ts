import { readPolicyDraft } from '../../../config/policy/draft.ts';
import type { PolicyPreview } from '../../../config/policy/file.ts';
import { ConfigError, type Problem } from '../../../config/problem.ts';
import type { State } from '../../../config/state.ts';
import { answerOf } from '../../../explain/answer.ts';
import { assumed } from '../../../explain/assumptions.ts';
import { type Caller, UnknownCaller } from '../../../explain/caller.ts';
import { CoverageCount } from '../../../explain/cases/coverage.ts';
import { readCases } from '../../../explain/cases/file.ts';
import { runCases } from '../../../explain/cases/run.ts';
import { spaceOf } from '../../../explain/diff/changes.ts';
import { policyDiff } from '../../../explain/diff/report.ts';
import { type AskedRequest, judge } from '../../../explain/judge.ts';
import { accessMatrix } from '../../../explain/matrix.ts';
import { callOf } from '../../../explain/message/call.ts';
import { MessageFault } from '../../../explain/message/from-json.ts';
import { offlineParts, partsToSurvey } from '../../../explain/parts.ts';
import { AskedAgain } from '../../../explain/past/again.ts';
import type { PastEvent } from '../../../explain/past/events.ts';
import { todayOf } from '../../../explain/past/today.ts';
import { readCaller } from '../../../explain/read-caller.ts';
import { leftOut } from '../../../explain/space/left-out.ts';
import { isOnAliases, isOnCollection, rowsNamed } from '../../../explain/space/operations.ts';
import { whoCan } from '../../../explain/who-can.ts';
import { checkUsable } from '../../../gateway/usable.ts';
import { OPERATION_NAMES } from '../../../operations/names.ts';
import type { AccessMatrix, CaseRun, Diff, DraftCheck, Tried, TryRequest, Why } from '../../api/questions.ts';
import type { Role } from '../../api.ts';
import { cut } from './bounds.ts';
import { hasPlace, withSecrets } from './policy-secrets.ts';
import { draftReading, keptSecrets, type ShownPolicy, shownPolicy } from './policy-text.ts';

/*
 * Questions about the decision that take long: they are answered by the functions of the command line, on a thread of their own. Each
 * question is plain data, and so is its answer.
 */

interface Asked {
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** A draft of the policy. */
interface Draft {
  readonly draft: string | undefined;
  /** Of its author. INVARIANT: for one that only reads, no file is opened but those that the policy in force names. */
  readonly role: Role;
}

/** A draft as it would be written, with the secrets of the file. INVARIANT: only for its way into the file. */
export interface WholeDraft extends DraftCheck {
  readonly text: string;
}

export type Question = Asked &
  (
    | { readonly kind: 'matrix'; readonly collections: readonly string[] }
    | {
        readonly kind: 'why';
        readonly operation: string;
        readonly collection: string | undefined;
        readonly caller: string;
      }
    | { readonly kind: 'try'; readonly request: TryRequest; readonly release: string | undefined }
    | { readonly kind: 'today'; readonly entry: PastEvent }
    | { readonly kind: 'policy'; readonly role: Role }
    | { readonly kind: 'whole'; readonly draft: string }
    | ({ readonly kind: 'check' } & Draft)
    | ({ readonly kind: 'diff' } & Draft)
    | ({ readonly kind: 'tests'; readonly cases: string } & Partial<Draft>)
  );

export type Progress = (done: number, all: number) => void;

/** A question that has no answer, with sentences for the reader. */
export class QuestionFault extends Error {
  readonly code = 'ERR_QUESTION';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems[0] ?? 'the question has no answer');
    this.problems = problems;
  }
}

/** Answers a question. Rejects with `QuestionFault`. @param state without its certificates: no answer depends on them */
export async function answerQuestion(question: Question, state: State, progress: Progress): Promise<object> {
  try {
    return await answer(question, state, progress);
  } catch (error) {
    if (error instanceof UnknownCaller || error instanceof MessageFault) throw new QuestionFault([error.message]);
    throw error;
  }
}

async function answer(question: Question, state: State, progress: Progress): Promise<object> {
  const { now } = question;
  switch (question.kind) {
    case 'matrix': {
      const parts = partsToSurvey(state, now);
      const matrix = await accessMatrix(parts, spaceOf([parts], question.collections));
      return { ...matrix, notes: leftOut([state]) } satisfies Omit<AccessMatrix, 'left_out'>;
    }
    case 'why':
      return await why(question, state);
    case 'try':
      return await tryRequest(question, state);
    case 'today':
      return { today: await todayOf(new AskedAgain([partsToSurvey(state, now)]), question.entry) };
    case 'policy':
      return shownPolicy(state, question.role) satisfies ShownPolicy;
    case 'whole':
      return wholeDraft(state, question.draft);
    case 'check':
      return checkDraft(state, question);
    case 'diff':
      return firstGroups(await policyDiff(state, stateOfDraft(state, question), now, progress)) satisfies Diff;
    case 'tests':
      return await runTests(question, state);
    default:
      return question satisfies never;
  }
}

async function why(
  { now, operation, collection, caller }: Extract<Question, { kind: 'why' }>,
  state: State,
): Promise<Why> {
  const rows = rowsNamed(operation);
  if (rows.length === 0) throw new QuestionFault([`unknown operation \`${operation}\``]);
  const takesName = rows.some((row) => isOnCollection(row) || isOnAliases(row));
  const { callers } = await whoCan(partsToSurvey(state, now), rows, takesName ? collection : undefined);
  return { callers: callers.filter((one) => one.caller === caller) };
}

async function tryRequest({ now, request, release }: Extract<Question, { kind: 'try' }>, state: State): Promise<Tried> {
  const parts = offlineParts(state, assumed({ now, ...(release !== undefined && { release }) }));
  const caller: Caller =
    request.credential === undefined
      ? readCaller(request.as ?? 'anonymous', undefined)
      : { kind: 'credential', text: request.credential };
  const { protocol, target, method = 'GET', body = '' } = request;
  const asked: AskedRequest =
    protocol === 'grpc'
      ? { protocol, ...callOf(target, jsonOf(body)), headers: [] }
      : { protocol, method, target, headers: [], body: Buffer.from(body) };
  return answerOf(await judge(parts, asked, caller), parts, protocol);
}

function jsonOf(text: string | undefined): unknown {
  if (text === undefined || text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new QuestionFault(['The message must be JSON.']);
  }
}

/** Problems and warnings of one answer; the first ones of more. */
const MOST_TOLD = 200;

function checkDraft(state: State, draft: Draft): DraftCheck {
  const { policy, problems: all, warnings: allWarnings } = readDraft(state, draft);
  const warnings = allWarnings.slice(0, MOST_TOLD).map(cut);
  if (all.length > 0) {
    const more = { place: 'draft', message: `${all.length - MOST_TOLD} more problems are not shown` };
    const problems = all.length > MOST_TOLD ? [...all.slice(0, MOST_TOLD), more] : all;
    return { problems: problems.map(cutProblem), warnings, counts: null };
  }
  const usable = problemsInUse({ ...state, policy });
  const { rules, guards = [], limits = [], tenants = [], issuers = [], signingKeys } = policy;
  const counts = {
    ...{ rules: rules.length, guards: guards.length, limits: limits.length, tenants: tenants.length },
    ...{ issuers: issuers.length, signing_keys: signingKeys.length },
  };
  return { problems: usable, warnings, counts: usable.length > 0 ? null : counts };
}

function cutProblem({ place, message }: Problem): Problem {
  return { place, message: cut(message) };
}

/** Problems that a reload would find beyond those of the text. */
function problemsInUse(state: State): DraftCheck['problems'] {
  try {
    // Neither listeners nor files are a matter of the policy.
    checkUsable({ ...state, config: { ...state.config, service: { ...state.config.service, enable_tls: false } } });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

function wholeDraft(state: State, draft: string): WholeDraft {
  const made = withSecrets(draft, hasPlace(draft) ? keptSecrets(state, 'full') : []);
  if ('problem' in made) throw new QuestionFault([made.problem]);
  // The text that is written is the one that is checked.
  return { ...checkDraft(state, { draft: made.text, role: 'full' }), text: made.text };
}

function readDraft(state: State, { draft = '', role }: Draft): PolicyPreview {
  return readPolicyDraft(state, draft, { operations: OPERATION_NAMES, ...draftReading(state, draft, role) });
}

/** The first groups of a diff, and the first names of each. */
function firstGroups(whole: Omit<Diff, 'left_out'>): Diff {
  const groups = whole.groups.slice(0, MOST_GROUPS).map((group) => ({
    ...{ kind: group.kind, role: group.role, from: group.from, to: group.to },
    merged_callers: group.merged_callers.slice(0, MOST_NAMES),
    collections: group.collections.slice(0, MOST_NAMES),
    operations: group.operations.slice(0, MOST_NAMES),
  }));
  return { ...whole, groups, left_out: whole.groups.length - groups.length };
}

const MOST_GROUPS = 200;
const MOST_NAMES = 60;

/** The state with a draft in the place of its policy. Throws `QuestionFault`. */
function stateOfDraft(state: State, draft: Draft): State {
  const { policy, problems } = readDraft(state, draft);
  if (problems.length > 0) throw new QuestionFault(problems.map(({ place, message }) => `${place}: ${message}`));
  return { ...state, policy };
}

async function runTests(
  { now, draft, role = 'read', cases: text }: Extract<Question, { kind: 'tests' }>,
  state: State,
): Promise<CaseRun> {
  const { cases, problems } = readCases('cases', text);
  if (problems.length > 0) throw new QuestionFault(problems.map(({ place, message }) => `${place}: ${message}`));
  const own = draft === undefined ? state : stateOfDraft(state, { draft, role });
  const coverage = new CoverageCount(own);
  const results = await runCases(cases, own, { now, coverage });
  const passed = results.filter((one) => one.passed).length;
  return {
    ...{ passed, failed: results.length - passed },
    cases: results.map(({ name, place, passed: isPassed, differences }) => ({
      name,
      place,
      passed: isPassed,
      differences,
    })),
    coverage: coverage.parts.map(({ part, cases: number }) => ({ part, cases: number })),
  };
}

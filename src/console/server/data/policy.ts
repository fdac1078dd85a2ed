import { z } from 'zod';
import { requestAt } from '../../../observability/metrics/tally.ts';
import type { PolicyPage } from '../../api/questions.ts';
import { fixedBecause, PolicyFileFault, readPolicyText, revisionOf, writePolicyText } from '../policy-file.ts';
import { MOST_TEXT, type ShownPolicy } from '../questions/policy-text.ts';
import type { WholeDraft } from '../questions/question.ts';
import type { ConsoleSource } from '../source.ts';
import { answerTo, askSlowly, problemsOf } from './askers.ts';
import { type Job, Jobs } from './jobs.ts';
import { type DataAnswer, type DataCall, type DataRow, ok, problem } from './row.ts';
import { issueText } from './tokens.ts';

const MAX_BODY = 262_144;

const draft = z.string().max(MOST_TEXT);
const draftSchema = z.strictObject({ draft });
const testSchema = z.strictObject({ draft: draft.optional(), cases: draft });
const writeSchema = z.strictObject({ draft, revision: z.string().max(64) });

const jobs = new WeakMap<ConsoleSource, Jobs>();

/** The page Policy. */
export const policyRows: readonly DataRow[] = [
  { method: 'GET', name: 'policy', role: 'read', answer: page },
  { method: 'POST', name: 'policy/check', role: 'read', maxBody: MAX_BODY, answer: check },
  { method: 'POST', name: 'policy/tests', role: 'read', maxBody: MAX_BODY, answer: test },
  { method: 'POST', name: 'policy/diff', role: 'read', maxBody: MAX_BODY, answer: diff },
  { method: 'GET', name: 'policy/job', role: 'read', query: ['id'], answer: job },
  { method: 'POST', name: 'policy/write', role: 'full', maxBody: MAX_BODY, answer: write },
];

async function page(call: DataCall): Promise<DataAnswer> {
  const { source, session } = call;
  const { config } = source.state();
  const file = config.gateway.policy_file;
  const answer = await answerTo(call, { kind: 'policy', role: session.role });
  if (answer.status !== 200) return answer;
  const shown = answer.body as ShownPolicy;
  const { figures, reloads } = await source.facts();
  const shadow = new Map<string, number>();
  for (const [at, count] of figures.tally.requests) {
    const { decision, code } = requestAt(at);
    if (decision === 'would_deny') shadow.set(code, (shadow.get(code) ?? 0) + count);
  }
  const found: PolicyPage = {
    ...{ file, text: shown.text, revision: shown.text === null ? null : shown.revision },
    in_force: reloads.last?.ok !== false,
    fixed: shown.text === null ? shown.why : file && fixedBecause(file),
    shadow: [...shadow].map(([code, requests]) => ({ code, requests })),
    limits: Object.entries(figures.limited).map(([id, counts]) => ({ id, ...counts })),
    mode: config.gateway.mode,
  };
  return ok(found);
}

async function check(call: DataCall): Promise<DataAnswer> {
  const asked = draftSchema.safeParse(call.body);
  if (!asked.success) return problem(400, issueText(asked.error));
  return await answerTo(call, { kind: 'check', draft: asked.data.draft, role: call.session.role });
}

async function test(call: DataCall): Promise<DataAnswer> {
  const asked = testSchema.safeParse(call.body);
  if (!asked.success) return problem(400, issueText(asked.error));
  const { draft: text, cases } = asked.data;
  return await answerTo(call, { kind: 'tests', draft: text, role: call.session.role, cases });
}

/** Begins a diff against the policy in force; the page asks for its state. */
function diff(call: DataCall): DataAnswer {
  const { source, session } = call;
  const asked = draftSchema.safeParse(call.body);
  if (!asked.success) return problem(400, issueText(asked.error));
  const own = jobs.get(source) ?? new Jobs();
  jobs.set(source, own);
  const id = own.begin(session);
  if (id === undefined) return problem(503, 'Your last two comparisons are not done yet. Ask again when they are.');
  const set = (state: Job): void => own.set(id, state);
  askSlowly(call, { kind: 'diff', draft: asked.data.draft, role: session.role }, (done, all) =>
    set({ state: 'running', done, all }),
  ).then(
    (found) => set({ state: 'done', json: `{"state":"done","diff":${String(found)}}` }),
    (error: unknown) => {
      const told = problemsOf(error);
      if (!told) source.fault(error);
      set({ state: 'failed', problems: told ?? ['The diff failed; the log of the gateway tells more.'] });
    },
  );
  return ok({ job: id });
}

function job({ source, query, session }: DataCall): DataAnswer {
  const found = jobs.get(source)?.get(query.id ?? '', session);
  if (found) return ok(found.state === 'done' ? found.json : found);
  return problem(404, 'This diff is not kept any more. Ask again.');
}

/** Checks, writes and reloads; a draft that the reload refuses is taken back, so that it changes nothing. */
async function write(call: DataCall): Promise<DataAnswer> {
  const { source, body, act } = call;
  const asked = writeSchema.safeParse(body);
  if (!asked.success) return problem(400, issueText(asked.error));
  const { revision } = asked.data;
  const file = source.state().config.gateway.policy_file;
  if (file === null) return problem(409, 'No policy file is configured.');
  const checked = await answerTo(call, { kind: 'whole', draft: asked.data.draft });
  if (checked.status !== 200) return checked;
  const { text, problems } = checked.body as WholeDraft;
  const policy = { revision: revisionOf(text), former: revision };
  const told = (result: 'ok' | 'failed'): void => act({ method: 'gateway_policy_write', policy, result });
  if (problems.length > 0) {
    told('failed');
    return refused(
      422,
      problems.map(({ place, message }) => `${place}: ${message}`),
    );
  }
  try {
    const before = readPolicyText(file);
    await writePolicyText(file, text, revision);
    const { ok: done, body: answer } = await source.reload();
    if (!done) {
      told('failed');
      const { problems: why = [] } = answer as { readonly problems?: readonly string[] };
      return refused(422, [await putBack(source, file, { from: policy.revision, to: before.text }), ...why]);
    }
  } catch (error) {
    told('failed');
    if (error instanceof PolicyFileFault) return refused(409, [error.message]);
    throw error;
  }
  told('ok');
  return ok({ revision: policy.revision });
}

/** Puts the former text back, after a reload that refused the new one. Returns what became of it, for the reader. */
async function putBack(
  source: ConsoleSource,
  file: string,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<string> {
  try {
    await writePolicyText(file, to, from);
  } catch (error) {
    if (!(error instanceof PolicyFileFault)) throw error;
    return `The reload refused it: the policy of before stays in force, but the file could not be put back. ${error.message}`;
  }
  // The state of the last reload is that of the file again.
  await source.reload();
  return 'The reload refused it, and the file is as it was before.';
}

function refused(status: number, problems: readonly string[]): DataAnswer {
  return { status, body: { error: problems[0] ?? '', problems } };
}

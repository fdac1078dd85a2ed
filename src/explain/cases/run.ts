import type { State } from '../../config/state.ts';
import { type Answer, answerOf } from '../answer.ts';
import { assumed } from '../assumptions.ts';
import { type Caller, UnknownCaller } from '../caller.ts';
import { type AskedRequest, judge } from '../judge.ts';
import { callOf } from '../message/call.ts';
import { MessageFault } from '../message/from-json.ts';
import { type OfflineParts, offlineParts } from '../parts.ts';
import { readCaller } from '../read-caller.ts';
import type { CoverageCount } from './coverage.ts';
import type { CaseFile, PlacedCase } from './file.ts';
import { type CaseEntry, type Expectation, expectationOf } from './schema.ts';

/** A case that has been run. */
export interface CaseResult {
  readonly file: string;
  readonly name: string;
  readonly place: string;
  readonly passed: boolean;
  /** The differences between expectation and answer, one sentence each; empty = it passed. */
  readonly differences: readonly string[];
  /** `undefined` = the case could not be asked. */
  readonly answer: Answer | undefined;
}

/** Runs the cases of a file. @param now milliseconds since 1970, unless the file assumes another time */
export async function runCases(
  file: CaseFile,
  state: State,
  { now, coverage }: { readonly now: number; readonly coverage: CoverageCount | undefined },
): Promise<readonly CaseResult[]> {
  const { release, collections, idf_vectors: idf, from, value_exists: exists, now: at } = file.assume;
  const assumptions = assumed({
    now: at === undefined ? now : Date.parse(at),
    ...(release !== undefined && { release: release.replace(/^v/, '') }),
    ...(collections && { collections }),
    ...(idf && { idfVectors: new Set(idf) }),
    ...(from !== undefined && { remote: from }),
    ...(exists !== undefined && { valueExists: exists }),
  });
  const parts = offlineParts(state, assumptions);
  const results: CaseResult[] = [];
  for (const one of file.cases) results.push(await runCase(file, one, parts, coverage));
  return results;
}

async function runCase(
  file: CaseFile,
  { name, place, entry }: PlacedCase,
  parts: OfflineParts,
  coverage: CoverageCount | undefined,
): Promise<CaseResult> {
  const done = (differences: readonly string[], answer?: Answer): CaseResult => ({
    ...{ file: file.file, name, place, passed: differences.length === 0, differences, answer },
  });
  try {
    const request = requestOf(entry);
    const judged = await judge(parts, request, callerOf(file, entry));
    if (judged.kind === 'judged') coverage?.see(judged, parts);
    const answer = answerOf(judged, parts, request.protocol);
    return done(differencesOf(expectationOf(entry.expect), answer), answer);
  } catch (error) {
    if (error instanceof UnknownCaller || error instanceof MessageFault) return done([error.message]);
    throw error;
  }
}

function callerOf({ principals }: CaseFile, { as }: CaseEntry): Caller {
  const named = typeof as === 'string' && Object.hasOwn(principals, as) ? principals[as] : undefined;
  const caller = named ?? as;
  if (typeof caller !== 'string') return { kind: 'claims', claims: caller.claims, signingKey: caller.signing_key };
  return readCaller(caller, undefined);
}

function requestOf({ request, grpc, headers = {}, body }: CaseEntry): AskedRequest {
  const flat = Object.entries(headers).flatMap(([name, value]) => [name, Buffer.from(value).toString('latin1')]);
  if (grpc !== undefined) return { protocol: 'grpc', ...callOf(grpc, body), headers: flat };
  const [method = '', target = ''] = (request ?? '').split(' ');
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  return { protocol: 'rest', method, target, headers: flat, body: Buffer.from(text) };
}

/** One sentence for each member of the expectation that the answer does not have. */
function differencesOf(expected: Expectation, answer: Answer): readonly string[] {
  const { verdict, code, decided_by: by, status, cost, sent, filtered } = expected;
  const { decided_by: decided, sent_instead: instead } = answer;
  const place = decided && [decided.kind, decided.id, decided.path].filter((part) => part !== undefined).join(' ');
  const found = instead && `${instead.request} ${instead.body}`;
  return [
    ...differs('verdict', verdict, verdict === undefined ? verdict : answer.verdict),
    ...differs('code', code, code === undefined ? code : (answer.code ?? 'none')),
    ...differs('status', status, status === undefined ? status : answer.answer?.status),
    ...differs('cost', cost, cost === undefined ? cost : answer.cost),
    ...differs('filtered', filtered, filtered === undefined ? filtered : answer.filtered === true),
    ...(by === undefined || place?.includes(by) ? [] : [`decided_by: expected ${by}, found ${place ?? 'nothing'}`]),
    ...(sent === undefined || found?.includes(sent)
      ? []
      : [`sent: expected ${sent}, found ${found ?? 'the request itself'}`]),
  ];
}

function differs(member: string, expected: unknown, found: unknown): readonly string[] {
  return expected === found ? [] : [`${member}: expected ${String(expected)}, found ${String(found ?? 'none')}`];
}

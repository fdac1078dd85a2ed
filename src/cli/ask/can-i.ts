import { readBounded } from '../../config/files/bounded-read.ts';
import { environmentVariable, type Flags } from '../../config/load.ts';
import { withoutNewline } from '../../config/secrets.ts';
import type { State } from '../../config/state.ts';
import { answerOf } from '../../explain/answer.ts';
import { type Caller, UnknownCaller } from '../../explain/caller.ts';
import { type AskedRequest, judge } from '../../explain/judge.ts';
import { askedFacts, type OnlineFlag } from '../../explain/online.ts';
import { offlineParts } from '../../explain/parts.ts';
import { callersText, readCaller } from '../../explain/read-caller.ts';
import { exitCode } from '../exit-code.ts';
import type { Report } from '../frame/declare.ts';
import { UsageError } from '../output.ts';
import { answerText } from './answer-text.ts';
import { type AssumeFlags, assumptionsOf } from './assume.ts';
import { type ReadAll, type RequestFlags, requestOf } from './request.ts';
import { withSharedKeys } from './shared-keys.ts';
import { stateToAsk } from './state.ts';

/** Flags that name the caller: none of them holds a secret. */
export interface CallerFlags {
  readonly as?: string | undefined;
  readonly signingKey?: string | undefined;
  readonly credentialFile?: string | undefined;
  readonly credentialEnv?: string | undefined;
}

/** `can-i`: the verdict of the gateway on one request. Code 4 = denied. */
export async function canI(
  args: readonly string[],
  flags: Flags & CallerFlags & RequestFlags & AssumeFlags & OnlineFlag,
  { now, readStdin }: { readonly now: number; readonly readStdin: ReadAll },
): Promise<Report> {
  const state = await withSharedKeys(stateToAsk(flags), flags);
  const caller = await callerOf(flags, state, readStdin);
  const request = await requestOf(args, flags, readStdin);
  const facts = await askedFacts(state, flags, now);
  const parts = offlineParts(state, { ...assumptionsOf(flags, state, now), ...facts });
  const judged = await judgeOrExplain(() => judge(parts, request, caller));
  // The verdict would be one about keys that are not known.
  for (const fault of parts.unfetched) throw fault;
  const answer = answerOf(judged, parts, request.protocol);
  const code = answer.verdict === 'allowed' ? exitCode.ok : exitCode.negative;
  return { json: answer, text: answerText(answer, askedText(request)), code };
}

/** Runs a question; a caller that is not there is a mistake in the arguments. */
export async function judgeOrExplain<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof UnknownCaller) throw new UsageError(error.message);
    throw error;
  }
}

/** A request in one line. */
export function askedText(request: AskedRequest): string {
  return request.protocol === 'grpc' ? request.path : `${request.method} ${request.target}`;
}

async function callerOf(flags: CallerFlags, state: State, readStdin: ReadAll): Promise<Caller> {
  const { as, signingKey, credentialFile, credentialEnv } = flags;
  const given = [as, credentialFile, credentialEnv].filter((one) => one !== undefined);
  if (given.length > 1) throw new UsageError('give one of --as, --credential-file and --credential-env');
  if (as !== undefined) return await judgeOrExplain(async () => readCaller(as, signingKey));
  if (signingKey !== undefined) throw new UsageError('--signing-key goes with claims: --as \'{"access":"r"}\'');
  if (credentialFile === '-') return credential(await readStdin(), 'standard input');
  if (credentialFile !== undefined) return credential(fileText(credentialFile), credentialFile);
  if (credentialEnv !== undefined) {
    const text = environmentVariable(credentialEnv);
    if (!text) throw new UsageError('the variable of --credential-env is not set');
    return credential(text, 'the variable of --credential-env');
  }
  throw new UsageError(
    `name the caller with --as, --credential-file or --credential-env; there are ${callersText(state)}`,
  );
}

function fileText(file: string): string {
  try {
    return withoutNewline(readBounded(file));
  } catch {
    throw new UsageError('cannot read the file of --credential-file');
  }
}

function credential(text: string, from: string): Caller {
  const bare = text.trim().replace(/^Bearer /, '');
  if (bare === '' || !/^[\t -~]*$/.test(bare)) throw new UsageError(`${from} holds no key and no token`);
  return { kind: 'credential', text: bare };
}

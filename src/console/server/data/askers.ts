import { DENIAL_CODES } from '../../../policy/denial-codes.ts';
import type { Role } from '../../api.ts';
import { ownerOf } from '../caller.ts';
import { Asker, AskerBusy, type AskingTimes, stateToAskOn } from '../questions/asker.ts';
import { type Progress, type Question, QuestionFault } from '../questions/question.ts';
import type { Answered } from '../questions/thread.ts';
import type { ConsoleSource } from '../source.ts';
import { type DataAnswer, type DataCall, ok } from './row.ts';

/** Threads of a gateway, by role: quick questions do not wait for slow ones, and those who may change it not for those who may not. */
type Askers = Readonly<Record<Role, { readonly quick: Asker; readonly slow: Asker }>>;

/** Longest time of a quick question in milliseconds, in all: a connection without an answer is ended after ten seconds. */
const QUICK: AskingTimes = { workMs: 6000, wholeMs: 9000 };
/** The same of a slow one. */
const SLOW: AskingTimes = { workMs: 5 * 60_000, wholeMs: 15 * 60_000 };
const MOST_WAITING = 8;
/** Open questions of one caller: that of the page, and one that it does not wait for any more. */
const MOST_OF_CALLER = 2;

const askers = new WeakMap<ConsoleSource, Askers>();

/** The threads of a gateway; each starts with its first question. */
function askersOf(source: ConsoleSource): Askers {
  const made = () => ({
    quick: new Asker(MOST_WAITING, MOST_OF_CALLER),
    slow: new Asker(MOST_WAITING, MOST_OF_CALLER),
  });
  const known = askers.get(source) ?? { read: made(), full: made() };
  askers.set(source, known);
  return known;
}

/** Ends the threads of a gateway that stops. */
export function closeAskers(source: ConsoleSource): void {
  for (const { quick, slow } of Object.values(askers.get(source) ?? {})) {
    quick.close();
    slow.close();
  }
  askers.delete(source);
}

/** A question without what every one has. */
type Asks = DistributiveOmit<Question, 'now'>;
type DistributiveOmit<T, K extends keyof T> = T extends unknown ? Omit<T, K> : never;

/** Asks a question of a caller about the state in force. */
function ask(
  { source, session }: Pick<DataCall, 'source' | 'session'>,
  asks: Asks,
  progress?: Progress,
): Promise<Answered> {
  const threads = askersOf(source)[session.role];
  const isSlow = asks.kind === 'diff';
  return (isSlow ? threads.slow : threads.quick).ask({
    question: { ...asks, now: source.now() },
    state: stateToAskOn(source.state()),
    owner: ownerOf(session),
    times: isSlow ? SLOW : QUICK,
    ...(progress && { progress }),
  });
}

/** Asks a slow question, which tells how far it is. */
export const askSlowly: (
  call: Pick<DataCall, 'source' | 'session'>,
  asks: Asks,
  progress: Progress,
) => Promise<Answered> = ask;

/** The answer to a quick question, or its problems. Rejects with faults of the gateway. */
export async function answerTo(call: Pick<DataCall, 'source' | 'session'>, asks: Asks): Promise<DataAnswer> {
  return await answered(ask(call, asks));
}

async function answered(question: Promise<Answered>): Promise<DataAnswer> {
  try {
    return ok(await question);
  } catch (error) {
    const told = problemsOf(error);
    if (!told) throw error;
    return { status: error instanceof AskerBusy ? 503 : 400, body: { error: told[0] ?? '', problems: told } };
  }
}

/** Sentences of an error that is the reader's, or of a lack of time; `undefined` = a fault of the gateway. */
export function problemsOf(error: unknown): readonly string[] | undefined {
  if (error instanceof AskerBusy) return [error.message];
  return error instanceof QuestionFault ? error.problems : undefined;
}

/** The meaning of a code and the next step; empty for another text. */
export function meaningOf(code: unknown): { readonly means?: string; readonly remedy?: string } {
  const row = Object.entries(DENIAL_CODES).find(([name]) => name === code)?.[1];
  return row ? { means: row.means, remedy: row.remedy } : {};
}

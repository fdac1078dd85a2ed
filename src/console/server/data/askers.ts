import { DENIAL_CODES } from '../../../policy/denial-codes.ts';
import { Asker, AskerBusy } from '../questions/asker.ts';
import { QuestionFault } from '../questions/question.ts';
import type { ConsoleSource } from '../source.ts';
import { type DataAnswer, ok } from './row.ts';

/** Threads of a gateway: quick questions do not wait for slow ones. */
export interface Askers {
  readonly quick: Asker;
  readonly slow: Asker;
}

/** Longest time for a quick question, in milliseconds: a connection without an answer is ended after ten seconds. */
export const QUICK_MS = 9000;
const MOST_WAITING = 8;

const askers = new WeakMap<ConsoleSource, Askers>();

/** The threads of a gateway; they start with the first question. */
export function askersOf(source: ConsoleSource): Askers {
  const known = askers.get(source) ?? { quick: new Asker(MOST_WAITING), slow: new Asker(MOST_WAITING) };
  askers.set(source, known);
  return known;
}

/** Ends the threads of a gateway that stops. */
export function closeAskers(source: ConsoleSource): void {
  const known = askers.get(source);
  known?.quick.close();
  known?.slow.close();
  askers.delete(source);
}

/** The answer to a question, or its problems. Rejects with faults of the gateway. */
export async function answered(question: Promise<object>): Promise<DataAnswer> {
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

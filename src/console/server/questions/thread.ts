import { parentPort } from 'node:worker_threads';
import type { State } from '../../../config/state.ts';
import { boundedJson, cut, firstSentences } from './bounds.ts';
import { answerQuestion, type Question, QuestionFault } from './question.ts';

/** A question for the thread, with the state that it is about, unless that is the one of the question before. */
export interface ThreadQuestion {
  readonly question: Question;
  readonly state?: State;
}

/** An answer; a text = its JSON. */
export type Answered = object | string;

/** A message of the thread: how far it is, or the end of the question. */
export type ThreadMessage =
  | { readonly kind: 'progress'; readonly done: number; readonly all: number }
  | { readonly kind: 'answer'; readonly answer: Answered }
  | { readonly kind: 'fault'; readonly problems: readonly string[] | undefined; readonly text: string };

/** Questions about what their author writes: their answers are as long as the author likes. */
const OF_DRAFTS: ReadonlySet<Question['kind']> = new Set(['check', 'tests', 'diff']);

/** Throws `QuestionFault`. */
function answered({ kind }: Question, answer: object): Answered {
  if (!OF_DRAFTS.has(kind)) return answer;
  const text = boundedJson(answer);
  if (text === undefined) throw new QuestionFault([TOO_LARGE]);
  return text;
}

const TOO_LARGE = 'The answer is too large to be shown. The command line shows all of it.';

const say = (message: ThreadMessage): void => parentPort?.postMessage(message);

let state: State | undefined;

parentPort?.on('message', (asked: ThreadQuestion) => {
  state = asked.state ?? state;
  if (!state) throw new TypeError('a question came without a state');
  const { question } = asked;
  answerQuestion(question, state, (done, all) => say({ kind: 'progress', done, all }))
    .then((answer) => say({ kind: 'answer', answer: answered(question, answer) }))
    .catch((error: unknown) => {
      const problems = error instanceof QuestionFault ? firstSentences(error.problems) : undefined;
      say({ kind: 'fault', problems, text: error instanceof Error ? cut(error.stack ?? error.message) : 'unknown' });
    });
});

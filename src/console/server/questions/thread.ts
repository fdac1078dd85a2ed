import { parentPort } from 'node:worker_threads';
import type { State } from '../../../config/state.ts';
import { answerQuestion, type Question, QuestionFault } from './question.ts';

/** A question for the thread, with the state that it is about, unless that is the one of the question before. */
export interface ThreadQuestion {
  readonly question: Question;
  readonly state?: State;
}

/** A message of the thread: how far it is, or the end of the question. */
export type ThreadMessage =
  | { readonly kind: 'progress'; readonly done: number; readonly all: number }
  | { readonly kind: 'answer'; readonly answer: object }
  | { readonly kind: 'fault'; readonly problems: readonly string[] | undefined; readonly text: string };

const say = (message: ThreadMessage): void => parentPort?.postMessage(message);

let state: State | undefined;

parentPort?.on('message', (asked: ThreadQuestion) => {
  state = asked.state ?? state;
  if (!state) throw new TypeError('a question came without a state');
  answerQuestion(asked.question, state, (done, all) => say({ kind: 'progress', done, all })).then(
    (answer) => say({ kind: 'answer', answer }),
    (error: unknown) => {
      const problems = error instanceof QuestionFault ? error.problems : undefined;
      say({ kind: 'fault', problems, text: error instanceof Error ? (error.stack ?? error.message) : 'unknown' });
    },
  );
});

import { parentPort } from 'node:worker_threads';
import { answerQuestion, type Question, QuestionFault } from './question.ts';

/** A message of the thread: how far it is, or the end of the question. */
export type ThreadMessage =
  | { readonly kind: 'progress'; readonly done: number; readonly all: number }
  | { readonly kind: 'answer'; readonly answer: object }
  | { readonly kind: 'fault'; readonly problems: readonly string[] | undefined; readonly text: string };

const say = (message: ThreadMessage): void => parentPort?.postMessage(message);

parentPort?.on('message', (question: Question) => {
  answerQuestion(question, (done, all) => say({ kind: 'progress', done, all })).then(
    (answer) => say({ kind: 'answer', answer }),
    (error: unknown) => {
      const problems = error instanceof QuestionFault ? error.problems : undefined;
      say({ kind: 'fault', problems, text: error instanceof Error ? (error.stack ?? error.message) : 'unknown' });
    },
  );
});

import { Guard } from '../../../lifetime/guard.ts';
import { UPSTREAM_BROKEN } from '../../../policy/denial.ts';
import type { Answer } from '../../unary/unary-answer.ts';
import { type AnswerTask, runAnswerTask } from '../change-answer.ts';
import { INLINE_BYTES, type Rewriter } from './rewriter.ts';

/** The caller whose answer is changed. */
interface Waiting {
  /** The owners take turns. */
  readonly owner: unknown;
  /** Aborted when the call ends: then it waits no longer. */
  readonly signal: AbortSignal;
}

/**
 * Changes an answer: a small one at once, a larger one on the thread. Rejects on a fault of ours.
 *
 * @param message owns its memory, and is not to be used afterwards
 */
export function changeSoon(rewriter: Rewriter, answer: AnswerTask, message: Buffer, waiting: Waiting): Promise<Answer> {
  return message.length <= INLINE_BYTES
    ? Promise.resolve(changeNow(answer, message))
    : changeThere(rewriter, answer, message, waiting);
}

function changeNow(answer: AnswerTask, message: Buffer): Answer {
  try {
    return { kind: 'message', message: runAnswerTask(answer, message) };
  } catch {
    // Not what upstream answers: nothing of it is passed on.
    return UPSTREAM_BROKEN;
  }
}

function changeThere(
  rewriter: Rewriter,
  answer: AnswerTask,
  message: Buffer,
  { owner, signal }: Waiting,
): Promise<Answer> {
  if (signal.aborted) return Promise.resolve(UPSTREAM_BROKEN);
  return new Promise((resolve, reject) => {
    const guard = new Guard({ fail: reject, cut: ignore }, 'grpc_upstream', ignore);
    const giveUp = rewriter.take({
      ...{ answer, message, owner, guard, fail: reject },
      changed: (changed) => resolve(changed ? { kind: 'message', message: changed } : UPSTREAM_BROKEN),
    });
    signal.addEventListener(
      'abort',
      guard.entry(() => {
        giveUp();
        resolve(UPSTREAM_BROKEN);
      }),
      { once: true },
    );
  });
}

function ignore(): void {}

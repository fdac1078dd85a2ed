import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { State } from '../../../config/state.ts';
import { type Progress, type Question, QuestionFault } from './question.ts';
import type { ThreadMessage } from './thread.ts';

const THREAD = join(import.meta.dirname, `thread${extname(import.meta.filename)}`);
/** A thread without a question ends after so long, in milliseconds. */
const IDLE_MS = 60_000;
/** Memory of the thread in megabytes. */
const MEGABYTES = 512;

/** A question that was not answered for lack of time or room. The text is a sentence for the reader. */
export class AskerBusy extends Error {
  readonly code = 'ERR_ASKER_BUSY';
}

interface Waiting {
  readonly question: Question;
  readonly boundMs: number;
  readonly progress: Progress;
  readonly resolve: (answer: object) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Answers questions on a thread, one after the other: the event loop that serves requests computes none of them. A question that
 * takes too long ends with its thread.
 */
export class Asker {
  readonly #most: number;
  readonly #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #worker: Worker | undefined;
  #bound: NodeJS.Timeout | undefined;
  #idle: NodeJS.Timeout | undefined;

  /** @param most questions that wait at once; more are refused */
  constructor(most: number) {
    this.#most = most;
  }

  /** Rejects with `QuestionFault`, `AskerBusy`, or an error that is a fault of the gateway. */
  ask(question: Question, boundMs: number, progress: Progress = () => undefined): Promise<object> {
    if (this.#waiting.length >= this.#most) {
      return Promise.reject(new AskerBusy('Too many questions are waiting. Ask again in a moment.'));
    }
    const { promise, resolve, reject } = Promise.withResolvers<object>();
    this.#waiting.push({ question, boundMs, progress, resolve, reject });
    this.#next();
    return promise;
  }

  /** Ends the thread; open questions are refused. */
  close(): void {
    this.#end(new AskerBusy('The gateway is stopping.'));
    for (const { reject } of this.#waiting.splice(0)) reject(new AskerBusy('The gateway is stopping.'));
  }

  #next(): void {
    if (this.#current) return;
    const next = this.#waiting.shift();
    if (!next) {
      this.#idle = setTimeout(() => this.#end(undefined), IDLE_MS).unref();
      return;
    }
    clearTimeout(this.#idle);
    this.#current = next;
    this.#worker ??= this.#start();
    this.#worker.postMessage(next.question);
    const seconds = Math.round(next.boundMs / 1000);
    const late = new AskerBusy(`No answer within ${seconds} seconds: ask about less, or use the command line.`);
    this.#bound = setTimeout(() => this.#end(late), next.boundMs).unref();
  }

  #start(): Worker {
    const worker = new Worker(THREAD, { resourceLimits: { maxOldGenerationSizeMb: MEGABYTES }, stdout: false });
    worker.unref();
    worker.on('message', (message: ThreadMessage) => this.#take(message));
    worker.on('error', (error) => {
      if (worker === this.#worker) this.#end(error instanceof Error ? error : new Error('the thread failed'));
    });
    return worker;
  }

  #take(message: ThreadMessage): void {
    const current = this.#current;
    if (!current) return;
    if (message.kind === 'progress') {
      current.progress(message.done, message.all);
      return;
    }
    clearTimeout(this.#bound);
    this.#current = undefined;
    if (message.kind === 'answer') current.resolve(message.answer);
    else current.reject(message.problems ? new QuestionFault(message.problems) : new Error(message.text));
    this.#next();
  }

  /** Ends the thread, and the question that it works on with this error. */
  #end(error: Error | undefined): void {
    clearTimeout(this.#bound);
    clearTimeout(this.#idle);
    const [worker, current] = [this.#worker, this.#current];
    this.#worker = undefined;
    this.#current = undefined;
    void worker?.terminate();
    if (!current) return;
    current.reject(error ?? new AskerBusy('The thread has ended.'));
    this.#next();
  }
}

/** A state as questions need it: plain data, without certificates. */
export function stateToAskOn({ config, policy, secrets }: State): State {
  const { apiKey, altApiKey, readOnlyApiKey } = secrets;
  const bare = { apiKey, altApiKey, readOnlyApiKey, adminToken: null, upstreamKey: null, tls: null, upstreamCa: null };
  return { config, policy, secrets: bare };
}

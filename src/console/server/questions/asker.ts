import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { State } from '../../../config/state.ts';
import { type Progress, type Question, QuestionFault } from './question.ts';
import type { Answered, ThreadMessage, ThreadQuestion } from './thread.ts';

const THREAD = join(import.meta.dirname, `thread${extname(import.meta.filename)}`);
/** A thread without a question ends after so long, in milliseconds. */
const IDLE_MS = 60_000;
/** Memory of the thread in megabytes. INVARIANT: it is not reached. Where one large piece does not fit, V8 ends the process, not the thread. */
const MEGABYTES = 512;
/** A question ends beyond so many of them; the rest is for what it takes until the next look. */
const MOST_MEGABYTES = 384;
const LOOK_MS = 100;
const MEGABYTE = 1_048_576;

/** A question that was not answered for lack of time or room. The text is a sentence for the reader. */
export class AskerBusy extends Error {
  readonly code = 'ERR_ASKER_BUSY';
}

/** Times of a question, in milliseconds. */
export interface AskingTimes {
  /** Longest time on the thread. */
  readonly workMs: number;
  /** Longest time until its answer, with the time for which it waits for others. */
  readonly wholeMs: number;
}

/** A question with who asks it, and how long that one waits. */
export interface Asking {
  readonly question: Question;
  /** The state that it is about, as `stateToAskOn` gives it. */
  readonly state: State;
  /** The caller: each one has a bound of its own on open questions. */
  readonly owner: string;
  readonly times: AskingTimes;
  readonly progress?: Progress;
}

interface Waiting extends Asking {
  readonly until: number;
  timer: NodeJS.Timeout;
  readonly resolve: (answer: Answered) => void;
  readonly reject: (error: Error) => void;
}

/** A thread, and the state that it was given last. */
interface Thread {
  readonly worker: Worker;
  state: State | undefined;
  /** It has answered a question, and may still have what that one left. */
  isUsed: boolean;
}

/**
 * Answers questions on a thread, one after the other: the event loop that serves requests computes none of them. A question that
 * takes too long ends with its thread.
 *
 * INVARIANT: messages of a thread that was ended are ignored. Its last answer may be on its way, and the next question is another caller's.
 */
export class Asker {
  readonly #most: number;
  readonly #mostOfOwner: number;
  readonly #mostBytes: number;
  readonly #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #thread: Thread | undefined;
  #idle: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;

  /** @param most questions that wait at once; more are refused @param mostOfOwner open questions of one owner @param megabytes that a question may take */
  constructor(most: number, mostOfOwner: number, megabytes = MOST_MEGABYTES) {
    this.#most = most;
    this.#mostOfOwner = mostOfOwner;
    this.#mostBytes = megabytes * MEGABYTE;
  }

  /** Rejects with `QuestionFault`, `AskerBusy`, or an error that is a fault of the gateway. */
  ask(asking: Asking): Promise<Answered> {
    const { owner, times } = asking;
    const own = this.#waiting.filter((one) => one.owner === owner).length + (this.#current?.owner === owner ? 1 : 0);
    if (own >= this.#mostOfOwner) {
      return Promise.reject(new AskerBusy(`${own} of your questions are not answered yet. Ask again when they are.`));
    }
    if (this.#waiting.length >= this.#most) {
      return Promise.reject(new AskerBusy('Too many questions are waiting. Ask again in a moment.'));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Answered>();
    const until = performance.now() + times.wholeMs;
    const timer = setTimeout(() => this.#giveUp(waiting), times.wholeMs).unref();
    const waiting: Waiting = { ...asking, until, timer, resolve, reject };
    this.#waiting.push(waiting);
    this.#next();
    return promise;
  }

  /** Ends the thread; open questions are refused. */
  close(): void {
    for (const { reject, timer } of this.#waiting.splice(0)) {
      clearTimeout(timer);
      reject(new AskerBusy('The gateway is stopping.'));
    }
    this.#end(new AskerBusy('The gateway is stopping.'));
    clearTimeout(this.#idle);
    this.#restLook();
  }

  /** A question waited for others until its time was over. */
  #giveUp(waiting: Waiting): void {
    const at = this.#waiting.indexOf(waiting);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    waiting.reject(new AskerBusy('The questions of others took all of the time. Ask again in a moment.'));
  }

  #next(): void {
    if (this.#current) return;
    clearTimeout(this.#idle);
    const next = this.#waiting.shift();
    if (!next) {
      this.#restLook();
      this.#idle = setTimeout(() => this.#end(undefined), IDLE_MS).unref();
      return;
    }
    this.#current = next;
    clearTimeout(next.timer);
    this.#look ??= setInterval(() => this.#lookAtMemory(), LOOK_MS).unref();
    const boundMs = Math.max(1, Math.min(next.times.workMs, next.until - performance.now()));
    const seconds = Math.max(1, Math.round(boundMs / 1000));
    const late = new AskerBusy(`No answer within ${seconds} seconds: ask about less, or use the command line.`);
    next.timer = setTimeout(() => this.#end(late), boundMs).unref();
    this.#thread ??= this.#start();
    const thread = this.#thread;
    const { question, state } = next;
    // A copy of a state with thousands of keys costs the event loop much: the thread keeps the one it has.
    const message: ThreadQuestion = thread.state === state ? { question } : { question, state };
    thread.state = state;
    thread.worker.postMessage(message);
  }

  #lookAtMemory(): void {
    const thread = this.#thread;
    thread?.worker.getHeapStatistics().then(
      ({ used_heap_size: used }) => {
        if (thread !== this.#thread || !this.#current || used <= this.#mostBytes) return;
        if (thread.isUsed) this.#again(this.#current);
        else this.#end(tooMuch());
      },
      // The thread has ended meanwhile.
      () => undefined,
    );
  }

  /** Asks a question on a new thread: the memory may be that of the one before. */
  #again(current: Waiting): void {
    clearTimeout(current.timer);
    void this.#thread?.worker.terminate();
    this.#thread = undefined;
    this.#current = undefined;
    this.#waiting.unshift(current);
    this.#next();
  }

  #restLook(): void {
    clearInterval(this.#look);
    this.#look = undefined;
  }

  #start(): Thread {
    const worker = new Worker(THREAD, { resourceLimits: { maxOldGenerationSizeMb: MEGABYTES }, stdout: false });
    worker.unref();
    worker.on('message', (message: ThreadMessage) => {
      if (worker === this.#thread?.worker) this.#take(message);
    });
    worker.on('error', (error) => {
      if (worker === this.#thread?.worker) this.#end(faultOf(error));
    });
    return { worker, state: undefined, isUsed: false };
  }

  #take(message: ThreadMessage): void {
    const current = this.#current;
    if (!current) return;
    if (message.kind === 'progress') {
      current.progress?.(message.done, message.all);
      return;
    }
    clearTimeout(current.timer);
    this.#current = undefined;
    if (this.#thread) this.#thread.isUsed = true;
    if (message.kind === 'answer') current.resolve(message.answer);
    else current.reject(message.problems ? new QuestionFault(message.problems) : new Error(message.text));
    this.#next();
  }

  /** Ends the thread, and the question that it works on with this error. */
  #end(error: Error | undefined): void {
    clearTimeout(this.#idle);
    const [thread, current] = [this.#thread, this.#current];
    this.#thread = undefined;
    this.#current = undefined;
    void thread?.worker.terminate();
    if (!current) return;
    clearTimeout(current.timer);
    current.reject(error ?? new AskerBusy('The thread has ended.'));
    this.#next();
  }
}

/** A question that takes too much memory is refused, as one that takes too long. */
function faultOf(error: unknown): Error {
  if (!(error instanceof Error)) return new Error('the thread failed');
  const isFull = 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
  return isFull ? tooMuch() : error;
}

function tooMuch(): AskerBusy {
  return new AskerBusy('It takes too much memory: ask about less, or use the command line.');
}

const bareStates = new WeakMap<State, State>();

/** A state as questions need it: plain data, without certificates. The same one for the same state. */
export function stateToAskOn(state: State): State {
  const known = bareStates.get(state);
  if (known) return known;
  const { config, policy, secrets } = state;
  const { apiKey, altApiKey, readOnlyApiKey } = secrets;
  const bare = { apiKey, altApiKey, readOnlyApiKey, adminToken: null, upstreamKey: null, tls: null, upstreamCa: null };
  const made = { config, policy, secrets: bare };
  bareStates.set(state, made);
  return made;
}

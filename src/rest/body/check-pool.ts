import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import { FairQueue, type Turn } from '../../limits/fair-queue.ts';
import { type AnswerTask, runAnswerTask } from '../response/task.ts';
import { type BodyFinding, type BodyTask, runBodyTaskSoon } from './task.ts';
import type { ThreadFinding, ThreadTask } from './thread.ts';

/** Bodies up to this size are checked on the main thread: some milliseconds at worst. */
export const INLINE_BYTES = 131_072;
/** The same of requests that are made anew, which takes longer: each small part of a body may become a large one. */
export const INLINE_TENANT_BYTES = 98_304;
/** Bodies above these sizes have threads of their own, so that smaller ones do not wait for them. */
const SMALL_BYTES = 262_144;
export const MEDIUM_BYTES = 2_097_152;

/** Runs as a source file and as a built one. */
const THREAD = join(import.meta.dirname, `thread${extname(import.meta.filename)}`);

/** A body to be checked, or an answer to be filtered. */
export interface BodyJob<T = BodyTask, F = BodyFinding> {
  readonly task: T;
  /** Whole and decoded. Not to be used until it is given back: its memory may be in another thread. */
  readonly body: Buffer;
  /** The body owns its memory, which can be transferred to a thread. A view into other memory is copied. */
  readonly own: boolean;
  /** Jobs of different owners take turns. Unset: one owner. */
  readonly owner?: unknown;
  /** Of the exchange: at its end the job is dropped, unless it is under way. */
  readonly life: Lifetime;
  /** Of the exchange: under it the callbacks run. */
  readonly guard: Guard;
  /** Exactly one of these is called, once: with the body to go on with; with a fault of ours and the body, or nothing. */
  readonly done: (finding: F, body: Buffer) => void;
  readonly fail: (error: unknown, body?: Buffer) => void;
  /** The exchange has ended. */
  readonly dropped: (body: Buffer) => void;
}

/** The work of one pool, and the size up to which it is done on the main thread. */
interface Work<T, F> {
  readonly inlineBytes: (task: T) => number;
  /** Pure. May throw on a fault of ours. `takes-longer` = it is done in a thread. */
  readonly run: (task: T, body: Buffer) => F | 'takes-longer';
}

/**
 * Does jobs by size: the smallest on the main thread, small, medium and large ones in one thread each, started on first use. No
 * job waits for one of a larger kind.
 */
class JobPool<T extends ThreadTask['task'], F> {
  readonly #work: Work<T, F>;
  readonly #small: CheckThread<T, F>;
  readonly #medium: CheckThread<T, F>;
  readonly #large: CheckThread<T, F>;

  /** @param file what the threads run */
  constructor(report: FaultReport, file: string, work: Work<T, F>) {
    this.#work = work;
    this.#small = new CheckThread(report, file);
    this.#medium = new CheckThread(report, file);
    this.#large = new CheckThread(report, file);
  }

  /** Jobs that are in a thread, or wait for one. */
  get size(): number {
    return this.#small.size + this.#medium.size + this.#large.size;
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await Promise.all([this.#small.close(), this.#medium.close(), this.#large.close()]);
  }

  protected take(job: BodyJob<T, F>): void {
    if (job.body.length > MEDIUM_BYTES) this.#large.take(job);
    else if (job.body.length > SMALL_BYTES) this.#medium.take(job);
    else if (job.body.length > this.#work.inlineBytes(job.task)) this.#small.take(job);
    else this.#atOnce(job);
  }

  #atOnce(job: BodyJob<T, F>): void {
    const { task, body, done, fail } = job;
    let found: F | 'takes-longer';
    try {
      found = this.#work.run(task, body);
    } catch (error) {
      fail(error, body);
      return;
    }
    if (found === 'takes-longer') this.#small.take(job);
    else done(found, body);
  }
}

/** Checks bodies. */
export class BodyCheckPool extends JobPool<BodyTask, BodyFinding> {
  constructor(report: FaultReport, file = THREAD) {
    const inlineBytes = ({ tenant }: BodyTask): number => (tenant ? INLINE_TENANT_BYTES : INLINE_BYTES);
    super(report, file, { inlineBytes, run: runBodyTaskSoon });
  }

  check(job: BodyJob): void {
    this.take(job);
  }
}

/** Answers up to this size are filtered on the main thread: a millisecond or two. */
export const INLINE_ANSWER_BYTES = 16_384;

/** Filters answers, in threads of its own: bodies and answers do not wait for each other. */
export class AnswerChanger extends JobPool<AnswerTask, Uint8Array> {
  constructor(report: FaultReport, file = THREAD) {
    super(report, file, { inlineBytes: () => INLINE_ANSWER_BYTES, run: runAnswerTask });
  }

  change(job: BodyJob<AnswerTask, Uint8Array>): void {
    this.take(job);
  }
}

/** Young generation of a thread in megabytes: its objects are short-lived, and the body lies outside of the heap. */
const YOUNG_MEGABYTES = 4;

/**
 * One thread with the jobs that wait for it, which it takes from their owners in turn.
 *
 * INVARIANT: a job whose thread ends without a word has failed.
 */
class CheckThread<T extends ThreadTask['task'], F> {
  readonly #file: string;
  readonly #guard: Guard;
  readonly #queue = new FairQueue(1);
  #running: { readonly job: BodyJob<T, F>; readonly turn: Turn } | undefined;
  #worker: Worker | undefined;
  #closed = false;

  constructor(report: FaultReport, file: string) {
    this.#file = file;
    const owner = {
      fail: (error: unknown) => this.#gone(this.#worker, error),
      cut: () => void this.#worker?.terminate(),
    };
    this.#guard = new Guard(owner, 'body', report);
  }

  get size(): number {
    return this.#queue.size;
  }

  take(job: BodyJob<T, F>): void {
    let begun = false;
    let stay = (): void => undefined;
    const taken = this.#queue.take(job.owner, this.#guard, (turn) => {
      begun = true;
      stay();
      this.#begin(job, turn);
    });
    if (begun) return;
    stay = job.life.onEnd(() => {
      // With the slot it is dropped where it begins.
      if (taken.running) return;
      taken.end();
      job.dropped(job.body);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #begin(job: BodyJob<T, F>, turn: Turn): void {
    if (job.life.ended) {
      job.guard.run(() => job.dropped(job.body));
      turn.end();
      return;
    }
    this.#running = { job, turn };
    try {
      this.#worker ??= this.#start();
      const message: ThreadTask = { task: job.task, bytes: movable(job) };
      this.#worker.postMessage(message, [message.bytes.buffer]);
    } catch (error) {
      this.#end((failed) => failed.fail(error));
    }
  }

  #start(): Worker {
    if (this.#closed) throw new TypeError('the lane is closed');
    const worker = new Worker(this.#file, { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES } });
    // A thread that waits keeps no process from ending.
    worker.unref();
    const guard = this.#guard;
    const gone = guard.entry((reason: unknown) => this.#gone(worker, reason));
    const ended = guard.entry(() => this.#gone(worker, new TypeError('the thread that checks bodies ended')));
    worker.on(
      'message',
      guard.entry((result: ThreadFinding<F>) => this.#found(result)),
    );
    worker.on('error', gone).on('exit', ended);
    return worker;
  }

  #found(result: ThreadFinding<F>): void {
    const { buffer, byteOffset, byteLength } = result.bytes;
    const body = Buffer.from(buffer, byteOffset, byteLength);
    if ('fault' in result) this.#end((job) => job.fail(new TypeError(result.fault), body));
    else this.#end((job) => job.done(result.finding, body));
  }

  /** A thread that is not the present one any more is of no interest. */
  #gone(worker: Worker | undefined, reason: unknown): void {
    if (!worker || this.#worker !== worker) return;
    this.#worker = undefined;
    this.#end((job) => job.fail(reason));
    void worker.terminate();
  }

  #end(tell: (job: BodyJob<T, F>) => void): void {
    const running = this.#running;
    this.#running = undefined;
    if (!running) return;
    const { job, turn } = running;
    job.guard.run(() => tell(job));
    turn.end();
  }
}

/** The memory that is transferred to the thread and back without a copy, whole, even where the body is only its beginning. */
function movable({ body, own }: Pick<BodyJob, 'body' | 'own'>): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = body;
  const moved = own && buffer instanceof ArrayBuffer;
  return moved ? new Uint8Array(buffer, byteOffset, byteLength) : new Uint8Array(body);
}

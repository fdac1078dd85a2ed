import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type FaultReport, Guard } from '../../../lifetime/guard.ts';
import { FairQueue, type Turn } from '../../../limits/fair-queue.ts';
import type { AnswerTask } from '../change-answer.ts';
import { POOLED_BYTES, type RewriteFinding, type RewriteTask } from './rewrite-task.ts';
import type { ThreadAnswer, ThreadAnswerTask, ThreadFinding, ThreadTask } from './rewrite-thread.ts';

/** Messages up to this size need no thread: a few milliseconds at worst. */
export const INLINE_BYTES = 16_384;

/** Up to this size a message needs none if it takes little time (`runSoon`). */
export const SOON_BYTES = 65_536;

/** Largest message, in bytes, of each thread: none waits for one that is larger. */
const THREAD_BYTES = [262_144, 2_097_152, Number.POSITIVE_INFINITY] as const;

/** Runs as a source file and as a built one. */
const THREAD = join(import.meta.dirname, `rewrite-thread${extname(import.meta.filename)}`);

/** Young generation of the thread in megabytes: its objects are short-lived, and the message lies outside of the heap. */
const YOUNG_MEGABYTES = 8;

interface Job {
  /** The tenants take turns. */
  readonly owner: unknown;
  /** Of the connection: under it the callbacks run. */
  readonly guard: Guard;
  /** This or the other callback is called, once. */
  readonly fail: (error: unknown) => void;
}

/** A message to rewrite. */
export interface RewriteJob extends Job {
  readonly task: RewriteTask;
  /** Owns its memory, and is not to be used until it is given back. */
  readonly framed: Buffer;
  readonly done: (finding: RewriteFinding, framed: Buffer) => void;
}

/** An answer to change. */
export interface AnswerJob extends Job {
  readonly answer: AnswerTask;
  /** Owns its memory, and is gone afterwards. */
  readonly message: Buffer;
  /** @param changed `undefined` = the message is no such answer */
  readonly changed: (changed: Buffer | undefined) => void;
}

/**
 * Rewrites large messages, and changes large answers, in threads, so that none holds up the event loop: one for each size of
 * `THREAD_BYTES`, which never waits for a larger one.
 */
export class Rewriter {
  readonly #threads: readonly (readonly [most: number, lane: ThreadLane])[];

  constructor(report: FaultReport) {
    this.#threads = THREAD_BYTES.map((most) => [most, new ThreadLane(report)]);
  }

  /** Takes a message. Returns how to give it up; a message under way is finished, and its result is dropped by the caller. */
  take(job: RewriteJob | AnswerJob): () => void {
    const { length } = 'task' in job ? job.framed : job.message;
    const [, lane] = this.#threads.find(([most]) => length <= most) ?? [];
    if (!lane) throw new TypeError('there is no thread for a message of this size');
    return lane.take(job);
  }
}

/**
 * A thread that is started on first use. It has one message at a time, by turns of the tenants.
 *
 * INVARIANT: a job whose thread ends without a word has failed.
 */
class ThreadLane {
  readonly #turns = new FairQueue(1);
  readonly #guard: Guard;
  #worker: Worker | undefined;
  #running: { readonly job: RewriteJob | AnswerJob; readonly turn: Turn } | undefined;

  constructor(report: FaultReport) {
    const owner = {
      fail: (error: unknown) => this.#gone(this.#worker, error),
      cut: () => void this.#worker?.terminate(),
    };
    this.#guard = new Guard(owner, 'grpc_client', report);
  }

  /** As `Rewriter.take`. */
  take(job: RewriteJob | AnswerJob): () => void {
    const turn = this.#turns.take(job.owner, this.#guard, (own) => this.#begin(job, own));
    return () => {
      if (this.#running?.turn !== turn) turn.end();
    };
  }

  #begin(job: RewriteJob | AnswerJob, turn: Turn): void {
    this.#running = { job, turn };
    try {
      this.#worker ??= this.#start();
      const bytes = movable('task' in job ? job.framed : job.message);
      const work: ThreadTask | ThreadAnswerTask =
        'task' in job ? { task: job.task, framed: bytes } : { answer: job.answer, message: bytes };
      this.#worker.postMessage(work, [bytes.buffer]);
    } catch (error) {
      this.#end((failed) => failed.fail(error));
    }
  }

  #start(): Worker {
    const worker = new Worker(THREAD, { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES } });
    const gone = this.#guard.entry((reason: unknown) => this.#gone(worker, reason));
    const ended = this.#guard.entry(() => this.#gone(worker, new TypeError('the thread that rewrites messages ended')));
    worker.on(
      'message',
      this.#guard.entry((result: ThreadFinding | ThreadAnswer) => this.#found(result)),
    );
    worker.on('error', gone).on('exit', ended);
    // A thread that waits keeps no process from ending.
    worker.unref();
    return worker;
  }

  #found(result: ThreadFinding | ThreadAnswer): void {
    this.#end((job) => {
      if ('fault' in result) job.fail(new TypeError(result.fault));
      else if ('changed' in result && 'answer' in job) job.changed(result.changed && bufferOf(result.changed));
      else if ('finding' in result && 'task' in job) job.done(received(result.finding), bufferOf(result.framed));
      else job.fail(new TypeError('the thread that rewrites messages answered another job'));
    });
  }

  #gone(worker: Worker | undefined, reason: unknown): void {
    if (!worker || this.#worker !== worker) return;
    this.#worker = undefined;
    this.#end((job) => job.fail(reason));
    void worker.terminate();
  }

  #end(tell: (job: RewriteJob | AnswerJob) => void): void {
    const running = this.#running;
    this.#running = undefined;
    if (!running) return;
    running.turn.end();
    running.job.guard.run(() => tell(running.job));
  }
}

/** A copy where the memory is more than the message: what is transferred is gone for every other use. */
function movable({ buffer, byteOffset, byteLength }: Buffer): Uint8Array<ArrayBuffer> {
  const whole = buffer instanceof ArrayBuffer && byteOffset === 0 && buffer.byteLength >= byteLength;
  if (whole && buffer.byteLength > POOLED_BYTES) return new Uint8Array(buffer, 0, byteLength);
  return new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength));
}

/** The message of a rewriting came as plain bytes. */
function received(finding: RewriteFinding): RewriteFinding {
  const { names, tenant } = finding;
  if (typeof tenant !== 'object' || 'kind' in tenant) return finding;
  const { path, message } = tenant.request;
  return { names, tenant: { ...tenant, request: { path, message: bufferOf(message) } } };
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

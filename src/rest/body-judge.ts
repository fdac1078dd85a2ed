import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type BodyFinding, type BodyTask, runBodyTask } from './body-task.ts';
import type { ThreadFinding, ThreadTask } from './body-thread.ts';

/** Bodies up to this size are judged at once: some milliseconds at worst. */
export const INLINE_BYTES = 131_072;
/** Larger ones than this do not keep the others waiting. */
const MEDIUM_BYTES = 2_097_152;

/** A body that waits to be judged. */
export interface BodyJob {
  readonly task: BodyTask;
  /** Whole and decoded. Not to be used until `done` gives it back: its memory may be in another thread. */
  readonly body: Buffer;
  /** `false` = the client has left, the job may be dropped. */
  readonly wanted: () => boolean;
  /** Called at most once, with the body to go on with. */
  readonly done: (finding: BodyFinding, body: Buffer) => void;
  /** A fault of ours; called instead of `done`. */
  readonly fail: (error: unknown) => void;
}

/**
 * Judges bodies without holding up anybody: small ones at once, others in threads of their own, which are started with
 * the first of their kind.
 */
export class BodyJudge {
  readonly #medium = new JudgingThread();
  readonly #large = new JudgingThread();

  judge(job: BodyJob): void {
    if (job.body.length > MEDIUM_BYTES) this.#large.take(job);
    else if (job.body.length > INLINE_BYTES) this.#medium.take(job);
    else judgeAtOnce(job);
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await Promise.all([this.#medium.close(), this.#large.close()]);
  }
}

function judgeAtOnce({ task, body, done, fail }: BodyJob): void {
  let finding: BodyFinding;
  try {
    finding = runBodyTask(task, body);
  } catch (error) {
    fail(error);
    return;
  }
  done(finding, body);
}

/** Runs as a source file and as a built one. */
const THREAD = join(import.meta.dirname, `body-thread${extname(import.meta.filename)}`);

/** One thread with the jobs that wait for it. INVARIANT: a job whose thread ends without a word has failed. */
class JudgingThread {
  readonly #waiting: BodyJob[] = [];
  #running: BodyJob | undefined;
  #worker: Worker | undefined;
  #closed = false;

  take(job: BodyJob): void {
    this.#waiting.push(job);
    this.#next();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #next(): void {
    if (this.#running) return;
    let job = this.#waiting.shift();
    while (job && !job.wanted()) job = this.#waiting.shift();
    if (!job) return;
    this.#running = job;
    try {
      this.#worker ??= this.#start();
      const message: ThreadTask = { task: job.task, bytes: movable(job.body) };
      this.#worker.postMessage(message, [message.bytes.buffer]);
    } catch (error) {
      this.#end((failed) => failed.fail(error));
    }
  }

  #start(): Worker {
    if (this.#closed) throw new TypeError('the lane is closed');
    const worker = new Worker(THREAD);
    // A thread that waits keeps no process from ending.
    worker.unref();
    worker.on('message', (result: ThreadFinding) => {
      if ('fault' in result) this.#end((job) => job.fail(new TypeError(result.fault)));
      else {
        const { buffer, byteOffset, byteLength } = result.bytes;
        this.#end((job) => job.done(result.finding, Buffer.from(buffer, byteOffset, byteLength)));
      }
    });
    const gone = (reason: unknown): void => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#end((job) => job.fail(reason));
    };
    worker.on('error', gone).on('exit', () => gone(new TypeError('the thread that judges bodies ended')));
    return worker;
  }

  #end(tell: (job: BodyJob) => void): void {
    const job = this.#running;
    this.#running = undefined;
    if (job) tell(job);
    this.#next();
  }
}

/** Memory of its own is moved to the thread and back; a view into somebody else's is copied. */
function movable(body: Buffer): Uint8Array<ArrayBuffer> {
  const { buffer } = body;
  const own = buffer instanceof ArrayBuffer && buffer.byteLength === body.byteLength;
  return own ? new Uint8Array(buffer) : new Uint8Array(body);
}

import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { type AnswerTask, runAnswerTask } from '../response/task.ts';
import { type BodyFinding, type BodyTask, isTenantFound, runBodyTask } from './task.ts';

/** A message to the thread. The bytes are transferred both ways, not copied. */
export interface ThreadTask {
  readonly task: BodyTask | AnswerTask;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** `fault` = why there is no finding; never a part of the body. Of an answer the finding is the changed one. */
export type ThreadFinding<F = BodyFinding | Uint8Array> = { readonly bytes: Uint8Array<ArrayBuffer> } & (
  | { readonly finding: F }
  | { readonly fault: string }
);

/** Niceness of the thread: the main thread, which serves all connections, has priority. */
const NICE = 10;

/** Linux gives each thread a priority of its own; elsewhere it would be the whole process's. */
function stepBack(): void {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), NICE);
  } catch {
    // It works without, too.
  }
}

/** Up to this size a buffer may share its memory with others. */
const POOLED_BYTES = 65_536;

/** The memory of a request that was made anew goes with it. */
function memoryOf(result: ThreadFinding): ArrayBuffer[] {
  const found = 'finding' in result ? result.finding : undefined;
  if (found === undefined || found instanceof Uint8Array || !isTenantFound(found)) return [];
  const body = 'kind' in found.tenant ? undefined : found.tenant.request.body;
  return body?.buffer instanceof ArrayBuffer && body.byteLength > POOLED_BYTES ? [body.buffer] : [];
}

function run(task: ThreadTask['task'], body: Buffer): BodyFinding | Uint8Array {
  // A copy of the changed one: it may be a part of the body, whose memory goes back as it came.
  return task.kind === 'answer' ? new Uint8Array(runAnswerTask(task, body)) : runBodyTask(task, body);
}

stepBack();
parentPort?.on('message', ({ task, bytes }: ThreadTask) => {
  let result: ThreadFinding;
  try {
    result = { bytes, finding: run(task, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)) };
  } catch (error) {
    result = { bytes, fault: error instanceof Error ? error.name : 'unknown' };
  }
  parentPort?.postMessage(result, [bytes.buffer, ...memoryOf(result)]);
});

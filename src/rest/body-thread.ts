import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { type BodyFinding, type BodyTask, runBodyTask } from './body-task.ts';

/** What the thread is sent, and gives back: the bytes come and go without a copy. */
export interface ThreadTask {
  readonly task: BodyTask;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** `fault` = why there is no finding; never a part of the body. */
export type ThreadFinding = { readonly bytes: Uint8Array<ArrayBuffer> } & (
  | { readonly finding: BodyFinding }
  | { readonly fault: string }
);

/** Where processors are short, the thread that serves everybody goes first. */
const NICE = 10;

/** Linux gives each thread a priority of its own; elsewhere it would be the whole process's. */
function stepBack(): void {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), NICE);
  } catch {
    // It works without, too.
  }
}

stepBack();
parentPort?.on('message', ({ task, bytes }: ThreadTask) => {
  let result: ThreadFinding;
  try {
    result = { bytes, finding: runBodyTask(task, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)) };
  } catch (error) {
    result = { bytes, fault: error instanceof Error ? error.name : 'unknown' };
  }
  parentPort?.postMessage(result, [bytes.buffer]);
});

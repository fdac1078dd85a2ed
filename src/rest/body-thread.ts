import { parentPort } from 'node:worker_threads';
import { type BodyFinding, type BodyTask, runBodyTask } from './body-task.ts';

/** What the thread is sent, and gives back: the bytes come and go without a copy. */
export interface ThreadTask {
  readonly task: BodyTask;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** `fault` = why there is no finding; never a part of the body. */
export type ThreadFinding =
  | { readonly bytes: Uint8Array<ArrayBuffer>; readonly finding: BodyFinding }
  | { readonly fault: string };

parentPort?.on('message', ({ task, bytes }: ThreadTask) => {
  let result: ThreadFinding;
  try {
    result = { bytes, finding: runBodyTask(task, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)) };
  } catch (error) {
    result = { fault: error instanceof Error ? error.name : 'unknown' };
  }
  parentPort?.postMessage(result, 'bytes' in result ? [result.bytes.buffer] : []);
});

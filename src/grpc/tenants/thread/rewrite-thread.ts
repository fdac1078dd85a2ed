import { parentPort } from 'node:worker_threads';
import { type RewriteFinding, type RewriteTask, runRewriteTask } from './rewrite-task.ts';

/** A message to the thread. The bytes are transferred both ways. */
export interface ThreadTask {
  readonly task: RewriteTask;
  readonly framed: Uint8Array<ArrayBuffer>;
}

/** `fault` = why there is no finding; never a part of the message. */
export type ThreadFinding = { readonly framed: Uint8Array<ArrayBuffer> } & (
  | { readonly finding: RewriteFinding }
  | { readonly fault: string }
);

parentPort?.on('message', ({ task, framed }: ThreadTask) => {
  let result: ThreadFinding;
  try {
    const bytes = Buffer.from(framed.buffer, framed.byteOffset, framed.byteLength);
    result = { framed, finding: runRewriteTask(task, bytes) };
  } catch (error) {
    result = { framed, fault: error instanceof Error ? error.name : 'unknown' };
  }
  parentPort?.postMessage(result, [framed.buffer]);
});

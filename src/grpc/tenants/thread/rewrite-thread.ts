import { parentPort } from 'node:worker_threads';
import { POOLED_BYTES, type RewriteFinding, type RewriteTask, runRewriteTask } from './rewrite-task.ts';

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
  const moved: ArrayBuffer[] = [framed.buffer];
  try {
    const bytes = Buffer.from(framed.buffer, framed.byteOffset, framed.byteLength);
    const finding = runRewriteTask(task, bytes);
    const own = memoryOf(finding);
    if (own && own !== framed.buffer) moved.push(own);
    result = { framed, finding };
  } catch (error) {
    result = { framed, fault: error instanceof Error ? error.name : 'unknown' };
  }
  parentPort?.postMessage(result, moved);
});

/** The memory of a large message that was made: it is moved, since a copy of it would hold up the event loop. */
function memoryOf({ tenant }: RewriteFinding): ArrayBuffer | undefined {
  if (typeof tenant !== 'object' || 'kind' in tenant) return undefined;
  const { buffer, byteLength } = tenant.request.message;
  // Small buffers share theirs with others.
  return buffer instanceof ArrayBuffer && byteLength > POOLED_BYTES ? buffer : undefined;
}

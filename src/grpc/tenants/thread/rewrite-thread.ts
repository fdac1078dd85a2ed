import { parentPort } from 'node:worker_threads';
import { WireFault } from '../../message/wire.ts';
import { type AnswerTask, runAnswerTask } from '../change-answer.ts';
import { POOLED_BYTES, type RewriteFinding, type RewriteTask, runRewriteTask } from './rewrite-task.ts';

/** A message to the thread. The bytes are transferred both ways. */
export interface ThreadTask {
  readonly task: RewriteTask;
  readonly framed: Uint8Array<ArrayBuffer>;
}

/** An answer to the thread. The bytes are transferred both ways. */
export interface ThreadAnswerTask {
  readonly answer: AnswerTask;
  readonly message: Uint8Array<ArrayBuffer>;
}

/** `changed` is `undefined` if upstream's message is no such answer. */
export interface ThreadAnswer {
  readonly changed: Uint8Array<ArrayBuffer> | undefined;
}

/** `fault` = why there is no finding; never a part of the message. */
export type ThreadFinding = { readonly framed: Uint8Array<ArrayBuffer> } & (
  | { readonly finding: RewriteFinding }
  | { readonly fault: string }
);

parentPort?.on('message', (work: ThreadTask | ThreadAnswerTask) => {
  if ('task' in work) rewrite(work);
  else change(work);
});

function rewrite({ task, framed }: ThreadTask): void {
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
}

function change({ answer, message }: ThreadAnswerTask): void {
  const moved: ArrayBuffer[] = [];
  let result: ThreadAnswer | { readonly fault: string };
  try {
    const { buffer, byteOffset, byteLength } = runAnswerTask(answer, Buffer.from(message.buffer, 0, message.length));
    if (!(buffer instanceof ArrayBuffer)) throw new TypeError('shared memory');
    if (byteLength > POOLED_BYTES) moved.push(buffer);
    result = { changed: new Uint8Array(buffer, byteOffset, byteLength) };
  } catch (error) {
    const isOfUpstream = error instanceof WireFault || error instanceof RangeError;
    result = isOfUpstream ? { changed: undefined } : { fault: error instanceof Error ? error.name : 'unknown' };
  }
  parentPort?.postMessage(result, moved);
}

/** The memory of a large message that was made: it is moved, since a copy of it would hold up the event loop. */
function memoryOf({ tenant }: RewriteFinding): ArrayBuffer | undefined {
  if (typeof tenant !== 'object' || 'kind' in tenant) return undefined;
  const { buffer, byteLength } = tenant.request.message;
  // Small buffers share theirs with others.
  return buffer instanceof ArrayBuffer && byteLength > POOLED_BYTES ? buffer : undefined;
}

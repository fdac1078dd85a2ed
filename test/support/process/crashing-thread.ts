import { parentPort } from 'node:worker_threads';
import { runBodyTask } from '../../../src/rest/body/task.ts';
import type { ThreadFinding, ThreadTask } from '../../../src/rest/body/thread.ts';

/** The thread that checks bodies, but for two that end it: one with an error and one without a word. */
parentPort?.on('message', ({ task, bytes }: ThreadTask) => {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const begin = body.toString('latin1', 0, 8);
  if (task.kind === 'answer') throw new TypeError('not for answers');
  if (begin === '{"crash"') throw new Error('on purpose');
  if (begin === '{"exit":') process.exit(0);
  const found: ThreadFinding = { bytes, finding: runBodyTask(task, body) };
  parentPort?.postMessage(found, [bytes.buffer]);
});

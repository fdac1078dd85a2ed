import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Arena, legitimate } from './invariants.ts';

/** What `legitimate` gives. */
type Measured = Awaited<ReturnType<typeof legitimate>>;

/** `legitimate` in a thread of its own, so that what floods in this one does not delay the measuring itself. */
export async function legitimateBeside({ gateway }: Arena, work: Promise<unknown>): Promise<Measured> {
  const plain = { rest: gateway.rest, ca: gateway.ca.toString() };
  const worker = new Worker(new URL(import.meta.url), { workerData: plain, stdout: true });
  const { promise, resolve, reject } = Promise.withResolvers<Measured>();
  // The test library posts messages of its own.
  worker.on('message', (posted: Partial<Measured>) => {
    if (Array.isArray(posted.ms)) resolve(posted as Measured);
  });
  worker.once('error', reject);
  void work.finally(() => worker.postMessage('over')).catch(() => undefined);
  const result = await promise;
  await worker.terminate();
  return result;
}

if (!isMainThread && parentPort && typeof workerData?.ca === 'string') {
  const gateway = { rest: workerData.rest, ca: Buffer.from(workerData.ca) } as Arena['gateway'];
  const result = await legitimate({ gateway }, once(parentPort, 'message'));
  parentPort.postMessage(result);
}

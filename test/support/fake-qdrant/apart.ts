import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

/** A stand-in with an event loop of its own. */
export interface FakeQdrantApart {
  /** `http://127.0.0.1:port` of REST. */
  readonly restUrl: string;
  /** `http://127.0.0.1:port` of gRPC (cleartext HTTP/2). */
  readonly grpcUrl: string;
  /** Ends it; what is open is dropped. */
  readonly close: () => Promise<void>;
}

const THREAD = join(import.meta.dirname, 'apart-thread.ts');

/**
 * Starts the stand-in in a thread, so that no query of it holds up this process. It ends with this process, however that
 * ends. Rejects where it cannot start.
 *
 * @param onEnd is called once when it ends by itself, for example for want of memory
 * @param heapMegabytes the most its data may take
 */
export async function startFakeQdrantApart(
  onEnd: (reason: Error) => void,
  heapMegabytes = 1024,
): Promise<FakeQdrantApart> {
  const worker = new Worker(THREAD, { resourceLimits: { maxOldGenerationSizeMb: heapMegabytes } });
  const ready = Promise.withResolvers<{ restUrl: string; grpcUrl: string }>();
  // Not before it serves: a start that fails is told by the rejection alone.
  let closed = true;
  let failure = new Error('it ended without a reason');
  worker.once('message', (urls: { restUrl: string; grpcUrl: string }) => {
    closed = false;
    ready.resolve(urls);
  });
  worker.on('error', (error) => {
    failure = error instanceof Error ? error : new Error(String(error));
  });
  worker.once('exit', () => {
    ready.reject(failure);
    if (!closed) onEnd(failure);
  });
  const close = async (): Promise<void> => {
    closed = true;
    await worker.terminate();
  };
  return { ...(await ready.promise), close };
}

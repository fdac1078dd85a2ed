import { parentPort } from 'node:worker_threads';
import { startFakeQdrant } from './main.ts';

/** The thread of `apart.ts`: serves until it is ended, and tells where. */
const { restUrl, grpcUrl } = await startFakeQdrant({ record: false });
parentPort?.postMessage({ restUrl, grpcUrl });

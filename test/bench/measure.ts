import { setTimeout as sleep } from 'node:timers/promises';
import { startGrpcLoad } from './grpc-load.ts';
import type { Load, Target } from './load.ts';
import { coreTaken, cpuOf, treeOf } from './processes.ts';
import { startRestLoad } from './rest-load.ts';
import { ANSWER_BYTES } from './upstream.ts';

/** The collection every request names. */
export const COLLECTION = 'bench';

/** What is sent. More rows (large answers, upserts, new connections) go in here. */
export const WORKLOADS = {
  rest: (target: Target) => startRestLoad(target, `/collections/${COLLECTION}`, ANSWER_BYTES),
  grpc: (target: Target) => startGrpcLoad(target, '/qdrant.Points/Get', getPoints(), ANSWER_BYTES),
} as const;

/** Name of a workload. */
export type Workload = keyof typeof WORKLOADS;

/** One measured window. */
export type Sample = {
  readonly requests: number;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  /** CPU microseconds of the gateway's process tree per request; NaN when nothing was answered. */
  readonly cpuPerRequest: number;
  /** Share of one core that the gateway used, 0 to 1. */
  readonly busy: number;
  /** Share of the gateway's core that other programs took, 0 to 1; 0 when it is not pinned. */
  readonly others: number;
  readonly errors: number;
  readonly firstError: string | null;
};

/** `GetPoints { collection_name, ids: [{ num: 1 }], with_payload: { enable: true } }` of Qdrant's points.proto. */
function getPoints(): Buffer {
  const name = Buffer.from(COLLECTION, 'latin1');
  return Buffer.concat([Buffer.from([0x0a, name.length]), name, Buffer.from([0x12, 2, 0x08, 1, 0x22, 2, 0x08, 1])]);
}

function readings(load: Load, pids: readonly number[], core: number | null) {
  const taken = core === null ? 0 : coreTaken(core);
  return { completed: load.completed, cpu: cpuOf(pids), taken, at: performance.now() };
}

/** True when a gateway answers no request that comes with a wrong key, and does answer at all. Waits two seconds at most. */
export async function refusesWrongKey(workload: Workload, target: Target): Promise<boolean> {
  const load = await WORKLOADS[workload]({ ...target, credential: 'wrong-key' });
  for (let waited = 0; waited < 200 && load.completed + load.failed === 0; waited++) await sleep(10);
  load.close();
  return load.completed === 0 && load.failed > 0;
}

/**
 * Runs a workload for `warmUp` seconds unmeasured and `seconds` measured. An error in either makes the sample one with
 * errors. Never rejects: a gateway that cannot be reached is a sample without requests.
 */
export async function measure(
  workload: Workload,
  target: Target,
  { pid, core }: { readonly pid: number; readonly core: number | null },
  { warmUp, seconds }: { readonly warmUp: number; readonly seconds: number },
): Promise<Sample> {
  let load: Load;
  try {
    load = await WORKLOADS[workload](target);
  } catch (error) {
    const firstError = error instanceof Error ? error.message : 'cannot connect';
    return {
      requests: 0,
      seconds: 0,
      requestsPerSecond: 0,
      cpuPerRequest: Number.NaN,
      busy: 0,
      others: 0,
      errors: 1,
      firstError,
    };
  }
  await sleep(warmUp * 1000);
  const pids = treeOf(pid);
  const before = readings(load, pids, core);
  await sleep(seconds * 1000);
  const after = readings(load, pids, core);
  const { failed: errors, firstFailure: firstError } = load;
  load.close();
  const requests = after.completed - before.completed;
  const elapsed = (after.at - before.at) / 1000;
  const cpu = after.cpu - before.cpu;
  return {
    requests,
    seconds: elapsed,
    requestsPerSecond: requests / elapsed,
    cpuPerRequest: requests === 0 ? Number.NaN : cpu / requests,
    busy: cpu / 1e6 / elapsed,
    others: core === null ? 0 : Math.max(0, (after.taken - before.taken - cpu) / 1e6 / elapsed),
    errors,
    firstError,
  };
}

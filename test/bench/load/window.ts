import { setTimeout as sleep } from 'node:timers/promises';
import { coreTaken, cpuOf, treeOf } from '../processes.ts';
import type { Load } from './load.ts';

/** A program under load: the root of its process tree, and the core it is pinned to. */
export type Measured = { readonly pid: number; readonly core: number | null };

/** Seconds that are not measured, then seconds that are. */
export type Window = { readonly warmUp: number; readonly seconds: number };

/** What one window showed. */
export type WindowFigures = {
  readonly requests: number;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  /** CPU microseconds of the process tree per request; NaN when nothing was answered. */
  readonly cpuPerRequest: number;
  /** Share of one core that the gateway used, 0 to 1. */
  readonly busy: number;
  /** Share of the gateway's core that other programs took, 0 to 1; 0 when it is not pinned. */
  readonly others: number;
  readonly errors: number;
  readonly firstError: string | null;
};

function readings(load: Load, pids: readonly number[], core: number | null) {
  const taken = core === null ? 0 : coreTaken(core);
  return { completed: load.completed, cpu: cpuOf(pids), taken, at: performance.now() };
}

/** Looks at a running load for one window and closes it. An error before or in the window counts. */
export async function watchLoad(load: Load, { pid, core }: Measured, window: Window): Promise<WindowFigures> {
  await sleep(window.warmUp * 1000);
  const pids = treeOf(pid);
  const before = readings(load, pids, core);
  await sleep(window.seconds * 1000);
  const after = readings(load, pids, core);
  const { failed: errors, firstFailure: firstError } = load;
  load.close();
  const requests = after.completed - before.completed;
  const seconds = (after.at - before.at) / 1000;
  const cpu = after.cpu - before.cpu;
  return {
    requests,
    seconds,
    requestsPerSecond: requests / seconds,
    cpuPerRequest: requests === 0 ? Number.NaN : cpu / requests,
    busy: cpu / 1e6 / seconds,
    others: core === null ? 0 : Math.max(0, (after.taken - before.taken - cpu) / 1e6 / seconds),
    errors,
    firstError,
  };
}

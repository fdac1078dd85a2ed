import { setTimeout as sleep } from 'node:timers/promises';
import { fineCpuOf, treeOf } from '../processes.ts';
import { spreadOf } from '../statistics.ts';
import type { Clients } from './clients.ts';
import { inWaves } from './load.ts';

/** One of two that are compared: who asks, and the root of the process tree that is asked. */
export type Side = { readonly clients: Clients; readonly pid: number };

/** CPU microseconds of a window, waves of requests between two looks at it, and windows of each side. */
const WINDOW = { cpu: 50_000, waves: 4, count: 12 };
/** What follows the last answer of a wave (writes that end) is counted, too. */
const SETTLE_MS = 2;

/** Keeps every slot busy, wave by wave, until so much CPU time has been used: microseconds per request. */
async function costOf({ clients }: Side, pids: readonly number[], cpu: number): Promise<number> {
  const before = fineCpuOf(pids);
  const answers = await inWaves(clients, (waves) => waves % WINDOW.waves !== 0 || fineCpuOf(pids) - before < cpu);
  await sleep(SETTLE_MS);
  return (fineCpuOf(pids) - before) / answers;
}

/**
 * CPU microseconds per request of both: medians of short windows that take turns, so that what disturbs one disturbs the
 * other. Requests come in the same portions to both.
 *
 * @param warmUp CPU microseconds that each uses first
 */
export async function comparePair(sides: readonly [Side, Side], warmUp: number): Promise<[number, number]> {
  const pids = sides.map(({ pid }) => treeOf(pid));
  const costs: [number[], number[]] = [[], []];
  for (let window = -1; window < WINDOW.count; window++) {
    for (const index of window % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const cost = await costOf(sides[index], pids[index] ?? [], window < 0 ? warmUp : WINDOW.cpu);
      if (window >= 0) costs[index].push(cost);
    }
  }
  return [spreadOf(costs[0]).median, spreadOf(costs[1]).median];
}

import { MemoryBudget } from './memory-budget.ts';

/** Bytes of all answers that are held, beside one that goes on to its end and the first 128 KiB of each. */
const CAPACITY = 32 << 20;
/** Milliseconds that the one may keep others waiting while it comes, and again while it is taken. */
const STALL_MS = 30_000;

/**
 * The memory of all answers that a process holds whole to change them, of all callers and protocols.
 *
 * @param streamIdleMs limit on the pauses of an answer, in milliseconds
 */
export function createAnswerMemory(streamIdleMs: number): MemoryBudget {
  const priorityMs = Math.min(streamIdleMs, STALL_MS);
  return new MemoryBudget({ capacity: CAPACITY, priorityMs, waitMs: 2 * priorityMs });
}

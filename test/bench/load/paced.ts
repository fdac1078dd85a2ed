import type { Clients, Slot } from './clients.ts';
import { FreeSlots } from './load.ts';

/** How fast requests are sent, and how many seconds of them are left out and looked at. */
export type Pace = { readonly perSecond: number; readonly warmUp: number; readonly seconds: number };

/** Milliseconds from the time a request was due to its answer, and what went wrong first. */
export type Latencies = {
  readonly milliseconds: readonly number[];
  readonly errors: number;
  readonly firstError: string | null;
};

/** Timers fire late by up to this much; the rest of the way to a due time is waited for awake. */
const TIMER_SLACK_MS = 3;
const ANSWER_LIMIT_MS = 3000;

/**
 * Sends requests at fixed times whatever became of those before (an open loop). A request that finds no free slot waits
 * for one, and that counts: latency runs from the time it was due. One that is never answered is an error.
 */
export function runPaced(clients: Clients, { perSecond, warmUp, seconds }: Pace): Promise<Latencies> {
  const step = 1000 / perSecond;
  const [skipped, total] = [Math.round(warmUp * perSecond), Math.round((warmUp + seconds) * perSecond)];
  const milliseconds: number[] = [];
  const free = new FreeSlots(clients.slots);
  const dueOf = new Map<Slot, number>();
  const waiting: number[] = [];
  const start = performance.now() + step;
  const dueAt = (index: number): number => start + index * step;
  let sent = 0;
  let answered = 0;
  let errors = 0;
  let firstError: string | null = null;

  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(limit);
      clients.close();
      resolve({ milliseconds, errors, firstError });
    };
    const fail = (why: string): void => {
      errors++;
      firstError ??= why;
    };
    const limit = setTimeout(
      () => {
        fail('an answer did not come');
        sent = total;
        end();
      },
      total * step + ANSWER_LIMIT_MS,
    );
    const sendOn = (slot: Slot, index: number): void => {
      dueOf.set(slot, index);
      slot.send();
    };
    const next = (): void => {
      if (sent >= total) return;
      if (performance.now() < dueAt(sent)) {
        const wait = dueAt(sent) - performance.now() - TIMER_SLACK_MS;
        if (wait > 0) setTimeout(next, wait);
        else setImmediate(next);
        return;
      }
      const slot = free.take();
      if (slot === undefined) waiting.push(sent);
      else sendOn(slot, sent);
      sent++;
      setImmediate(next);
    };
    clients.listen({
      answered: (slot, fault) => {
        const index = dueOf.get(slot) ?? 0;
        if (fault !== null) fail(fault);
        else if (index >= skipped) milliseconds.push(performance.now() - dueAt(index));
        answered++;
        const late = waiting.shift();
        if (late === undefined) free.give(slot);
        else sendOn(slot, late);
        if (answered === total) end();
      },
      lost: fail,
    });
    next();
  });
}

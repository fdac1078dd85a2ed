import { randomUUID } from 'node:crypto';
import type { DiffJob } from '../../api/questions.ts';
import { type Caller, ownerOf } from '../caller.ts';

/** Diffs that are kept for one caller, and for all. */
const MOST_OF_CALLER = 2;
const MOST = 64;

/** The state of a diff; one that is done as the JSON text of its answer. */
export type Job = Exclude<DiffJob, { readonly state: 'done' }> | { readonly state: 'done'; readonly json: string };

interface Kept {
  readonly owner: string;
  readonly isFull: boolean;
  job: Job;
}

/** The diffs that are under way or done, for those who asked for them. Each caller has the last two, and sees no other. */
export class Jobs {
  readonly #kept = new Map<string, Kept>();

  /** A new one. Returns its id; `undefined` = as many of this caller are under way. */
  begin(caller: Caller): string | undefined {
    const owner = ownerOf(caller);
    const running = [...this.#kept.values()].filter((kept) => kept.owner === owner && kept.job.state === 'running');
    if (running.length >= MOST_OF_CALLER) return undefined;
    const id = randomUUID();
    this.#kept.set(id, { owner, isFull: caller.role === 'full', job: { state: 'running', done: 0, all: 0 } });
    const own = [...this.#kept].filter(([, kept]) => kept.owner === owner);
    for (const [old] of own.slice(0, -MOST_OF_CALLER)) this.#kept.delete(old);
    if (this.#kept.size > MOST) {
      const [first] = [...this.#kept].sort(([, one], [, other]) => Number(one.isFull) - Number(other.isFull));
      if (first) this.#kept.delete(first[0]);
    }
    return id;
  }

  /** Does nothing if it is not kept any more. */
  set(id: string, job: Job): void {
    const kept = this.#kept.get(id);
    if (kept) kept.job = job;
  }

  /** `undefined` = it is not kept, or another caller's. */
  get(id: string, caller: Caller): Job | undefined {
    const kept = this.#kept.get(id);
    return kept?.owner === ownerOf(caller) ? kept.job : undefined;
  }
}

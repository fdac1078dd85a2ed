import type { Principal } from '../../identity/principal.ts';
import { printable } from '../../text/printable.ts';
import { DECISIONS, VERDICTS } from '../verdict.ts';

/** Requests of one key and subject, indexed as `DECISIONS`. */
export interface PrincipalCount {
  readonly key: string;
  /** Empty for keys, and for tokens without a subject. */
  readonly subject: string;
  readonly counts: readonly number[];
}

/** Counts by key id and subject: the first `max` have an entry, the rest share `OTHER`. */
export interface PrincipalCounts {
  readonly count: (principal: Principal | undefined, verdict: number) => void;
  readonly snapshot: () => readonly PrincipalCount[];
}

/** The entry of all keys and subjects beyond the limit. */
export const OTHER = 'other';
const MAX_TEXT = 128;
const DECISION_OF: readonly number[] = VERDICTS.map(({ decision }) => DECISIONS.indexOf(decision));

export function createPrincipalCounts(max: number): PrincipalCounts {
  const known = new WeakMap<Principal, Float64Array>();
  const byName = new Map<string, { readonly key: string; readonly subject: string; readonly counts: Float64Array }>();

  const add = (name: string, key: string, subject: string): Float64Array => {
    const counts = new Float64Array(DECISIONS.length);
    byName.set(name, { key, subject, counts });
    return counts;
  };

  const countsOf = (principal: Principal): Float64Array => {
    const [key, subject] = [cut(principal.keyId), cut(principal.subject ?? '')];
    const name = JSON.stringify([key, subject]);
    const counts =
      byName.get(name)?.counts ??
      (byName.size < max ? add(name, key, subject) : (byName.get(OTHER)?.counts ?? add(OTHER, OTHER, OTHER)));
    known.set(principal, counts);
    return counts;
  };

  return {
    count(principal, verdict) {
      if (!principal) return;
      const counts = known.get(principal) ?? countsOf(principal);
      const at = DECISION_OF[verdict] ?? 0;
      counts[at] = (counts[at] ?? 0) + 1;
    },
    snapshot: () => [...byName.values()].map(({ key, subject, counts }) => ({ key, subject, counts: [...counts] })),
  };
}

function cut(text: string): string {
  return printable(text.slice(0, MAX_TEXT));
}

/** Sums the counts of several processes, again with at most `max` entries. */
export function addPrincipalCounts(lists: readonly (readonly PrincipalCount[])[], max: number): PrincipalCount[] {
  const total = new Map<string, PrincipalCount>();
  for (const { key, subject, counts } of lists.flat()) {
    const name = JSON.stringify([key, subject]);
    const isOther = key === OTHER && subject === OTHER;
    const fits = isOther || total.has(name) || total.size < max;
    const [into, labels] = fits && !isOther ? [name, { key, subject }] : [OTHER, { key: OTHER, subject: OTHER }];
    const before = total.get(into)?.counts;
    total.set(into, { ...labels, counts: counts.map((count, at) => count + (before?.[at] ?? 0)) });
  }
  return [...total.values()];
}

import type { Revocations } from '../identity/revocations.ts';
import { isOver, type RevocationEntry } from './entry.ts';

/**
 * Combines the entries of all sources into the value that requests are checked against. Expired entries are left out;
 * of several times for the same tokens the latest applies.
 *
 * @param now seconds since 1970
 */
export function foldEntries(entries: Iterable<RevocationEntry>, now: number, unknown = false): Revocations {
  const tokens = new Set<string>();
  const subjects = new Set<string>();
  const keys = new Set<string>();
  const issuedBeforeBySubject = new Map<string, number>();
  let issuedBefore: number | undefined;
  for (const entry of entries) {
    if (isOver(entry, now)) continue;
    switch (entry.kind) {
      case 'token':
        tokens.add(entry.value);
        break;
      case 'subject':
        subjects.add(entry.value);
        break;
      case 'key':
        keys.add(entry.value);
        break;
      case 'before':
        if (entry.subject === undefined) issuedBefore = Math.max(issuedBefore ?? 0, entry.value);
        else {
          const latest = Math.max(issuedBeforeBySubject.get(entry.subject) ?? 0, entry.value);
          issuedBeforeBySubject.set(entry.subject, latest);
        }
        break;
      default:
        entry satisfies never;
    }
  }
  return Object.freeze({ tokens, subjects, keys, issuedBefore, issuedBeforeBySubject, unknown });
}

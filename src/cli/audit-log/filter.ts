import type { Entry } from '../../audit/reading/entries.ts';
import { type EntryFilter, FilterFault, filterOf } from '../../audit/reading/filter.ts';
import { UsageError } from '../output.ts';

/** Options that choose entries, as commander hands them over. */
export type FilterFlags = EntryFilter;

/** True = an entry is wanted. Throws `UsageError` for times that cannot be read. @param now milliseconds since 1970 */
export function filterFrom(flags: FilterFlags, now: number): (entry: Entry) => boolean {
  try {
    return filterOf(flags, now);
  } catch (error) {
    if (error instanceof FilterFault) throw new UsageError(`--${error.member} ${error.message}`);
    throw error;
  }
}

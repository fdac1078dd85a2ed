import type { Entry } from './entries.ts';

/** A choice of entries. Times are an ISO time, or a time ago such as `15m`; other texts may end in `*`. */
export interface EntryFilter {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly result?: string | undefined;
  readonly code?: string | undefined;
  readonly operation?: string | undefined;
  readonly collection?: string | undefined;
  readonly key?: string | undefined;
  readonly subject?: string | undefined;
  readonly remote?: string | undefined;
  readonly rule?: string | undefined;
  readonly event?: string | undefined;
  readonly id?: string | undefined;
}

/** A time of a filter that cannot be read. `member` names it. */
export class FilterFault extends Error {
  readonly code = 'ERR_FILTER';
  readonly member: 'since' | 'until';

  constructor(member: 'since' | 'until', message: string) {
    super(message);
    this.member = member;
  }
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
/** Options that compare one member with a text, which may end in `*`. */
const MEMBERS = ['result', 'code', 'operation', 'key', 'subject', 'remote', 'rule', 'event'] as const;

/** Milliseconds since 1970 of `2h` (ago) or an ISO time. Throws `FilterFault`. */
function momentOf(member: 'since' | 'until', text: string, now: number): number {
  const [, number, unit = ''] = /^([0-9]{1,6})([smhdw])$/.exec(text) ?? [];
  if (number !== undefined) return now - Number(number) * (UNITS[unit] ?? 0) * 1000;
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new FilterFault(member, `must be a time ago such as 15m, 2h or 7d, or an ISO time, not \`${text}\``);
}

function fits(value: unknown, wanted: string): boolean {
  if (typeof value !== 'string') return false;
  return wanted.endsWith('*') ? value.startsWith(wanted.slice(0, -1)) : value === wanted;
}

/** True = an entry is wanted. Throws `FilterFault`. @param now milliseconds since 1970 */
export function filterOf(flags: EntryFilter, now: number): (entry: Entry) => boolean {
  const { since, until, collection, id } = flags;
  const from = since === undefined ? Number.NEGATIVE_INFINITY : momentOf('since', since, now);
  const to = until === undefined ? Number.POSITIVE_INFINITY : momentOf('until', until, now);
  const isTimed = since !== undefined || until !== undefined;
  const members = MEMBERS.flatMap((name) => {
    const wanted = flags[name];
    return wanted === undefined ? [] : [[name, wanted] as const];
  });
  return (entry) => {
    if (isTimed) {
      const at = Date.parse(String(entry.timestamp));
      if (!(at >= from && at < to)) return false;
    }
    if (id !== undefined && entry.id !== id && entry.tracing_id !== id) return false;
    if (collection !== undefined && !collectionsOf(entry).some((name) => fits(name, collection))) return false;
    return members.every(([name, wanted]) => fits(entry[name], wanted));
  };
}

/** Every collection of a request. */
export function collectionsOf({ collection, collections }: Entry): readonly string[] {
  const all = Array.isArray(collections) ? [collection, ...collections] : [collection];
  return [...new Set(all.filter((name): name is string => typeof name === 'string'))];
}

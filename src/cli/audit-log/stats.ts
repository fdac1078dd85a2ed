import { type Entry, readEntries } from '../../audit/reading/entries.ts';
import { collectionsOf } from '../../audit/reading/filter.ts';
import type { Report } from '../frame/declare.ts';
import { textTable } from '../frame/table.ts';
import { type FilterFlags, filterFrom } from './filter.ts';
import { filesOf } from './query.ts';

/** Values that are counted apart; further ones are counted as `other`. */
const MOST_VALUES = 10_000;
const SHOWN = 10;
const OTHER = 'other';
/** Bounds of the histogram of durations grow by this factor. */
const STEP = 1.05;

/** Numbers by value, in bounded memory. */
class Counts {
  readonly #counts = new Map<string, number>();

  add(value: unknown): void {
    const text = value === undefined || value === null || value === '' ? '-' : String(value);
    const name = this.#counts.has(text) || this.#counts.size < MOST_VALUES ? text : OTHER;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  top(most: number): readonly { readonly value: string; readonly count: number }[] {
    const all = [...this.#counts].map(([value, count]) => ({ value, count }));
    return all.toSorted((left, right) => right.count - left.count).slice(0, most);
  }
}

/** Durations to 5 %, in bounded memory. */
class Durations {
  readonly #buckets = new Map<number, number>();
  #count = 0;

  add(milliseconds: unknown): void {
    if (typeof milliseconds !== 'number' || !(milliseconds >= 0)) return;
    const at = Math.ceil(Math.log(Math.max(milliseconds, 0.001)) / Math.log(STEP));
    this.#buckets.set(at, (this.#buckets.get(at) ?? 0) + 1);
    this.#count += 1;
  }

  /** The duration that so many of all do not exceed, in milliseconds; `null` = there is none. */
  quantile(share: number): number | null {
    let left = share * this.#count;
    for (const [at, count] of [...this.#buckets].toSorted(([one], [other]) => one - other)) {
      left -= count;
      if (left <= 0) return Number(STEP ** at >= 10 ? (STEP ** at).toFixed(0) : (STEP ** at).toPrecision(2));
    }
    return null;
  }
}

/** `audit stats`: numbers of entries that fit, by result, code, operation, collection, key, subject and address. */
export async function auditStats(paths: readonly string[], flags: FilterFlags, now: number): Promise<Report> {
  const fits = filterFrom(flags, now);
  const names = ['result', 'code', 'operation', 'collection', 'key', 'subject', 'remote', 'event'] as const;
  const counts = Object.fromEntries(names.map((name) => [name, new Counts()]));
  const durations = new Durations();
  const span: { entries: number; first: string | null; last: string | null } = { entries: 0, first: null, last: null };
  const unread = await readEntries(filesOf(paths), (entry) => {
    if (!fits(entry)) return;
    for (const name of names) addTo(counts[name], name, entry);
    durations.add(entry.duration_ms);
    const at = String(entry.timestamp);
    span.entries += 1;
    if (span.first === null || at < span.first) span.first = at;
    if (span.last === null || at > span.last) span.last = at;
  });
  const quantiles = { p50: durations.quantile(0.5), p95: durations.quantile(0.95), p99: durations.quantile(0.99) };
  const by = Object.fromEntries(names.map((name) => [name, counts[name]?.top(SHOWN) ?? []]));
  return { text: textOf(span, quantiles, by), json: { ...span, unread, duration_ms: quantiles, by } };
}

function addTo(counts: Counts | undefined, name: string, entry: Entry): void {
  if (name !== 'collection') counts?.add(entry[name]);
  else for (const one of collectionsOf(entry)) counts?.add(one);
}

type Tops = Readonly<Record<string, readonly { readonly value: string; readonly count: number }[]>>;

function textOf(
  { entries, first, last }: { entries: number; first: string | null; last: string | null },
  quantiles: Readonly<Record<string, number | null>>,
  by: Tops,
): string {
  if (entries === 0) return 'no entries\n';
  const times = Object.entries(quantiles).map(([name, value]) => `${name} ${value ?? '-'} ms`);
  const head = `${entries} entries, ${first} to ${last}\nduration: ${times.join(', ')}\n`;
  // A table of nothing but absent values tells nothing.
  const told = Object.entries(by).filter(([, values]) => values.some(({ value }) => value !== '-'));
  const tables = told.map(([name, values]) =>
    textTable(
      [name.toUpperCase(), 'ENTRIES'],
      values.map(({ value, count }) => [value, String(count)]),
    ),
  );
  return [head, ...tables].join('\n');
}

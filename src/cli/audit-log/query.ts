import { setTimeout as pause } from 'node:timers/promises';
import { orderFiles } from '../../audit/chain/verify.ts';
import { type Entry, GrowingFile, Newest, readEntries } from '../../audit/reading/entries.ts';
import { collectionsOf } from '../../audit/reading/filter.ts';
import { jsonLine, printable } from '../../text/printable.ts';
import { auditFiles } from '../audit.ts';
import type { Report } from '../frame/declare.ts';
import { textTable } from '../frame/table.ts';
import { type Output, UsageError } from '../output.ts';
import { type FilterFlags, filterFrom } from './filter.ts';

const HEADING = ['TIME', 'RESULT', 'CODE', 'OPERATION', 'COLLECTION', 'KEY', 'SUBJECT', 'REMOTE', 'STATUS', 'MS', 'ID'];
/** Time between two looks at growing files, in milliseconds. */
const LOOK_MS = 250;
const MOST_SHOWN = 100_000;

/** The columns of an entry. */
function rowOf(entry: Entry): readonly string[] {
  const { timestamp, result, code, would_deny: shadowed, operation, key, subject, remote, status } = entry;
  const wouldBe = Object(shadowed) as { readonly code?: unknown };
  const all = [
    ...[timestamp, result, code ?? (wouldBe.code && `(${wouldBe.code})`), operation, collectionsOf(entry).join(',')],
    ...[key, subject, remote, status, entry.duration_ms, entry.id],
  ];
  return all.map((value) => (value === undefined || value === null || value === '' ? '-' : String(value)));
}

/** The number in `--limit` or `-n`. Throws `UsageError`. */
function limitIn(text: string): number {
  if (/^[0-9]{1,6}$/.test(text) && Number(text) <= MOST_SHOWN) return Number(text);
  throw new UsageError(`--limit must be a whole number up to ${MOST_SHOWN}, not \`${text}\``);
}

/** `audit query`: entries that fit, the newest at the end. */
export async function queryAudit(
  paths: readonly string[],
  flags: FilterFlags & { readonly limit: string },
  output: Output,
  now: number,
): Promise<Report> {
  const newest = new Newest(limitIn(flags.limit));
  const fits = filterFrom(flags, now);
  const unread = await readEntries(filesOf(paths), (entry) => {
    if (fits(entry)) newest.add(entry);
  });
  const [entries, found] = [newest.entries(), newest.found];
  if (unread > 0) output.err(`note: ${unread} lines are no entry, as interrupted writes leave them\n`);
  if (found > entries.length) output.err(`note: the newest ${entries.length} of ${found}; --limit shows more\n`);
  const text = entries.length === 0 ? 'no entries\n' : textTable(HEADING, entries.map(rowOf));
  return { text, json: entries };
}

/** `audit tail`: the newest entries that fit, then those that are added, until `ended` aborts. */
export async function tailAudit(
  paths: readonly string[],
  flags: FilterFlags & { readonly limit: string; readonly follow?: boolean | undefined },
  { output, now, json, ended }: { output: Output; now: number; json: boolean; ended: AbortSignal },
): Promise<undefined> {
  const fits = filterFrom(flags, now);
  const write = (entry: Entry) => {
    if (fits(entry)) output.out(`${json ? jsonLine(entry) : rowOf(entry).map(printable).join('  ')}\n`);
  };
  const growing = new Map(filesOf(paths).map((path) => [path, new GrowingFile(path)]));
  const newest = new Newest(limitIn(flags.limit));
  for (const file of growing.values()) file.more((entry) => (fits(entry) ? newest.add(entry) : undefined));
  for (const entry of newest.entries()) write(entry);
  while (flags.follow && !ended.aborted) {
    for (const path of filesOf(paths)) {
      if (!growing.has(path)) growing.set(path, new GrowingFile(path));
    }
    for (const file of growing.values()) file.more(write);
    await pause(LOOK_MS, undefined, { signal: ended }).catch(() => undefined);
  }
  return undefined;
}

/** The files of paths, each chain in the order of writing. */
export function filesOf(paths: readonly string[]): readonly string[] {
  return orderFiles([...new Set(paths.flatMap(auditFiles))]).flat();
}

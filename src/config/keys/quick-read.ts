import { setImmediate as pause } from 'node:timers/promises';
import { isSeq, parseDocument } from 'yaml';
import { JsonReader } from '../../json/reader.ts';
import { repeatsMember } from '../../json/repeats-member.ts';
import type { KnownOperations } from '../policy/access-problems.ts';
import { cutKeys } from './chunks.ts';
import type { KeyEntry } from './schema.ts';

/*
 * Reads a large file of named keys that has no fault without reading again what has not changed: a parse of YAML takes
 * seconds for thousands of keys.
 */

/** Deepest nesting of a file in JSON. */
const MOST_NESTED = 32;

/** The entries of the latest text. */
interface Known {
  readonly operations: KnownOperations | undefined;
  /** `undefined` = entries were read ahead of their text. */
  readonly text: string | undefined;
  readonly entries: readonly KeyEntry[];
  /** Entries by their text in the file. */
  readonly byText: ReadonlyMap<string, KeyEntry>;
}

export interface QuickRead {
  /** The entry of plain data; `undefined` = it has a fault. */
  readonly check: (value: unknown) => KeyEntry | undefined;
  readonly operations: KnownOperations | undefined;
  readonly most: number;
}

let known: Known | undefined;
const NOTHING: ReadonlyMap<string, KeyEntry> = new Map();

/** The entries of a file without a fault; `undefined` = it has one, or another form than is read here. */
export function readQuickly(text: string, options: QuickRead): readonly KeyEntry[] | undefined {
  const { operations, most } = options;
  const last = known?.operations === operations ? known : undefined;
  if (last?.text === text) return last.entries;
  const before = last?.byText ?? NOTHING;
  const byText = new Map<string, KeyEntry>();
  const parts = text.startsWith('{') ? partsOfJson(text) : partsOfYaml(text);
  if (!parts || parts.length > most) return undefined;
  const entries: KeyEntry[] = [];
  const ids = new Set<string>();
  for (const { own, value } of parts) {
    const entry = before.get(own) ?? options.check(value());
    if (!entry || ids.has(entry.id)) return undefined;
    ids.add(entry.id);
    byText.set(own, entry);
    entries.push(entry);
  }
  known = { operations, text, entries: Object.freeze(entries), byText };
  return entries;
}

/** Shorter texts are read at once, in characters. */
const SHORT = 100_000;
/** Longest time without a pause, in milliseconds. */
const SLICE_MS = 10;

/**
 * Reads what is new in a text, some at a time, so that requests are served meanwhile; the next `readQuickly` of the text finds it
 * read. Never rejects.
 */
export async function readAhead(text: string, { check, operations, most }: QuickRead): Promise<void> {
  const last = known?.operations === operations ? known : undefined;
  if (text.length < SHORT || last?.text === text) return;
  const parts = text.startsWith('{') ? partsOfJson(text) : partsOfYaml(text);
  if (!parts || parts.length > most) return;
  const byText = new Map<string, KeyEntry>();
  let end = performance.now() + SLICE_MS;
  for (const { own, value } of parts) {
    const entry = last?.byText.get(own) ?? check(value());
    if (!entry) return;
    byText.set(own, entry);
    if (performance.now() < end) continue;
    await pause();
    end = performance.now() + SLICE_MS;
  }
  const now = known && known.operations === operations ? known : { text: undefined, entries: [], byText: NOTHING };
  known = { ...now, operations, byText: new Map([...now.byText, ...byText]) };
}

interface Part {
  /** The text that is known again. */
  readonly own: string;
  readonly value: () => unknown;
}

function partsOfJson(text: string): readonly Part[] | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    // INVARIANT: a member that is given twice is a fault, as in YAML.
    if (!isAsWritten(text, parsed) && repeatsMember(new JsonReader(Buffer.from(text)), MOST_NESTED)) return undefined;
    if (typeof parsed !== 'object' || parsed === null || !('keys' in parsed)) return undefined;
    const { keys, ...others } = parsed;
    if (!Array.isArray(keys) || Object.keys(others).length > 0) return undefined;
    return keys.map((value: unknown) => ({ own: JSON.stringify(value), value: () => value }));
  } catch {
    return undefined;
  }
}

/** True = the text is what its value is written as: it has no member twice. Much faster than reading it for that. */
function isAsWritten(text: string, parsed: unknown): boolean {
  const bare = text.trimEnd();
  return bare === JSON.stringify(parsed, undefined, 2) || bare === JSON.stringify(parsed);
}

function partsOfYaml(text: string): readonly Part[] | undefined {
  return cutKeys(text)?.entries.map(({ text: own }) => ({ own, value: () => valueIn(own) }));
}

function valueIn(text: string): unknown {
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0 || !isSeq(document.contents) || document.contents.items.length !== 1) return undefined;
  try {
    const list: unknown = document.toJS({ maxAliasCount: 100 });
    return Array.isArray(list) ? list[0] : undefined;
  } catch {
    return undefined;
  }
}

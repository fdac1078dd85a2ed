import { randomUUID } from 'node:crypto';
import { isMap, isScalar, isSeq, LineCounter, parseDocument, YAMLMap } from 'yaml';
import { ConfigError, type Problem } from '../config/problem.ts';
import { isEntry, MAX_ENTRIES, type RevocationEntry, readEntry } from './entry.ts';

/*
 * The revocation file: YAML with a list `revocations`. The gateway writes each entry on a line of its own, as a flow
 * mapping with JSON's quotes. Such lines are parsed separately: ten thousand of them would block a YAML parser for a
 * second.
 */

/** Most problems reported of one file. */
const MAX_PROBLEMS = 20;
const OWN_LINE = /^ {2}- (\{ ".*" ?: .*\})$/;

/** An entry in the form the gateway writes. */
function flowText(entry: object): string {
  const members = Object.entries(entry).filter(([, value]) => value !== undefined);
  return `{ ${members.map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`).join(', ')} }`;
}

function ownLine(entry: RevocationEntry): string {
  return `  - ${flowText(entry)}`;
}

/** The entry of a line exactly in the gateway's form; other lines are left to the YAML parser. */
function readOwnLine(line: string): RevocationEntry | undefined {
  const [, flow] = OWN_LINE.exec(line) ?? [];
  if (flow === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(flow);
  } catch {
    return undefined;
  }
  // INVARIANT: it is written back identically, so no member is repeated.
  if (typeof value !== 'object' || value === null || flowText(value) !== flow) return undefined;
  const read = readEntry(value);
  return isEntry(read) ? read : undefined;
}

/**
 * The entries of a file. Places are `file:line:column`; no problem quotes a value.
 *
 * @throws ConfigError with every problem, up to a number
 */
export function readRevocations(file: string, text: string): readonly RevocationEntry[] {
  const entries: RevocationEntry[] = [];
  const rest = text.split('\n').map((line) => {
    const entry = readOwnLine(line);
    if (entry === undefined) return line;
    entries.push(entry);
    return '';
  });
  entries.push(...readDocument(file, rest.join('\n'), entries.length > 0));
  if (entries.length > MAX_ENTRIES) {
    throw new ConfigError([{ place: file, message: `more than ${MAX_ENTRIES} revocations` }]);
  }
  return entries;
}

/** @param mayBeEmpty entries of the list were already parsed */
function readDocument(file: string, text: string, mayBeEmpty: boolean): RevocationEntry[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (node: unknown): string => {
    const { line, col } = lines.linePos(startOf(node));
    return `${file}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    // The parser's own text may quote the line.
    throw refused(
      document.errors.map(({ pos: [start], code }) => {
        const message = `not valid yaml (${code.toLowerCase().replaceAll('_', ' ')})`;
        return { place: at({ range: [start] }), message };
      }),
    );
  }
  const root = document.contents;
  const pairs = isMap(root) ? root.items : [];
  const list = pairs[0]?.value;
  if (pairs.length !== 1 || !isScalar(pairs[0]?.key) || pairs[0].key.value !== 'revocations') {
    // An empty file may be in the process of being written.
    throw refused([
      {
        place: at(root),
        message: 'the file must contain the list `revocations` and nothing else; an empty list is `revocations: []`',
      },
    ]);
  }
  if (mayBeEmpty && (list === null || (isScalar(list) && list.value === null))) return [];
  if (!isSeq(list)) throw refused([{ place: at(list ?? pairs[0].key), message: '`revocations` must be a list' }]);
  const problems: Problem[] = [];
  const entries = list.items.flatMap((item) => {
    const read = readEntry(isMap(item) ? item.toJS(document) : undefined);
    if (isEntry(read)) return read;
    problems.push(...read.map(({ member, message }) => ({ place: at(memberOf(item, member) ?? item), message })));
    return [];
  });
  if (problems.length > 0) throw refused(problems);
  return entries;
}

function refused(problems: readonly Problem[]): ConfigError {
  const more = problems.length - MAX_PROBLEMS;
  const shown = problems.slice(0, MAX_PROBLEMS);
  const place = shown[0]?.place ?? '';
  return new ConfigError(more > 0 ? [...shown, { place, message: `and ${more} more problems` }] : shown);
}

function startOf(node: unknown): number {
  if (typeof node !== 'object' || node === null || !('range' in node) || !Array.isArray(node.range)) return 0;
  return Number(node.range[0]);
}

function memberOf(item: unknown, member: string | undefined): unknown {
  if (!(item instanceof YAMLMap) || member === undefined) return undefined;
  const pair = item.items.find(({ key }) => isScalar(key) && key.value === member);
  return pair?.value ?? pair?.key;
}

/**
 * The text of the file with one more entry. Comments and formatting of the operator are kept.
 *
 * @param before number of entries that `readRevocations` finds in the text
 * @throws ConfigError if the text is not in the form of a revocation file
 */
export function addEntry(file: string, text: string, entry: RevocationEntry, before: number): string {
  const line = ownLine(entry);
  const lines = text.split('\n');
  const last = lines.findLastIndex((one) => readOwnLine(one) !== undefined);
  const next = last >= 0 ? lines.toSpliced(last + 1, 0, line).join('\n') : addFirst(text, entry);
  // INVARIANT: the written text contains the old entries and the new one.
  if (readRevocations(file, next).length === before + 1) return next;
  throw new ConfigError([{ place: file, message: 'an entry cannot be added to a file of this form' }]);
}

/** The YAML parser finds the place of the entry; the line is in the gateway's form. */
function addFirst(text: string, entry: RevocationEntry): string {
  const document = parseDocument(text);
  const list = document.get('revocations');
  if (!isSeq(list)) return text;
  const stand = randomUUID();
  list.flow = false;
  list.add(stand);
  return document.toString({ lineWidth: 0 }).replace(`  - ${stand}`, () => ownLine(entry));
}

/**
 * The text of the file without some entries. Comments and formatting of the others are kept.
 *
 * @throws ConfigError if the text is not in the form of a revocation file
 */
export function removeEntries(file: string, text: string, isOut: (entry: RevocationEntry) => boolean): string {
  const left = readRevocations(file, text).filter((entry) => !isOut(entry)).length;
  const lines = text.split('\n').filter((line) => {
    const entry = readOwnLine(line);
    return entry === undefined || !isOut(entry);
  });
  const document = parseDocument(lines.join('\n'));
  const list = document.get('revocations');
  const before = isSeq(list) ? list.items.length : 0;
  if (isSeq(list)) list.items = list.items.filter((item) => !isOutItem(item, document, isOut));
  const isEmpty = !isSeq(list) || list.items.length === 0;
  if (isEmpty) document.set('revocations', document.createNode([], { flow: true }));
  // INVARIANT: the written text contains the other entries, and no other.
  const same = isSeq(list) && list.items.length === before && !isEmpty;
  const next = same ? lines.join('\n') : document.toString({ lineWidth: 0 });
  if (readRevocations(file, next).length === left) return next;
  throw new ConfigError([{ place: file, message: 'an entry cannot be taken out of a file of this form' }]);
}

function isOutItem(
  item: unknown,
  document: ReturnType<typeof parseDocument>,
  isOut: (entry: RevocationEntry) => boolean,
): boolean {
  const read = readEntry(isMap(item) ? item.toJS(document) : undefined);
  return isEntry(read) && isOut(read);
}

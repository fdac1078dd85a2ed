import type { JsonReader } from '../../../json/reader.ts';
import type { Part } from '../../../policy/search/facts.ts';
import { expectObject, ShapeFault } from '../inspect-references.ts';

/*
 * Filters, and formulas with conditions in them. A condition counts as the conditions inside it, and at least as one. Their
 * nesting is that of the JSON text, which the reader bounds.
 */

/** Members of a filter with conditions; each is one condition or an array of them. */
const CLAUSES: ReadonlySet<string> = new Set(['must', 'should', 'must_not']);

/** Counts the conditions of a filter. @param depth of the filter itself, from 1 */
export function readFilter(reader: JsonReader, part: Part, depth: number): void {
  part.filterDepth = Math.max(part.filterDepth, depth);
  const once = new Once(reader);
  expectObject(reader, 'a filter');
  reader.readObject((key) => {
    if (!readClause(reader, part, { key, depth, once })) reader.skipValue();
  });
}

/** `false` = the member is not one of a filter, and nothing of it has been read. */
function readClause(
  reader: JsonReader,
  part: Part,
  { key, depth, once }: { readonly key: string; readonly depth: number; readonly once: Once },
): boolean {
  if (CLAUSES.has(key)) {
    once.see(key);
    if (!skippedNull(reader)) readConditions(reader, part, depth);
    return true;
  }
  if (key !== 'min_should') return false;
  once.see(key);
  if (skippedNull(reader)) return true;
  const inner = new Once(reader);
  expectObject(reader, '`min_should`');
  reader.readObject((member) => {
    if (member !== 'conditions') {
      reader.skipValue();
      return;
    }
    inner.see(member);
    readConditions(reader, part, depth);
  });
  return true;
}

function readConditions(reader: JsonReader, part: Part, depth: number): void {
  if (reader.peek() === 'array') reader.readArray(() => readCondition(reader, part, depth));
  else readCondition(reader, part, depth);
}

/** @param depth of the filter around it */
function readCondition(reader: JsonReader, part: Part, depth: number): void {
  const before = part.conditions;
  const once = new Once(reader);
  expectObject(reader, 'a condition');
  reader.readObject((key) => readConditionMember(reader, part, { key, depth, once }));
  if (part.conditions === before) part.conditions += 1;
}

function readConditionMember(
  reader: JsonReader,
  part: Part,
  { key, depth, once }: { readonly key: string; readonly depth: number; readonly once: Once },
): void {
  if (CLAUSES.has(key) || key === 'min_should') {
    // The condition is a filter.
    part.filterDepth = Math.max(part.filterDepth, depth + 1);
    readClause(reader, part, { key, depth: depth + 1, once });
    return;
  }
  if (key !== 'nested') {
    reader.skipValue();
    return;
  }
  once.see(key);
  const inner = new Once(reader);
  expectObject(reader, '`nested`');
  reader.readObject((member) => {
    if (member !== 'filter') {
      reader.skipValue();
      return;
    }
    inner.see(member);
    if (!skippedNull(reader)) readFilter(reader, part, depth + 1);
  });
}

/** Expressions with an array of expressions. */
const LISTS: ReadonlySet<string> = new Set(['mult', 'sum', 'max', 'min']);
/** Expressions with one expression. */
const SINGLES: ReadonlySet<string> = new Set(['neg', 'abs', 'sqrt', 'exp', 'log10', 'ln', 'acosh']);
/** Expressions with members that are expressions. */
const MEMBERS: Readonly<Record<string, ReadonlySet<string>>> = {
  div: new Set(['left', 'right']),
  pow: new Set(['base', 'exponent']),
  exp_decay: new Set(['x', 'target']),
  gauss_decay: new Set(['x', 'target']),
  lin_decay: new Set(['x', 'target']),
};
/** Expressions without an expression or condition. */
const LEAVES: ReadonlySet<string> = new Set(['geo_distance', 'datetime', 'datetime_key']);

/** Counts the conditions in a formula. */
export function readFormula(reader: JsonReader, part: Part): void {
  const kind = reader.peek();
  // Upstream takes an array for the members of an expression.
  if (kind === 'array') expectObject(reader, 'an expression');
  if (kind !== 'object') {
    reader.skipValue();
    return;
  }
  const before = part.conditions;
  let isCondition = false;
  const once = new Once(reader);
  reader.readObject((key) => {
    const members = Object.hasOwn(MEMBERS, key) ? MEMBERS[key] : undefined;
    if (LISTS.has(key)) reader.readArray(() => readFormula(reader, part));
    else if (SINGLES.has(key)) readFormula(reader, part);
    else if (members) readMembers(reader, part, members);
    else if (LEAVES.has(key)) reader.skipValue();
    else {
      isCondition = true;
      readConditionMember(reader, part, { key, depth: 0, once });
    }
  });
  if (isCondition && part.conditions === before) part.conditions += 1;
}

function readMembers(reader: JsonReader, part: Part, members: ReadonlySet<string>): void {
  expectObject(reader, 'an expression');
  reader.readObject((member) => {
    if (members.has(member)) readFormula(reader, part);
    else reader.skipValue();
  });
}

function skippedNull(reader: JsonReader): boolean {
  if (reader.peek() !== 'null') return false;
  reader.readNull();
  return true;
}

/** Refuses a member that stands twice, as upstream does. */
class Once {
  readonly #reader: JsonReader;
  #seen: Set<string> | undefined;

  constructor(reader: JsonReader) {
    this.#reader = reader;
  }

  see(key: string): void {
    this.#seen ??= new Set();
    if (this.#seen.has(key)) throw new ShapeFault(`duplicate field \`${key}\``, this.#reader.position);
    this.#seen.add(key);
  }
}

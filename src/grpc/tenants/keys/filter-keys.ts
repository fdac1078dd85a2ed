import { FilterKeys } from '../../../policy/tenants/filter-keys.ts';
import type { PayloadField } from '../../../policy/tenants/payload-path.ts';
import { Fields } from '../splice/fields.ts';
import { numberOf } from '../splice/shapes.ts';

/** The lists of a filter, whose conditions are encoded. */
interface Lists {
  readonly must: readonly Uint8Array[];
  readonly should?: readonly Uint8Array[];
  readonly mustNot?: readonly Uint8Array[];
  readonly minShould?: Uint8Array;
}

const NONE: readonly Uint8Array[] = [];

/** Throws a refusal if a filter sets a condition on one of these fields. */
export function judgeFilter(fields: readonly PayloadField[], filter: Lists | undefined): void {
  if (fields.length === 0 || !filter) return;
  const keys = new FilterKeys(fields);
  for (const list of [filter.must, filter.should ?? NONE, filter.mustNot ?? NONE]) {
    for (const one of list) judgeOne(keys, fieldsOf(one));
  }
  if (filter.minShould) judgeSome(keys, fieldsOf(filter.minShould));
}

/** The same of one encoded condition. */
export function judgeCondition(fields: readonly PayloadField[], condition: Uint8Array): void {
  if (fields.length > 0) judgeOne(new FilterKeys(fields), fieldsOf(condition));
}

const MIN_SHOULD = numberOf('Filter', 'min_should');
const FILTER = numberOf('Condition', 'filter');
const NESTED = numberOf('Condition', 'nested');
/** Conditions whose field 1 is the path of a field. */
const ON_FIELDS = ['field', 'is_empty', 'is_null'].map((name) => numberOf('Condition', name));
const KEY = numberOf('FieldCondition', 'key');
const NESTED_FILTER = numberOf('NestedCondition', 'filter');
const SOME = numberOf('MinShould', 'conditions');

/* INVARIANT: the form of the bytes has been checked, so each is the only one of its fields. */

/** A `Filter`. */
function judgeLists(keys: FilterKeys, filter: Fields): void {
  while (filter.next()) {
    if (filter.number === MIN_SHOULD) judgeSome(keys, within(filter));
    else judgeOne(keys, within(filter));
  }
}

/** A `MinShould`. */
function judgeSome(keys: FilterKeys, some: Fields): void {
  while (some.next()) if (some.number === SOME) judgeOne(keys, within(some));
}

/** A `Condition`. */
function judgeOne(keys: FilterKeys, condition: Fields): void {
  if (!condition.next()) return;
  const { number } = condition;
  if (ON_FIELDS.includes(number)) keys.condition(keyOf(within(condition)));
  else if (number === FILTER) judgeLists(keys, within(condition));
  else if (number === NESTED) judgeNested(keys, within(condition));
}

/** A `NestedCondition`. */
function judgeNested(keys: FilterKeys, nested: Fields): void {
  let key = '';
  keys.open();
  while (nested.next()) {
    if (nested.number === KEY) key = textOf(nested);
    else if (nested.number === NESTED_FILTER) judgeLists(keys, within(nested));
  }
  keys.close(key);
}

/** The path of a condition on a field. */
function keyOf(fields: Fields): string {
  while (fields.next()) if (fields.number === KEY) return textOf(fields);
  return '';
}

function textOf({ bytes, from, to }: Fields): string {
  return bytes.toString('utf8', from, to);
}

/** The fields of the message that is the current field. */
function within({ bytes, from, to }: Fields): Fields {
  return new Fields().begin(bytes, from, to);
}

function fieldsOf({ buffer, byteOffset, byteLength }: Uint8Array): Fields {
  return new Fields().begin(Buffer.from(buffer, byteOffset, byteLength), 0, byteLength);
}

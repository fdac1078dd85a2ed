import { type PayloadField, pathText } from '../../policy/tenants/payload-path.ts';
import { valuesByType } from '../../policy/tenants/payload-rules.ts';
import type { PointId } from '../../policy/tenants/rewriting.ts';
import type { TenantCondition } from '../../policy/tenants/tenancy.ts';
import { encode, make } from './messages/codec.ts';

/** A filter; its conditions are encoded. */
export interface Filter {
  must: Uint8Array[];
}

/** An id in a message. */
export interface IdMessage {
  readonly pointIdOptions:
    | { readonly case: 'num'; readonly value: bigint }
    | { readonly case: 'uuid'; readonly value: string }
    | { readonly case: undefined };
}

/**
 * The client's filter within the tenant's conditions, which stand at the front of `must`: upstream joins the lists of a query with
 * those of its prefetches, and conditions in `must` hold for all of them (Qdrant v1.19.0, `merge_owned`).
 *
 * @param filter is changed; `undefined` = there is none
 */
export function within(conditions: readonly Buffer[], filter: Filter | undefined): Filter {
  if (!filter) return make<Filter>('Filter', { must: [...conditions] });
  filter.must = [...conditions, ...filter.must];
  return filter;
}

/** The conditions of a tenant, each encoded as a `Condition`. */
export function conditionsOf(conditions: readonly TenantCondition[]): readonly Buffer[] {
  return conditions.map((condition) => encode('Condition', conditionOf(condition)));
}

/** A `Condition` that holds for these ids. */
export function hasId(ids: readonly PointId[]): Buffer {
  const condition = make('Condition', { conditionOneOf: { case: 'hasId', value: { hasId: ids.map(idMessage) } } });
  return encode('Condition', condition);
}

/** A `Condition` that holds for points without a value in the field. */
export function isEmpty(field: PayloadField): Buffer {
  const condition = { conditionOneOf: { case: 'isEmpty', value: { key: pathText(field) } } };
  return encode('Condition', make('Condition', condition));
}

/** An id as a message. */
export function idMessage(id: PointId): object {
  return { pointIdOptions: typeof id === 'bigint' ? { case: 'num', value: id } : { case: 'uuid', value: id } };
}

function conditionOf(condition: TenantCondition): object {
  const key = pathText(condition.field);
  const { texts, integers, booleans } = valuesByType(condition);
  const matches = [
    ...(texts.length === 1 ? [match('keyword', texts[0])] : []),
    ...(texts.length > 1 ? [match('keywords', { strings: texts })] : []),
    ...(integers.length === 1 ? [match('integer', integers[0])] : []),
    ...(integers.length > 1 ? [match('integers', { integers })] : []),
    ...booleans.map((value) => match('boolean', value)),
  ];
  const conditions = matches.map((matchValue) =>
    make('Condition', { conditionOneOf: { case: 'field', value: { key, match: { matchValue } } } }),
  );
  const [first, ...more] = conditions;
  if (first && more.length === 0) return first;
  const should = conditions.map((each) => encode('Condition', each));
  // INVARIANT: without a value nothing may match; an empty `should` would hold for all.
  if (should.length === 0) return make('Condition', { conditionOneOf: { case: 'hasId', value: { hasId: [] } } });
  return make('Condition', { conditionOneOf: { case: 'filter', value: { should } } });
}

function match(form: string, value: unknown): object {
  return { case: form, value };
}

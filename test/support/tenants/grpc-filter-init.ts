import type { MessageInitShape } from '@bufbuild/protobuf';
import type * as q from '@qdrant/js-client-grpc';
import { idMessage } from '../fake-qdrant/grpc-values.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, objectOf, textOf } from '../fake-qdrant/json.ts';

type CountInit = MessageInitShape<typeof q.CountPointsSchema>;
/** A filter to put into a request. */
export type FilterInit = NonNullable<CountInit['filter']>;
type FilterFields = Exclude<FilterInit, { $typeName: string }>;
type ConditionInit = NonNullable<FilterFields['must']>[number];
type OneOf = NonNullable<ConditionInit['conditionOneOf']>;
type FieldInit = Exclude<Extract<OneOf, { case: 'field' }>['value'], { $typeName: string }>;
type MatchInit = NonNullable<Exclude<NonNullable<FieldInit['match']>, { $typeName: string }>['matchValue']>;

/** The message of a filter in REST form. */
export function filterInit(filter: Json | undefined): FilterInit | undefined {
  if (!isObject(filter)) {
    return undefined;
  }
  const { must, should, must_not: mustNot, min_should: least } = filter;
  const conditions = (list: Json | undefined): ConditionInit[] =>
    listOf(list).map((one) => conditionInit(objectOf(one)));
  const minShould = isObject(least)
    ? { conditions: conditions(least.conditions), minCount: BigInt(numberOf(least.min_count, 0)) }
    : undefined;
  return {
    must: conditions(must),
    should: conditions(should),
    mustNot: conditions(mustNot),
    ...(minShould === undefined ? {} : { minShould }),
  };
}

function conditionInit(condition: JsonObject): ConditionInit {
  return { conditionOneOf: oneOf(condition) };
}

function oneOf(condition: JsonObject): OneOf {
  const keyOf = (value: Json | undefined): string => textOf(objectOf(value).key) ?? '';
  if (condition.key !== undefined) return { case: 'field', value: fieldInit(condition) };
  if (condition.is_empty !== undefined) return { case: 'isEmpty', value: { key: keyOf(condition.is_empty) } };
  if (condition.is_null !== undefined) return { case: 'isNull', value: { key: keyOf(condition.is_null) } };
  if (condition.has_id !== undefined)
    return { case: 'hasId', value: { hasId: listOf(condition.has_id).map(idMessage) } };
  if (condition.has_vector !== undefined) {
    return { case: 'hasVector', value: { hasVector: textOf(condition.has_vector) ?? '' } };
  }
  if (isObject(condition.nested)) {
    const filter = filterInit(condition.nested.filter) ?? {};
    return { case: 'nested', value: { key: textOf(condition.nested.key) ?? '', filter } };
  }
  return { case: 'filter', value: filterInit(condition) ?? {} };
}

function fieldInit(field: JsonObject): FieldInit {
  const { match, range, values_count: counts, is_empty: empty, is_null: isNull } = field;
  return {
    key: textOf(field.key) ?? '',
    ...(isObject(match) ? { match: { matchValue: matchInit(match) } } : {}),
    ...(isObject(range) ? { range: bounds(range, Number) } : {}),
    ...(isObject(counts) ? { valuesCount: bounds(counts, BigInt) } : {}),
    ...(typeof empty === 'boolean' ? { isEmpty: empty } : {}),
    ...(typeof isNull === 'boolean' ? { isNull } : {}),
  };
}

function bounds<T>(range: JsonObject, as: (value: number) => T): { [bound: string]: T } {
  return Object.fromEntries(Object.entries(range).map(([bound, value]) => [bound, as(numberOf(value, 0))]));
}

function matchInit(match: JsonObject): MatchInit {
  const { value, any, except } = match;
  if (typeof value === 'boolean') return { case: 'boolean', value };
  if (value !== undefined) {
    return typeof value === 'string' ? { case: 'keyword', value } : { case: 'integer', value: integer(value) };
  }
  if (any !== undefined || except !== undefined) {
    const list = listOf(any ?? except);
    if (list.every((one) => typeof one === 'string')) {
      return { case: any === undefined ? 'exceptKeywords' : 'keywords', value: { strings: list } };
    }
    return { case: any === undefined ? 'exceptIntegers' : 'integers', value: { integers: list.map(integer) } };
  }
  if (match.text_any !== undefined) return { case: 'textAny', value: textOf(match.text_any) ?? '' };
  if (match.prefix !== undefined) return { case: 'prefix', value: textOf(match.prefix) ?? '' };
  return { case: 'text', value: textOf(match.text) ?? '' };
}

function integer(value: Json): bigint {
  return typeof value === 'bigint' ? value : BigInt(numberOf(value, 0));
}

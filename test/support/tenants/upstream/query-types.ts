import { condition, datetime, geoPoint, i64, lazy, only, optional, vectorInput } from './filter-types.ts';
import {
  count,
  type Fact,
  isObject,
  type Json,
  list,
  number,
  oneOrMany,
  path,
  string,
  struct,
  type Type,
  untagged,
  word,
} from './serde.ts';

/* Queries and expressions: untagged enums in upstream’s order, as in `filter-types.ts`. */

export const orderBy = untagged('OrderByInterface', {
  Key: path,
  Struct: struct({
    key: [path],
    direction: optional(word('asc', 'desc')),
    start_from: optional(untagged('StartFrom', { Integer: i64, Float: number, Datetime: datetime })),
  }),
});

const inner = lazy(() => expression);
const inners = list(inner);
const decay = struct({ x: [inner], target: optional(inner), scale: optional(number), midpoint: optional(number) });

export const expression: Type = untagged('Expression', {
  Constant: number,
  Variable: path,
  Condition: condition,
  GeoDistance: only('geo_distance', struct({ origin: [geoPoint], to: [path] })),
  Datetime: only('datetime', string),
  DatetimeKey: only('datetime_key', path),
  Mult: only('mult', inners),
  Sum: only('sum', inners),
  Neg: only('neg', inner),
  Abs: only('abs', inner),
  Div: only('div', struct({ left: [inner], right: [inner], by_zero_default: optional(number) })),
  Sqrt: only('sqrt', inner),
  Pow: only('pow', struct({ base: [inner], exponent: [inner] })),
  Exp: only('exp', inner),
  Log10: only('log10', inner),
  Ln: only('ln', inner),
  LinDecay: only('lin_decay', decay),
  ExpDecay: only('exp_decay', decay),
  GaussDecay: only('gauss_decay', decay),
  Max: only('max', inners),
  Min: only('min', inners),
  Acosh: only('acosh', inner),
});

const pair = struct({ positive: [vectorInput], negative: [vectorInput] });
const textInterface = untagged('TextInterface', {
  Text: string,
  Input: struct({
    query: [string],
    scoring: optional(only('bm25', struct({ k: optional(number), b: optional(number) }))),
  }),
});

export const query = untagged('Query', {
  Nearest: struct({
    nearest: [vectorInput],
    mmr: optional(struct({ diversity: optional(number), candidates_limit: optional(count) })),
  }),
  Recommend: only(
    'recommend',
    struct({
      positive: optional(list(vectorInput)),
      negative: optional(list(vectorInput)),
      strategy: optional(word('average_vector', 'best_score', 'sum_scores')),
    }),
  ),
  Discover: only('discover', struct({ target: [vectorInput], context: [oneOrMany(pair)] })),
  Context: only('context', oneOrMany(pair)),
  OrderBy: only('order_by', orderBy),
  Fusion: only('fusion', word('rrf', 'dbsf')),
  Rrf: only('rrf', struct({ k: optional(count), weights: optional(list(number)) })),
  Formula: struct({ formula: [expression], defaults: [keysAreFields, 'optional'] }),
  Sample: only('sample', word('random')),
  RelevanceFeedback: only(
    'relevance_feedback',
    struct({
      target: [vectorInput],
      feedback: [list(struct({ example: [vectorInput], score: [number] }))],
      strategy: [
        untagged('FeedbackStrategy', { Naive: only('naive', struct({ a: [number], b: [number], c: [number] })) }),
      ],
    }),
  ),
  Text: only('text', textInterface),
});

function keysAreFields(value: Json): readonly Fact[] | undefined {
  if (!isObject(value)) return undefined;
  return Object.keys(value).map((name): Fact => ({ kind: 'field', name }));
}

export const queryInterface = untagged('QueryInterface', { Nearest: vectorInput, Query: query });

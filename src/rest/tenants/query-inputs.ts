import type { JsonObject } from '../../json/tree.ts';
import { CONDITION_VARIANTS } from './filters.ts';
import { orderBy, shownKey, shownKeys } from './hidden.ts';
import type { TenantReading } from './reading.ts';
import { type Action, type Fields, keep, list, object, oneOrMany, orNull, orString, plain, text } from './shapes.ts';
import { oneOf, type Variant } from './variants.ts';
import { VECTORS, vectorInput, vectorOr } from './vectors.ts';

/* The `query` of a request. Upstream: `QueryInterface` (Qdrant v1.19.0, `lib/api/src/rest/schema.rs`; v1.20.0 adds `text`). */

const pairs = oneOrMany(object({ positive: vectorInput, negative: vectorInput }));
const examples = orNull(list(vectorInput));
const expression: Action = (reading) => {
  const kind = reading.reader.peek();
  if (kind === 'number') return keep(reading);
  // The variables of a formula become scores, which stand in the answer.
  return kind === 'string' ? shownKey(reading) : EXPRESSION(reading);
};
const decay = object({ x: expression, target: orNull(expression), scale: plain, midpoint: plain });

/** Expressions by their only field. `max`, `min` and `acosh` since Qdrant v1.20.0. */
export const EXPRESSIONS: Fields = {
  geo_distance: object({ origin: object({ lon: plain, lat: plain }), to: shownKey }),
  ...{ datetime: text, datetime_key: shownKey },
  ...{ mult: list(expression), sum: list(expression), max: list(expression), min: list(expression) },
  ...{ neg: expression, abs: expression, sqrt: expression, exp: expression },
  ...{ log10: expression, ln: expression, acosh: expression },
  div: object({ left: expression, right: expression, by_zero_default: plain }),
  pow: object({ base: expression, exponent: expression }),
  ...{ lin_decay: decay, exp_decay: decay, gauss_decay: decay },
};

/** A condition is an expression, too. */
const EXPRESSION = oneOf(
  [
    ...Object.entries(EXPRESSIONS).map(([name, action]): Variant => ({ required: [name], fields: { [name]: action } })),
    ...CONDITION_VARIANTS,
  ],
  'an expression',
);

/** The text that a query looks for, alone or with the parameters of its scores. */
const searched = orString(object({ query: text, scoring: orNull(object({ bm25: object({ k: plain, b: plain }) })) }));

/** Tables by the names of upstream's schemas. */
export const QUERY_FIELDS = {
  NearestQuery: { nearest: vectorInput, mmr: orNull(object({ diversity: plain, candidates_limit: plain })) },
  RecommendQuery: { recommend: object({ positive: examples, negative: examples, strategy: text }) },
  DiscoverQuery: { discover: object({ target: vectorInput, context: pairs }) },
  ContextQuery: { context: pairs },
  OrderByQuery: { order_by: orderBy },
  FusionQuery: { fusion: text },
  RrfQuery: { rrf: object({ k: plain, weights: keep }) },
  FormulaQuery: { formula: expression, defaults: shownKeys },
  SampleQuery: { sample: text },
  RelevanceFeedbackQuery: {
    relevance_feedback: object({
      target: vectorInput,
      feedback: list(object({ example: vectorInput, score: plain })),
      strategy: object({ naive: object({ a: plain, b: plain, c: plain }) }),
    }),
  },
  TextQuery: { text: searched },
} as const satisfies Readonly<Record<string, Fields>>;

/**
 * Upstream reads a document that it cannot read as one, such as one whose model is null, as a query of texts (Qdrant v1.20.0, as
 * its enums are read in v1.19.0).
 */
const DOCUMENT: Variant = {
  required: VECTORS.Document.required,
  fields: { ...VECTORS.Document.fields, text: searched },
  isSure: (reading: TenantReading, node: JsonObject) => reading.isString(node.get('text')),
};

const TEXT: Variant = {
  required: ['text'],
  fields: QUERY_FIELDS.TextQuery,
  finish: (reading) => reading.noteText(),
};

const OBJECT = oneOf(
  [
    ...Object.values({ ...VECTORS, Document: DOCUMENT }),
    ...Object.values({ ...QUERY_FIELDS, TextQuery: undefined }).flatMap((fields): Variant[] =>
      fields ? [{ required: Object.keys(fields).slice(0, 1), fields }] : [],
    ),
    TEXT,
  ],
  'a query',
);

/** A vector, the id of a point, a query, or null. */
export const queryInput: Action = orNull((reading) => vectorOr(reading, OBJECT));

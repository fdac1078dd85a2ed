import type { JsonNode } from '../../json/tree.ts';
import type { TenantReading } from './reading.ts';
import {
  type Action,
  type Fields,
  keep,
  numbers,
  object,
  oneOf,
  orNull,
  orString,
  plain,
  pointId,
  text,
  type Variant,
} from './shapes.ts';

/* The vectors of a query: given as such, by points, or as inputs of a model. */

/** Tables by the names of upstream's schemas. */
export const VECTOR_FIELDS = {
  SparseVector: { indices: numbers, values: numbers },
  Document: {
    text: orString(object({ query: text, scoring: orNull(object({ bm25: object({ k: plain, b: plain }) })) })),
    model: text,
    options: keep,
  },
  Image: { image: keep, model: text, options: keep },
  InferenceObject: { object: keep, model: text, options: keep },
} as const satisfies Readonly<Record<string, Fields>>;

/** Forms of a vector that is an object. Without `model` a text is a query of Qdrant v1.20.0. */
export const VECTOR_OBJECTS: readonly Variant[] = [
  { first: 'indices', fields: VECTOR_FIELDS.SparseVector },
  { first: 'model', fields: VECTOR_FIELDS.Document },
  { first: 'image', fields: VECTOR_FIELDS.Image },
  { first: 'object', fields: VECTOR_FIELDS.InferenceObject },
];

/** A point of the level at hand. */
const example = pointId((reading, id) => reading.note(id));
const vectorObject = oneOf(VECTOR_OBJECTS, 'a vector');

/** A vector or the id of a point. Upstream: `VectorInput`, `RecommendExample` (Qdrant v1.19.0). */
export const vectorInput: Action = (reading) => vectorOr(reading, vectorObject);

/** The same, with other forms of an object. */
export function vectorOr(reading: TenantReading, other: Action): JsonNode {
  switch (reading.reader.peek()) {
    case 'array':
      return numbers(reading);
    case 'object':
      return other(reading);
    default:
      return example(reading);
  }
}

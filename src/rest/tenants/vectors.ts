import type { JsonNode } from '../../json/tree.ts';
import type { TenantReading } from './reading.ts';
import { type Action, type Fields, keep, numbers, objectOrNull, pointId, string } from './shapes.ts';
import { oneOf, type Variant } from './variants.ts';

/* The vectors of a query: given as such, by points, or as inputs of a model. */

/** Tables by the names of upstream's schemas. */
export const VECTOR_FIELDS = {
  SparseVector: { indices: numbers, values: numbers },
  Document: { text: string, model: string, options: objectOrNull },
  Image: { image: keep, model: string, options: objectOrNull },
  InferenceObject: { object: keep, model: string, options: objectOrNull },
} as const satisfies Readonly<Record<string, Fields>>;

/** Forms of a vector that is an object. */
export const VECTORS = {
  SparseVector: { required: ['indices', 'values'], fields: VECTOR_FIELDS.SparseVector },
  Document: { required: ['text', 'model'], fields: VECTOR_FIELDS.Document },
  Image: { required: ['image', 'model'], fields: VECTOR_FIELDS.Image },
  InferenceObject: { required: ['object', 'model'], fields: VECTOR_FIELDS.InferenceObject },
} as const satisfies Readonly<Record<string, Variant>>;

/** A point of the level at hand. */
const example = pointId((reading, id) => reading.note(id));
const vectorObject = oneOf(Object.values(VECTORS), 'a vector');

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

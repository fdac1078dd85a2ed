import { Fault } from './fault.ts';
import { isObject, type Json, type JsonObject, textOf } from './json.ts';
import {
  type Collection,
  denseParams,
  hasSparse,
  type PointId,
  pointIdOf,
  type Store,
  unknownVectorName,
  type Vector,
} from './store.ts';
import { checkedVector, rowsOf } from './vectors.ts';

/** A query on the way: its body, the vector name it uses and the distance of that. */
export type Query = { store: Store; collection: Collection; body: JsonObject; using: string; distance: string };

/** The vectors of query inputs: ids stand for points of this collection, or of the one `lookup_from` names. */
export function resolved(query: Query, inputs: Json[]): { vectors: Vector[]; named: Set<PointId> } {
  const lookup = lookupOf(query);
  const named = new Set<PointId>();
  const vectors = inputs.map((input): Vector => {
    if (typeof input !== 'number' && typeof input !== 'bigint' && typeof input !== 'string') {
      return queryVector(query, input);
    }
    const id = pointIdOf(input);
    const vector = lookup.collection.points.get(id)?.vectors.get(lookup.vector);
    if (vector === undefined) {
      throw new Fault('not-found', `Not found: No point with id ${id} found`);
    }
    if (lookup.collection === query.collection) {
      named.add(id);
    }
    return vector;
  });
  return { vectors, named };
}

function lookupOf(query: Query): { collection: Collection; vector: string } {
  const lookup = query.body.lookup_from;
  if (!isObject(lookup)) {
    return { collection: query.collection, vector: query.using };
  }
  const collection = query.store.find(textOf(lookup.collection) ?? '');
  return { collection, vector: textOf(lookup.vector) ?? query.using };
}

function queryVector(query: Query, input: Json): Vector {
  const { collection, using } = query;
  if (denseParams(collection, using) === undefined && !hasSparse(collection, using)) {
    throw unknownVectorName(using);
  }
  const vector = checkedVector(collection, using, input);
  return 'indices' in vector ? vector : (rowsOf(vector) as number[][]);
}

/** The target of a recommendation. Upstream: average_vector, twice the average of the positives less that of the negatives. */
export function recommendation(vectors: Vector[], positives: number): Vector | undefined {
  const dense = vectors.map((vector) => ('indices' in vector ? undefined : rowsOf(vector)[0]));
  const first = dense[0];
  if (positives === 0 || first === undefined) {
    return vectors[0];
  }
  const average = (rows: (number[] | undefined)[], at: number): number =>
    rows.reduce((sum, row) => sum + (row?.[at] ?? 0), 0) / rows.length;
  const positive = dense.slice(0, positives);
  const negative = dense.slice(positives);
  return first.map((_value, at) => {
    const good = average(positive, at);
    return negative.length === 0 ? good : 2 * good - average(negative, at);
  });
}

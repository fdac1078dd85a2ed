import { badRequest } from './fault.ts';
import { passes } from './filter.ts';
import { isObject, type Json, textOf } from './json.ts';
import { inputsOf, type Level, vectorOfInput } from './query-inputs.ts';
import { type Collection, denseParams, type SparseVector, type Vector } from './store.ts';
import { lowerIsBetter, rowsOf, similarity } from './vectors.ts';

/** Scores a stored vector; undefined = it cannot be compared, so that the point is no hit. */
export type Scorer = { score: (vector: Vector) => number | undefined; ascending: boolean };

/** The scorer of a query by vectors or ids, or undefined for other kinds of query. Upstream: vector_storage/query of v1.19.0. */
export function scorerOf(level: Level): Scorer | undefined {
  const query = level.body.query;
  const inputs = inputsOf(query);
  const distance = denseParams(level.collection, level.using)?.distance ?? 'Dot';
  const vectors = (list: readonly Json[]): Vector[] =>
    list.map((input) => weighted(level, vectorOfInput(level, input)));
  const target = vectors(inputs.target)[0];
  if (isObject(query) && isObject(query.recommend)) {
    return recommended(distance, textOf(query.recommend.strategy), vectors(inputs.positive), vectors(inputs.negative));
  }
  const isFeedback = isObject(query) && query.relevance_feedback !== undefined;
  const pairs = isFeedback ? [] : vectors(inputs.pairs);
  if (isObject(query) && (query.discover !== undefined || query.context !== undefined)) {
    return contextual(distance, target, pairs);
  }
  return target === undefined ? undefined : nearest(distance, target);
}

function nearest(distance: string, target: Vector): Scorer {
  return { score: (vector) => similarity(distance, target, vector), ascending: lowerIsBetter(distance) };
}

type Likeness = (one: Vector, other: Vector) => number;

// Upstream: inside, the Euclidean distance is squared.
function likeness(distance: string): Likeness {
  const sign = lowerIsBetter(distance) ? -1 : 1;
  const power = distance === 'Euclid' ? 2 : 1;
  return (one, other) => sign * (similarity(distance, one, other) ?? 0) ** power;
}

function sigmoid(x: number): number {
  return x / (1 + Math.abs(x));
}

function scaledSigmoid(x: number): number {
  return 0.5 * (sigmoid(x) + 1);
}

function recommended(distance: string, strategy: string | undefined, positive: Vector[], negative: Vector[]): Scorer {
  if (strategy === undefined || strategy === 'average_vector') {
    const target = averaged(positive, negative);
    if (target === undefined) {
      throw badRequest('At least one positive vector ID required with this strategy');
    }
    return nearest(distance, target);
  }
  if (positive.length + negative.length === 0) {
    throw badRequest('At least one positive or negative vector ID required with this strategy');
  }
  const like = likeness(distance);
  const best = (vectors: Vector[], vector: Vector): number => Math.max(...vectors.map((one) => like(one, vector)));
  const sum = (vectors: Vector[], vector: Vector): number =>
    vectors.reduce((total, one) => total + like(one, vector), 0);
  const score = (vector: Vector): number => {
    if (strategy === 'sum_scores') {
      return sum(positive, vector) - sum(negative, vector);
    }
    const [good, bad] = [best(positive, vector), best(negative, vector)];
    return good > bad ? scaledSigmoid(good) : -scaledSigmoid(bad);
  };
  return { score, ascending: false };
}

/** Twice the average of the positives less that of the negatives. */
function averaged(positive: Vector[], negative: Vector[]): Vector | undefined {
  const rows = (vectors: Vector[]): number[][] =>
    vectors.flatMap((vector) => ('indices' in vector ? [] : rowsOf(vector).slice(0, 1)));
  const [good, bad] = [rows(positive), rows(negative)];
  if (good.length === 0) {
    return positive[0];
  }
  const average = (list: number[][], at: number): number =>
    list.reduce((sum, row) => sum + (row[at] ?? 0), 0) / list.length;
  return (good[0] ?? []).map((_value, at) =>
    bad.length === 0 ? average(good, at) : 2 * average(good, at) - average(bad, at),
  );
}

function contextual(distance: string, target: Vector | undefined, pairs: Vector[]): Scorer {
  const like = likeness(distance);
  const score = (vector: Vector): number => {
    let sum = target === undefined ? 0 : scaledSigmoid(like(target, vector));
    for (let at = 0; at + 1 < pairs.length; at += 2) {
      const difference = like(pairs[at] ?? [], vector) - like(pairs[at + 1] ?? [], vector);
      sum += target === undefined ? sigmoid(Math.min(difference - 2 ** -23, 0)) : Math.sign(difference);
    }
    return sum;
  };
  return { score, ascending: false };
}

/** A sparse query vector with the weights its name asks for: by how rare each index is in the corpus. */
function weighted(level: Level, vector: Vector): Vector {
  const corpus = corpusOf(level);
  if (!('indices' in vector) || !hasIdf(level)) {
    if (corpus !== undefined) {
      const name = JSON.stringify(level.using);
      throw badRequest(
        `search param \`idf\` requires a sparse vector with the \`idf\` modifier, which vector ${name} is not`,
      );
    }
    return vector;
  }
  const documents = sparseVectors(level.collection, level.using, corpus);
  const values = vector.values.map((value, at) => {
    const rare = documents.filter(({ indices }) => indices.includes(vector.indices[at] ?? -1)).length;
    return value * Math.log((documents.length - rare + 0.5) / (rare + 0.5) + 1);
  });
  return { indices: vector.indices, values };
}

function corpusOf({ body }: Level): Json | undefined {
  const idf = isObject(body.params) ? body.params.idf : undefined;
  if (idf === undefined || idf === null) {
    return undefined;
  }
  return isObject(idf) && isObject(idf.corpus) ? idf.corpus : {};
}

function hasIdf({ collection, using }: Level): boolean {
  const sparse = collection.params.sparse_vectors;
  const params = isObject(sparse) ? sparse[using] : undefined;
  return isObject(params) && params.modifier === 'idf';
}

function sparseVectors(collection: Collection, name: string, corpus: Json | undefined): SparseVector[] {
  return [...collection.points.values()].flatMap((point) => {
    const vector = point.vectors.get(name);
    const counts = vector !== undefined && 'indices' in vector && passes(point, corpus, collection.indexes);
    return counts ? [vector] : [];
  });
}

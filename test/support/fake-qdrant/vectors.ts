import { wrongInput } from './fault.ts';
import { isObject, type Json, type JsonObject, listOf, numbersOf, shortFloat } from './json.ts';
import { type Collection, type DenseParams, denseParams, hasSparse, unknownVectorName, type Vector } from './store.ts';

/** Reads the `vector` member of a point: one vector for the default name, or an object of names. */
export function vectorsOf(collection: Collection, value: Json | undefined): Map<string, Vector> {
  const vectors = new Map<string, Vector>();
  if (value === undefined || value === null) {
    return vectors;
  }
  const named = isObject(value) ? Object.entries(value) : [['', value] as const];
  for (const [name, vector] of named) {
    if (vector !== undefined) {
      vectors.set(name, checkedVector(collection, name, vector));
    }
  }
  return vectors;
}

/** Reads one vector and checks it against the settings of its name; cosine vectors are normalised as Qdrant does. */
export function checkedVector(collection: Collection, name: string, value: Json): Vector {
  const vector = vectorOf(value);
  if ('indices' in vector) {
    if (!hasSparse(collection, name)) {
      throw unknownVectorName(name);
    }
    return vector;
  }
  const params = denseParams(collection, name);
  if (params === undefined) {
    throw unknownVectorName(name);
  }
  const rows = rowsOf(vector).map((row) => checkedRow(row, params));
  return params.multi ? rows : (rows[0] ?? []);
}

function checkedRow(row: number[], params: DenseParams): number[] {
  if (row.length !== params.size) {
    throw wrongInput(`Vector dimension error: expected dim: ${params.size}, got ${row.length}`);
  }
  return params.distance === 'Cosine' ? normalised(row) : row;
}

/** Reads a dense, multi or sparse vector from its REST form without looking at any collection. */
export function vectorOf(value: Json): Vector {
  if (isObject(value)) {
    if (!Array.isArray(value.indices)) {
      throw wrongInput('Inference service is not initialized, check the inference configuration');
    }
    return sortedSparse(numbersOf(value.indices), numbersOf(value.values));
  }
  if (Array.isArray(value) && Array.isArray(value[0])) {
    return listOf(value).map((row) => numbersOf(row));
  }
  return numbersOf(value);
}

// Upstream: kept by ascending index.
function sortedSparse(indices: number[], values: number[]): Vector {
  const order = indices.map((_index, at) => at).sort((a, b) => (indices[a] ?? 0) - (indices[b] ?? 0));
  return { indices: order.map((at) => indices[at] ?? 0), values: order.map((at) => values[at] ?? 0) };
}

/** The stored vectors in REST form: the bare vector where only the default one is there. */
export function vectorsJson(vectors: Map<string, Vector>): Json {
  const only = vectors.get('');
  if (vectors.size === 1 && only !== undefined) {
    return only as Json;
  }
  const named: JsonObject = {};
  for (const [name, vector] of vectors) {
    named[name] = vector as Json;
  }
  return named;
}

function normalised(row: number[]): number[] {
  const length = Math.hypot(...row);
  return length === 0 || Math.abs(length - 1) < 1e-6 ? row : row.map((value) => shortFloat(value / length));
}

/** The rows of a dense or multi vector. */
export function rowsOf(vector: number[] | number[][]): number[][] {
  return isMulti(vector) ? vector : [vector];
}

function isMulti(vector: number[] | number[][]): vector is number[][] {
  return Array.isArray(vector[0]);
}

/** Similarity under the named distance; undefined where the two cannot be compared (sparse without overlap). */
export function similarity(distance: string, query: Vector, stored: Vector): number | undefined {
  if ('indices' in query || 'indices' in stored) {
    return 'indices' in query && 'indices' in stored ? sparseDot(query, stored) : undefined;
  }
  const better = lowerIsBetter(distance) ? Math.min : Math.max;
  let sum = 0;
  for (const row of rowsOf(query)) {
    sum += rowsOf(stored)
      .map((other) => rowSimilarity(distance, row, other))
      .reduce((a, b) => better(a, b));
  }
  return sum;
}

/** Whether a smaller score is the better one. */
export function lowerIsBetter(distance: string): boolean {
  return distance === 'Euclid' || distance === 'Manhattan';
}

function sparseDot(a: { indices: number[]; values: number[] }, b: { indices: number[]; values: number[] }) {
  const weights = new Map(a.indices.map((index, at) => [index, a.values[at] ?? 0]));
  let sum: number | undefined;
  b.indices.forEach((index, at) => {
    const weight = weights.get(index);
    if (weight !== undefined) {
      sum = (sum ?? 0) + weight * (b.values[at] ?? 0);
    }
  });
  return sum;
}

function rowSimilarity(distance: string, a: number[], b: number[]): number {
  let sum = 0;
  for (let at = 0; at < a.length; at += 1) {
    const x = a[at] ?? 0;
    const y = b[at] ?? 0;
    if (distance === 'Euclid') {
      sum += (x - y) ** 2;
    } else {
      sum += distance === 'Manhattan' ? Math.abs(x - y) : x * y;
    }
  }
  return distance === 'Euclid' ? Math.sqrt(sum) : sum;
}

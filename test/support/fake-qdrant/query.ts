import { Fault, wrongInput } from './fault.ts';
import { passes } from './filter.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, objectOf, textOf } from './json.ts';
import { type Query, recommendation, resolved } from './query-inputs.ts';
import { orderedBy } from './retrieval.ts';
import {
  type Collection,
  comparePointIds,
  denseParams,
  type Point,
  type PointId,
  type Store,
  type Vector,
} from './store.ts';
import { lowerIsBetter, similarity } from './vectors.ts';

/** A point with its score; `orderValue` where the query ordered by a payload key. */
export type Hit = { point: Point; score: number; orderValue?: number };

type Ranking = { hits: Hit[]; ascending: boolean };

/** Runs a universal query (REST form of points/query) and gives all hits, best first; cuts nothing but by threshold. */
export function runQuery(store: Store, collection: Collection, body: JsonObject): Hit[] {
  const using = textOf(body.using) ?? '';
  const distance = denseParams(collection, using)?.distance ?? 'Dot';
  const query: Query = { store, collection, body, using, distance };
  const sources = prefetched(query);
  const points = candidates(query, sources);
  const { hits, ascending } = ranked(query, points, sources);
  const threshold = body.score_threshold;
  const kept = hits.filter((hit) => {
    const bound = numberOf(threshold, ascending ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY);
    return ascending ? hit.score <= bound : hit.score >= bound;
  });
  return kept;
}

function prefetched(query: Query): Hit[][] {
  return listOf(query.body.prefetch).map((item) => {
    const prefetch = objectOf(item);
    return runQuery(query.store, query.collection, prefetch).slice(0, numberOf(prefetch.limit, 10));
  });
}

function candidates(query: Query, sources: Hit[][]): Point[] {
  const points = sources.length === 0 ? query.collection.points.values() : sources.flat().map((hit) => hit.point);
  return [...new Set(points)].filter((point) => passes(point, query.body.filter));
}

function ranked(query: Query, points: Point[], sources: Hit[][]): Ranking {
  const asked = query.body.query;
  if (asked === undefined || asked === null) {
    return { hits: sources[0] ?? inIdOrder(points), ascending: false };
  }
  if (!isObject(asked) || Array.isArray(asked.indices)) {
    return nearest(query, points, [asked], (vectors) => vectors[0]);
  }
  if (asked.nearest !== undefined) {
    return nearest(query, points, [asked.nearest], (vectors) => vectors[0]);
  }
  if (isObject(asked.recommend)) {
    const positive = listOf(asked.recommend.positive);
    const negative = listOf(asked.recommend.negative);
    const average = (vectors: Vector[]) => recommendation(vectors, positive.length);
    return nearest(query, points, [...positive, ...negative], average);
  }
  if (isObject(asked.discover)) {
    return contextual(query, points, asked.discover.target, listOf(asked.discover.context));
  }
  if (asked.context !== undefined) {
    return contextual(query, points, undefined, listOf(asked.context));
  }
  if (isObject(asked.relevance_feedback)) {
    return nearest(query, points, [asked.relevance_feedback.target ?? null], (vectors) => vectors[0]);
  }
  return rearranged(query, points, sources, asked);
}

function rearranged(query: Query, points: Point[], sources: Hit[][], asked: JsonObject): Ranking {
  if (asked.order_by !== undefined && asked.order_by !== null) {
    const ordered = orderedBy(points, asked.order_by);
    return { hits: ordered.map(({ point, value }) => ({ point, score: 0, orderValue: value })), ascending: false };
  }
  if (asked.fusion !== undefined || asked.rrf !== undefined) {
    const k = isObject(asked.rrf) ? numberOf(asked.rrf.k, 2) : 2;
    return { hits: fused(sources, k, query.body.filter), ascending: false };
  }
  if (asked.sample !== undefined || asked.formula !== undefined) {
    return { hits: sources[0] ?? inIdOrder(points), ascending: false };
  }
  throw new Fault(
    'bad-input',
    'Format error in JSON body: data did not match any variant of untagged enum QueryInterface',
  );
}

function inIdOrder(points: Point[]): Hit[] {
  return points.sort((a, b) => comparePointIds(a.id, b.id)).map((point) => ({ point, score: 0 }));
}

function nearest(
  query: Query,
  points: Point[],
  inputs: Json[],
  combine: (vectors: Vector[]) => Vector | undefined,
): Ranking {
  const { vectors, named } = resolved(query, inputs);
  const target = combine(vectors);
  if (target === undefined) {
    throw wrongInput('At least one positive vector ID required');
  }
  const ascending = lowerIsBetter(query.distance);
  return {
    hits: sorted(
      scores(query, points, named, (v) => similarity(query.distance, target, v)),
      ascending,
    ),
    ascending,
  };
}

function scores(
  query: Query,
  points: Point[],
  excluded: Set<PointId>,
  score: (vector: Vector) => number | undefined,
): Hit[] {
  return points.flatMap((point) => {
    const vector = excluded.has(point.id) ? undefined : point.vectors.get(query.using);
    const value = vector === undefined ? undefined : score(vector);
    return value === undefined ? [] : [{ point, score: value }];
  });
}

function sorted(hits: Hit[], ascending: boolean): Hit[] {
  const sign = ascending ? 1 : -1;
  return hits.sort((a, b) => (a.score - b.score) * sign || comparePointIds(a.point.id, b.point.id));
}

function contextual(query: Query, points: Point[], target: Json | undefined, pairs: Json[]): Ranking {
  const inputs = pairs.flatMap((pair) => [objectOf(pair).positive ?? null, objectOf(pair).negative ?? null]);
  const { vectors, named } = resolved(query, target === undefined ? inputs : [target, ...inputs]);
  const sign = lowerIsBetter(query.distance) ? -1 : 1;
  const like = (a: Vector | undefined, b: Vector): number =>
    a === undefined ? 0 : sign * (similarity(query.distance, a, b) ?? 0);
  const score = (vector: Vector): number => {
    const first = target === undefined ? 0 : 1;
    let sum = target === undefined ? 0 : 1 / (1 + Math.exp(-like(vectors[0], vector)));
    for (let at = first; at + 1 < vectors.length; at += 2) {
      const difference = like(vectors[at], vector) - like(vectors[at + 1], vector);
      sum += target === undefined ? Math.min(difference, 0) : Math.sign(difference);
    }
    return sum;
  };
  return { hits: sorted(scores(query, points, named, score), false), ascending: false };
}

function fused(sources: Hit[][], k: number, filter: Json | undefined): Hit[] {
  const sums = new Map<Point, number>();
  for (const source of sources) {
    source.forEach((hit, rank) => {
      sums.set(hit.point, (sums.get(hit.point) ?? 0) + 1 / (k + rank));
    });
  }
  const hits = [...sums].map(([point, score]) => ({ point, score }));
  return sorted(
    hits.filter((hit) => passes(hit.point, filter)),
    false,
  );
}

import { badRequest, Fault } from './fault.ts';
import { joined, passes } from './filter.ts';
import { fused, normalised } from './fusion.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, objectOf } from './json.ts';
import { checkIds, checkLevels, idsOf, type Level, levelOf, levelsOf } from './query-inputs.ts';
import { scorerOf } from './query-scores.ts';
import { orderedBy } from './retrieval.ts';
import { type Collection, comparePointIds, type Point, type Store } from './store.ts';

/** A point with its score; `orderValue` where the query ordered by a payload key. */
export type Hit = { point: Point; score: number; orderValue?: number };

/**
 * Runs a universal query (REST form of points/query) and gives its hits, best first, at most `limit` of them.
 * Upstream: the filter of a level goes down into its prefetches, and only those that have none ask the points.
 */
export function runQuery(
  store: Store,
  collection: Collection,
  body: JsonObject,
  limit = Number.POSITIVE_INFINITY,
): Hit[] {
  const root = levelOf(store, collection, body);
  const levels = levelsOf(root);
  checkIds(levels);
  checkLevels(levels);
  const named = levels.map(idsOf).flatMap((level) => (level.collection === collection ? level.ids : []));
  const others: Json | undefined = named.length === 0 ? undefined : { must_not: [{ has_id: named }] };
  return hitsOf(root, joined(others, body.filter), limit);
}

function hitsOf(level: Level, filter: Json | undefined, limit: number): Hit[] {
  const { store, collection, body } = level;
  const prefetches = listOf(body.prefetch).map(objectOf);
  if (prefetches.length === 0) {
    const points = [...collection.points.values()].filter((point) => passes(point, filter, collection.indexes));
    return ranked(level, points, undefined).slice(0, limit);
  }
  const sources = prefetches.map((inner) =>
    hitsOf(levelOf(store, collection, inner), joined(filter, inner.filter), numberOf(inner.limit, 10)),
  );
  const points = new Set(sources.flat().map((hit) => hit.point));
  return ranked(level, [...points], sources).slice(0, limit);
}

function ranked(level: Level, points: Point[], sources: Hit[][] | undefined): Hit[] {
  const scorer = scorerOf(level);
  if (scorer === undefined) {
    return rearranged(level, points, sources);
  }
  const hits = points.flatMap((point) => {
    const vector = point.vectors.get(level.using);
    const score = vector === undefined ? undefined : scorer.score(vector);
    return score === undefined ? [] : [{ point, score }];
  });
  return cut(level.body.score_threshold, sorted(hits, scorer.ascending), scorer.ascending);
}

function cut(threshold: Json | undefined, hits: Hit[], ascending: boolean): Hit[] {
  const bound = numberOf(threshold, ascending ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY);
  return hits.filter(({ score }) => (ascending ? score <= bound : score >= bound));
}

function rearranged({ collection, body }: Level, points: Point[], sources: Hit[][] | undefined): Hit[] {
  const query = isObject(body.query) ? body.query : {};
  if (body.query === undefined || body.query === null || query.sample !== undefined) {
    return inIdOrder(points);
  }
  if (query.order_by !== undefined && query.order_by !== null) {
    const ordered = orderedBy(collection, points, query.order_by);
    return ordered.map(({ point, value }) => ({ point, score: 1, orderValue: value }));
  }
  if (query.fusion === undefined && query.rrf === undefined && query.formula === undefined) {
    throw new Fault(
      'bad-input',
      'Format error in JSON body: data did not match any variant of untagged enum QueryInterface',
    );
  }
  if (sources === undefined) {
    throw badRequest(`cannot apply ${query.formula === undefined ? 'Fusion' : 'Formula'} without prefetches`);
  }
  if (query.formula !== undefined) {
    return sources[0] ?? [];
  }
  const hits = query.fusion === 'dbsf' ? fused(sources.map(normalised), 'scores') : fused(sources, query.rrf);
  return cut(body.score_threshold, sorted(hits, false), false);
}

function inIdOrder(points: Point[]): Hit[] {
  return points.sort((a, b) => comparePointIds(a.id, b.id)).map((point) => ({ point, score: 1 }));
}

function sorted(hits: Hit[], ascending: boolean): Hit[] {
  const sign = ascending ? 1 : -1;
  return hits.sort((a, b) => (a.score - b.score) * sign || comparePointIds(a.point.id, b.point.id));
}

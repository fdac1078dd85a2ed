import { badRequest } from './fault.ts';
import { isObject, type Json, listOf, numberOf } from './json.ts';
import type { Hit } from './query.ts';
import type { Point } from './store.ts';

/** Reciprocal rank fusion of several lists of hits, or (`scores`) the sum of their scores; in no order. Upstream: v1.19.0. */
export function fused(sources: Hit[][], how: Json | 'scores' | undefined): Hit[] {
  const sums = new Map<Point, number>();
  const rrf = isObject(how) ? how : {};
  const weights = listOf(rrf.weights);
  if (weights.length > 0 && weights.length !== sources.length) {
    throw badRequest(
      `Number of weights in RRF should match number of pre-fetches: got ${weights.length}, expected ${sources.length}`,
    );
  }
  sources.forEach((source, at) => {
    const weight = numberOf(weights[at], 1);
    source.forEach((hit, rank) => {
      const share = how === 'scores' ? hit.score : shareOf(rank, numberOf(rrf.k, 2), weight);
      sums.set(hit.point, (sums.get(hit.point) ?? 0) + share);
    });
  });
  return [...sums].map(([point, score]) => ({ point, score }));
}

function shareOf(rank: number, k: number, weight: number): number {
  return weight <= 0 ? 0 : 1 / ((rank + 1) / weight + k - 1);
}

/** The hits of one list with scores between 0 and 1, three standard deviations from their mean. */
export function normalised(hits: Hit[]): Hit[] {
  const mean = hits.reduce((sum, { score }) => sum + score, 0) / hits.length;
  const variance = hits.reduce((sum, { score }) => sum + (score - mean) ** 2, 0) / (hits.length - 1);
  const reach = 3 * Math.sqrt(variance);
  const share = (score: number): number =>
    hits.length < 2 || reach === 0 ? 0.5 : (score - mean + reach) / (2 * reach);
  return hits.map((hit) => ({ ...hit, score: share(hit.score) }));
}

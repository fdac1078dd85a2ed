import type { Facts } from '../../../observability/facts.ts';
import {
  type Distribution,
  GATEWAY_BUCKETS,
  gatewayAt,
  requestAt,
  UPSTREAM_BUCKETS,
} from '../../../observability/metrics/tally.ts';
import type { Decision, Samples } from '../../api/overview.ts';

/** The counters of one moment. */
interface Counted {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly totals: Readonly<Record<Decision, number>>;
  /** Counts of each bucket. */
  readonly gateway: readonly number[];
  readonly upstream: readonly number[];
  readonly rest: number;
  readonly grpc: number;
}

/** Moments that are kept. */
const MOST_SAMPLES = 360;
const DECISIONS: readonly Decision[] = ['permit', 'denied', 'would_deny', 'fault'];

/** Rates and quantiles of the last moments, from counters that only grow. */
export class History {
  readonly #kept: Counted[] = [];

  /** Takes the counters of a moment. */
  see(facts: Pick<Facts, 'now' | 'figures' | 'snapshots'>): void {
    const last = this.#kept.at(-1);
    if (last && facts.now <= last.at) return;
    this.#kept.push(countedIn(facts));
    if (this.#kept.length > MOST_SAMPLES + 1) this.#kept.shift();
  }

  /** Rates and quantiles between each two moments. Empty with fewer than two. */
  samples(): Samples {
    const pairs = this.#kept.slice(1).map((next, at) => [this.#kept[at] ?? next, next] as const);
    const rate = (decision: Decision): readonly number[] =>
      pairs.map(([before, next]) => rateOf(next.totals[decision] - before.totals[decision], next.at - before.at));
    const quantiles = (of: 'gateway' | 'upstream', share: number): readonly (number | null)[] => {
      const bounds = of === 'gateway' ? GATEWAY_BUCKETS : UPSTREAM_BUCKETS;
      return pairs.map(([before, next]) => quantileOf(bounds, lessThan(next[of], before[of]), share));
    };
    return {
      at: pairs.map(([, { at }]) => at / 1000),
      rates: { permit: rate('permit'), denied: rate('denied'), would_deny: rate('would_deny'), fault: rate('fault') },
      gateway_p50: quantiles('gateway', 0.5),
      gateway_p99: quantiles('gateway', 0.99),
      upstream_p50: quantiles('upstream', 0.5),
      upstream_p99: quantiles('upstream', 0.99),
      rest: pairs.map(([, { rest }]) => rest),
      grpc: pairs.map(([, { grpc }]) => grpc),
    };
  }
}

/** Requests since the start, by decision. */
export function totalsIn({ figures }: Pick<Facts, 'figures'>): Readonly<Record<Decision, number>> {
  const totals = { permit: 0, denied: 0, would_deny: 0, fault: 0 };
  for (const [at, count] of figures.tally.requests) {
    const decision = DECISIONS.find((one) => one === requestAt(at).decision);
    if (decision) totals[decision] += count;
  }
  return totals;
}

/** Open client connections. */
export function connectionsIn({ snapshots }: Pick<Facts, 'snapshots'>): {
  readonly rest: number;
  readonly grpc: number;
} {
  const sum = (protocol: 'rest' | 'grpc'): number =>
    snapshots.reduce((all, { observed }) => all + (observed?.listeners[protocol].open ?? 0), 0);
  return { rest: sum('rest'), grpc: sum('grpc') };
}

function countedIn(facts: Pick<Facts, 'now' | 'figures' | 'snapshots'>): Counted {
  const { gateway, upstream } = facts.figures.tally;
  return {
    at: facts.now,
    totals: totalsIn(facts),
    // Refused requests never waited for the upstream: the time of the gateway itself counts for all.
    gateway: added(gateway.filter(({ at }) => gatewayAt(at).settled !== '')),
    upstream: added(upstream),
    ...connectionsIn(facts),
  };
}

function added(all: readonly Distribution[]): readonly number[] {
  const sums: number[] = [];
  for (const { counts } of all) for (const [at, count] of counts.entries()) sums[at] = (sums[at] ?? 0) + count;
  return sums;
}

function lessThan(next: readonly number[], before: readonly number[]): readonly number[] {
  return next.map((count, at) => Math.max(0, count - (before[at] ?? 0)));
}

function rateOf(count: number, milliseconds: number): number {
  return Number(((Math.max(0, count) * 1000) / milliseconds).toFixed(2));
}

/**
 * A quantile of counted times, in milliseconds, straight between the bounds of its bucket.
 *
 * @param bounds of the buckets, in seconds; the last bucket is open
 * @returns null = nothing was counted
 */
export function quantileOf(bounds: readonly number[], counts: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let left = share * total;
  for (const [at, count] of counts.entries()) {
    if (count > 0 && left <= count) {
      const from = bounds[at - 1] ?? 0;
      const to = bounds[at] ?? from;
      return Number(((from + ((to - from) * left) / count) * 1000).toPrecision(3));
    }
    left -= count;
  }
  return null;
}

/*
 * The numbers of a request, as far as its body or message has them: the one measure of the quotas of cost and of
 * the bounds on searches. Pure: each protocol reads its own form and fills in the same parts.
 */

/** Numbers of one request. Plain data that can be sent to another thread. */
export interface Facts {
  /** In vector terms, from 1: see `docs/guides/limits.md`. */
  readonly cost: number;
  /** Most points that one of its searches returns; what is not given counts as Qdrant's default. */
  readonly limit: number;
  readonly offset: number;
  /** Largest `hnsw_ef` that is given; 0 = none is. */
  readonly ef: number;
  /** Largest oversampling, from 1. */
  readonly oversampling: number;
  /** True = a search, count or facet is exact. */
  readonly exact: boolean;
  /** Searches, prefetches included. */
  readonly searches: number;
  /** Points that are written or read by id. */
  readonly points: number;
  /** Conditions of its largest filter; a filter in a filter counts as the conditions in it. */
  readonly conditions: number;
  /** Filters in each other. */
  readonly filterDepth: number;
}

/**
 * - `search`: by a vector, without groups
 * - `query`: the same in a query or prefetch, which is a scroll if it has no `query`
 * - `groups`, `query-groups`: the same by groups
 * - `points`: points by id or by filter, written or read; also the outside of a batch
 */
export type PartKind =
  | 'search'
  | 'groups'
  | 'query'
  | 'query-groups'
  | 'scroll'
  | 'count'
  | 'facet'
  | 'matrix'
  | 'points';

/** A number of a part that is given once. */
export type Slot = 'limit' | 'offset' | 'groupSize' | 'sample' | 'ef' | 'candidates' | 'oversampling';

/** A number of a part that is counted. */
export type Counter = 'points' | 'examples' | 'filters';

/** One search of a request, one count, or one change of points, while it is read. `undefined` = not given. */
export interface Part {
  readonly kind: PartKind;
  limit: number | undefined;
  offset: number | undefined;
  groupSize: number | undefined;
  /** Points of a matrix. */
  sample: number | undefined;
  ef: number | undefined;
  /** Candidates of maximal marginal relevance. */
  candidates: number | undefined;
  oversampling: number | undefined;
  exact: boolean | undefined;
  /** True = it has a `query`. */
  queried: boolean;
  points: number;
  /** Examples that each candidate may be compared with. */
  examples: number;
  /** Filters that select points to be changed. */
  filters: number;
  conditions: number;
  filterDepth: number;
}

export function newPart(kind: PartKind): Part {
  return {
    ...{ kind, limit: undefined, offset: undefined, groupSize: undefined, sample: undefined, ef: undefined },
    ...{ candidates: undefined, oversampling: undefined, exact: undefined, queried: false },
    ...{ points: 0, examples: 0, filters: 0, conditions: 0, filterDepth: 0 },
  };
}

/** The `hnsw_ef` of a search without one. Upstream: `ef_construct` of the collection, 100 by default (Qdrant v1.20.0). */
export const DEFAULT_EF = 100;

/** The number of points that a whole collection counts as: its size is not known here. */
export const WHOLE = 10_000;

/** Upstream: what `limit`, `sample` and `group_size` are if they are not given (Qdrant v1.20.0). */
const DEFAULT_LIMIT = 10;
const DEFAULT_SAMPLE = 10;
const DEFAULT_NEIGHBOURS = 3;
const DEFAULT_GROUP_SIZE = 3;

/** Points that a part returns at most. Upstream: groups and matrices count as their products, also in strict mode. */
export function limitOf(part: Part): number {
  const { kind, limit = kind === 'matrix' ? DEFAULT_NEIGHBOURS : DEFAULT_LIMIT } = part;
  switch (kind) {
    case 'groups':
    case 'query-groups':
      return Math.max(limit * (part.groupSize ?? DEFAULT_GROUP_SIZE), part.candidates ?? 0);
    case 'matrix':
      return limit * (part.sample ?? DEFAULT_SAMPLE);
    case 'search':
    case 'query':
      return Math.max(limit, part.candidates ?? 0);
    case 'scroll':
    case 'facet':
      return limit;
    case 'count':
    case 'points':
      return 0;
    default:
      return kind satisfies never;
  }
}

/** Upstream: a count is exact unless it says that it is not; all else is not unless it says so. */
export function isExact({ kind, exact }: Part): boolean {
  return exact ?? kind === 'count';
}

/** Large enough for every quota. INVARIANT: no cost is infinite or no number, which an account could not take. */
const MOST = Number.MAX_SAFE_INTEGER;

/** The cost of one part, at most `MOST`. Never less for a larger number. */
export function costOf(part: Part): number {
  const amount = part.kind === 'count' ? 1 : limitOf(part) + (part.offset ?? 0);
  const searched = amount === 0 ? 0 : amount * factorOf(part);
  return Math.min(MOST, searched + part.points + part.filters * WHOLE);
}

function factorOf(part: Part): number {
  const { kind, ef = DEFAULT_EF, examples, oversampling = 1 } = part;
  const scrolls = kind === 'scroll' || ((kind === 'query' || kind === 'query-groups') && !part.queried);
  if (scrolls) return 1;
  const compared = isExact(part) ? Math.max(WHOLE, ef) : Math.max(1, ef);
  return compared * Math.max(1, examples) * oversampled(oversampling);
}

/** Below 1, and no number: as upstream, no effect. */
function oversampled(oversampling: number): number {
  return Number.isNaN(oversampling) ? 1 : Math.max(1, oversampling);
}

/** Adds up the parts of one request. */
export class FactTally {
  #cost = 0;
  #limit = 0;
  #offset = 0;
  #ef = 0;
  #oversampling = 1;
  #exact = false;
  #searches = 0;
  #points = 0;
  #conditions = 0;
  #filterDepth = 0;

  /** A part that has been read. */
  add(part: Part): void {
    this.#cost += costOf(part);
    this.#limit = Math.max(this.#limit, limitOf(part));
    this.#offset = Math.max(this.#offset, part.offset ?? 0);
    this.#ef = Math.max(this.#ef, part.ef ?? 0);
    this.#oversampling = Math.max(this.#oversampling, oversampled(part.oversampling ?? 1));
    this.#exact ||= isExact(part);
    if (SEARCHES.has(part.kind)) this.#searches += 1;
    this.#points += part.points;
    this.#conditions = Math.max(this.#conditions, part.conditions);
    this.#filterDepth = Math.max(this.#filterDepth, part.filterDepth);
  }

  get facts(): Facts {
    return {
      ...{
        cost: Math.min(MOST, Math.max(1, Math.ceil(this.#cost))),
        limit: this.#limit,
        offset: this.#offset,
        ef: this.#ef,
      },
      ...{ oversampling: this.#oversampling, exact: this.#exact, searches: this.#searches, points: this.#points },
      ...{ conditions: this.#conditions, filterDepth: this.#filterDepth },
    };
  }
}

const SEARCHES: ReadonlySet<PartKind> = new Set(['search', 'groups', 'query', 'query-groups', 'matrix']);

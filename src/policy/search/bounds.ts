import { type Caller, type Callers, isFor } from '../callers.ts';
import { BOUNDS_UNREAD, type Denial, EXACT_DISABLED, filterTooLarge, overBound } from '../denial.ts';
import { type CollectionNames, covers } from '../names/collection-names.ts';
import type { Operation } from '../operation.ts';
import type { Facts } from './facts.ts';
import { hasFacts, isUnread } from './operations.ts';

/*
 * Bounds on the numbers of searches and changes of points: guards that hold for some callers and collections. They only
 * forbid. Named after Qdrant's strict mode where that has them.
 */

/** The member `bounds` of a guard in the policy file: plain data. */
export interface BoundSettings {
  readonly keys?: readonly string[] | undefined;
  readonly subjects?: readonly string[] | undefined;
  /** Names; a trailing `*` makes one a prefix. */
  readonly collections?: readonly string[] | undefined;
  readonly max_query_limit?: number | undefined;
  readonly max_offset?: number | undefined;
  readonly search_max_hnsw_ef?: number | undefined;
  readonly search_max_oversampling?: number | undefined;
  readonly search_max_batchsize?: number | undefined;
  readonly max_points?: number | undefined;
  readonly filter_max_conditions?: number | undefined;
  readonly filter_max_depth?: number | undefined;
  readonly search_allow_exact?: boolean | undefined;
}

/** Bounds, as requests are compared with them. */
export interface Bound extends Callers {
  readonly id: string;
  readonly mode: 'enforce' | 'shadow';
  /** `undefined` = all. */
  readonly collections: CollectionNames | undefined;
  readonly most: BoundSettings;
}

/** The bounds that may hold for the request. @param collection `undefined` = none, or not known yet: all hold */
export function boundsFor(
  bounds: readonly Bound[],
  caller: Caller,
  operation: Operation,
  collection: string | undefined,
): readonly Bound[] {
  if (!hasFacts(operation) && !isUnread(operation)) return [];
  return bounds.filter((bound) => {
    const { collections } = bound;
    return isFor(bound, caller) && (!collections || collection === undefined || covers(collections, collection));
  });
}

/** A refusal, and the guard that refuses. */
export interface BoundHit {
  readonly rule: string;
  readonly denial: Denial;
}

/**
 * The refusal of the bounds of one mode, and the guard. `undefined` = no objection. The same for any order.
 *
 * @param facts `undefined` = they are not read, so that every bound refuses
 */
export function boundRefusal(
  bounds: readonly Bound[],
  mode: Bound['mode'],
  facts: Facts | undefined,
): BoundHit | undefined {
  for (const bound of bounds) {
    const denial = bound.mode === mode ? refusalOf(bound.most, facts) : undefined;
    if (denial) return { rule: bound.id, denial };
  }
  return undefined;
}

/** The number of each bound, and its name in the words of strict mode (Qdrant v1.20.0), or the gateway's own. */
const NUMBERS = [
  ['max_query_limit', 'limit', 'limit'],
  ['max_offset', 'offset', 'offset'],
  ['search_max_batchsize', 'searches', 'search batch size'],
  ['max_points', 'points', 'points'],
  ['search_max_oversampling', 'oversampling', 'oversampling'],
  ['search_max_hnsw_ef', 'ef', 'hnsw_ef'],
] as const satisfies readonly (readonly [keyof BoundSettings, keyof Facts, string])[];

function refusalOf(most: BoundSettings, facts: Facts | undefined): Denial | undefined {
  if (!facts) return BOUNDS_UNREAD;
  for (const [bound, fact, name] of NUMBERS) {
    const allowed = most[bound];
    if (allowed !== undefined && facts[fact] > allowed) return overBound(name, facts[fact], allowed);
  }
  const { filter_max_conditions: conditions, filter_max_depth: depth } = most;
  if (conditions !== undefined && facts.conditions > conditions)
    return filterTooLarge('condition', facts.conditions, conditions);
  if (depth !== undefined && facts.filterDepth > depth) return filterTooLarge('depth', facts.filterDepth, depth);
  return most.search_allow_exact === false && facts.exact ? EXACT_DISABLED : undefined;
}

import { type Caller, type Callers, isFor } from '../callers.ts';
import { type Denial, type QuotaReached, rateLimited, tooManyAtOnce } from '../denial.ts';
import { names } from '../grants.ts';
import { type CollectionNames, collectionNames, covers } from '../names/collection-names.ts';
import type { Operation } from '../operation.ts';
import { expandGroups } from '../operation-groups.ts';

/*
 * Limits on permitted requests, by caller, operation and collection: which of them a request meets. Pure; what has been
 * used is counted in `limits/`.
 */

/** The unit of time of a quota. */
export type Period = 'second' | 'minute' | 'hour' | 'day';

/** An amount per time. As many may be used at once after a rest. */
export interface Quota {
  readonly per: Period;
  readonly most: number;
}

/** Milliseconds of each period. */
export const PERIOD_MS: Readonly<Record<Period, number>> = Object.freeze({
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
});

/** Amounts per time: requests, bytes of request bodies, or their cost in vector terms. */
export const DIMENSIONS = ['requests', 'bytes', 'cost'] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/** The requests that share a limit: those of one key and subject, of one client network, on one collection, or all that it applies to. */
export type Sharing = 'principal' | 'network' | 'collection' | 'all';

/** A limit of the policy file: plain data that can be sent to another process. */
export interface LimitSettings {
  readonly id: string;
  readonly mode: 'enforce' | 'shadow';
  readonly keys?: readonly string[] | undefined;
  readonly subjects?: readonly string[] | undefined;
  /** True = applies to the named keys that carry it, and to no other caller. */
  readonly carried?: boolean | undefined;
  /** Names; a trailing `*` makes one a prefix. */
  readonly collections?: readonly string[] | undefined;
  /** Names of operations and of ready groups. */
  readonly operations?: readonly string[] | undefined;
  readonly each: Sharing;
  readonly requests?: Quota | undefined;
  readonly bytes?: Quota | undefined;
  /** In vector terms. */
  readonly cost?: Quota | undefined;
  /** Most requests at once. */
  readonly concurrent?: number | undefined;
}

/** A limit, as requests are compared with it. */
export interface Limit extends Callers {
  readonly id: string;
  readonly mode: 'enforce' | 'shadow';
  readonly carried: boolean;
  /** `undefined` = all, here and below. */
  readonly collections: CollectionNames | undefined;
  readonly operations: ReadonlySet<string> | undefined;
  readonly each: Sharing;
  readonly quotas: Readonly<Partial<Record<Dimension, Quota>>>;
  readonly concurrent: number | undefined;
}

/** Builds limits, in the order of their ids. */
export function limitsOf(settings: readonly LimitSettings[]): readonly Limit[] {
  return Object.freeze(settings.map(limitOf).sort((a, b) => (a.id < b.id ? -1 : 1)));
}

function limitOf({ id, mode, keys, subjects, carried, collections, operations, ...counted }: LimitSettings): Limit {
  const { each, requests, bytes, cost, concurrent } = counted;
  return Object.freeze({
    id,
    mode,
    keys: keys && new Set(keys),
    subjects: subjects && new Set(subjects),
    carried: carried === true,
    collections: collections && collectionNames(collections),
    operations: operations && new Set(expandGroups(operations)),
    each,
    quotas: Object.freeze({ ...(requests && { requests }), ...(bytes && { bytes }), ...(cost && { cost }) }),
    concurrent,
  });
}

/** The caller as a limit compares it. */
export interface LimitedCaller extends Caller {
  /** Ids of limits that the key carries; absent = none. */
  readonly carries?: readonly string[] | undefined;
}

/** The limits that apply to some request of this caller. */
export function limitsFor(limits: readonly Limit[], caller: LimitedCaller): readonly Limit[] {
  return limits.filter((limit) => caller.carries?.includes(limit.id) || (!limit.carried && isFor(limit, caller)));
}

/**
 * True = a request of a caller of this limit counts on it.
 *
 * @param collection the main collection of the request, by the name in the request: no alias is resolved; `undefined` =
 *   none, or none that path or message name
 */
export function countsOn(limit: Limit, operation: Operation, collection: string | undefined): boolean {
  if (limit.operations && !names(limit.operations, operation)) return false;
  if (!isByCollection(limit)) return true;
  if (collection === undefined || !isOfCollection(operation)) return false;
  return !limit.collections || covers(limit.collections, collection);
}

/** True = the limit is on the cost of a request, or may be, depending on the collection that its message names. */
export function asksForCost(limit: Limit, operation: Operation, collection: string | undefined): boolean {
  if (limit.quotas.cost === undefined) return false;
  if (collection !== undefined) return countsOn(limit, operation, collection);
  return !limit.operations || names(limit.operations, operation);
}

/** True = an enforced amount of bytes that callers share, and that may apply to the request. @param collection as in `asksForCost` */
export function asksForLength(limit: Limit, operation: Operation, collection: string | undefined): boolean {
  if (limit.quotas.bytes === undefined || limit.each === 'principal' || limit.mode !== 'enforce') return false;
  if (collection !== undefined) return countsOn(limit, operation, collection);
  return !limit.operations || names(limit.operations, operation);
}

/** True = whether a request with its collection in the message counts on the limit, depends on that collection. */
export function asksForCollection(limit: Limit, operation: Operation): boolean {
  if (!isByCollection(limit) || operation.requires.scope !== 'collection') return false;
  return !limit.operations || names(limit.operations, operation);
}

function isByCollection({ collections, each }: Limit): boolean {
  return collections !== undefined || each === 'collection';
}

/** Creating, changing and deleting whole collections belongs to none of them, so that both protocols count alike. */
function isOfCollection({ manages, unlisted }: Operation): boolean {
  return manages === undefined && !unlisted;
}

/**
 * A share of one limit in one of several processes. Never below 1.
 *
 * @param leased the processes share amounts per time, and only places are divided
 */
export function shareOfLimit(limit: LimitSettings, count: number, leased = false): LimitSettings {
  const share = (whole: number): number => Math.max(1, Math.ceil(whole / count));
  const { requests, bytes, cost, concurrent } = limit;
  const places = concurrent === undefined ? {} : { concurrent: share(concurrent) };
  if (leased) return { ...limit, ...places };
  return {
    ...limit,
    ...(requests && { requests: { ...requests, most: share(requests.most) } }),
    ...(bytes && { bytes: { ...bytes, most: share(bytes.most) } }),
    ...(cost && { cost: { ...cost, most: share(cost.most) } }),
    ...places,
  };
}

/**
 * The refusal of a request that finds a quota used up.
 *
 * @param amount what the request needs
 * @param left what is left, rounded down
 * @param waitMs milliseconds until there is enough; infinite = the request is larger than the quota
 */
export function quotaUsedUp(
  { id }: Limit,
  dimension: Dimension,
  { per, most }: Quota,
  { amount, left, waitMs }: { readonly amount: number; readonly left: number; readonly waitMs: number },
): Denial {
  const reached = { limit: id, most, left };
  const quota = `limit ${id} of ${most} ${dimension} per ${per}`;
  if (waitMs === Number.POSITIVE_INFINITY) {
    return rateLimited(`${quota} exceeded, the request has ${amount} and never fits`, {
      ...reached,
      retryAfter: undefined,
    });
  }
  const retryAfter = Math.max(1, Math.ceil(waitMs / 1000));
  return rateLimited(`${quota} exceeded. Retry after ${retryAfter}s`, { ...reached, retryAfter });
}

/** The refusal of a body of unknown length that is too large to be waited for. */
export function lengthUnknown({ id }: Limit, { per, most }: Quota): Denial {
  const reached = { limit: id, most, left: 0, retryAfter: undefined };
  return rateLimited(
    `limit ${id} of ${most} bytes per ${per} counts this body by its content-length, send one`,
    reached,
  );
}

/** The refusal of a request beside too many open ones. */
export function tooManyOpen({ id, concurrent = 0 }: Limit): Denial {
  const reached: QuotaReached = { limit: id, most: concurrent, left: 0, retryAfter: 1 };
  return tooManyAtOnce(`limit ${id} of ${concurrent} requests at once exceeded. Retry after 1s`, reached);
}

import type { Denial } from '../policy/denial.ts';
import {
  DIMENSIONS,
  type Dimension,
  type Limit,
  lengthUnknown,
  quotaUsedUp,
  tooManyOpen,
} from '../policy/limits/limits.ts';
import type { Account } from './accounts.ts';
import type { Bucket } from './tokens.ts';

/* Whether a request has room on the limits that it meets. */

/** The amounts that a request needs of each quota. Bytes are `undefined` = unknown, and the body is not waited for. */
export interface Needed {
  readonly bytes: number | undefined;
  readonly cost: number;
}

/** A request on one limit. */
export interface Claim {
  readonly limit: Limit;
  readonly account: Account;
  readonly caller: string;
  /** True = it has its place already. */
  readonly isPlaced: boolean;
}

/** The refusal with the longest wait, so that the order of limits does not matter. */
export function worst(claims: readonly Claim[], needed: Needed, now: number): Denial | undefined {
  let found: Overrun | undefined;
  for (const claim of claims) {
    const over = overrun(claim, needed, now);
    if (over && (!found || over.waitMs > found.waitMs)) found = over;
  }
  return found?.denial;
}

/** Why a request has no room on a limit. */
export interface Overrun {
  /** Milliseconds until it has; infinite = never. */
  readonly waitMs: number;
  readonly denial: Denial;
}

/** Milliseconds after which to ask again for a place: the end of an open request is unknown. */
const OPEN_MS = 1000;

/** The first thing that a request finds no room for on one limit, or the one with the longest wait. `undefined` = it has room. */
export function overrun(claim: Claim, needed: Needed, now: number): Overrun | undefined {
  const { limit, account } = claim;
  let found: Overrun | undefined;
  if (isWithoutPlace(claim)) found = { waitMs: OPEN_MS, denial: tooManyOpen(limit) };
  if (needed.bytes === undefined && account.shares && account.tokens.bytes)
    return { waitMs: Number.POSITIVE_INFINITY, denial: lengthUnknown(limit, account.tokens.bytes.quota) };
  for (const dimension of DIMENSIONS) {
    const tokens = account.tokens[dimension];
    const amount = amountOf(dimension, needed);
    const waitMs = tokens && amount > 0 ? waitFor(claim, dimension, tokens, amount, now) : 0;
    if (!tokens || waitMs === 0 || (found && found.waitMs >= waitMs)) continue;
    found = { waitMs, denial: quotaUsedUp(limit, dimension, tokens.quota, { amount, left: tokens.left(now), waitMs }) };
  }
  return found;
}

function waitFor(
  { account, caller }: Claim,
  dimension: Dimension,
  bucket: Bucket,
  amount: number,
  now: number,
): number {
  if (dimension === 'bytes' && account.shares) return account.shares.wait(caller, bucket, amount, now);
  return bucket.wait(amount, now);
}

function isWithoutPlace({ limit, account, caller, isPlaced }: Claim): boolean {
  if (limit.concurrent === undefined || isPlaced) return false;
  const free = limit.concurrent - account.open;
  return free <= 0 || account.shares?.leaves(caller, limit.concurrent, free) === true;
}

function amountOf(dimension: Dimension, { bytes, cost }: Needed): number {
  if (dimension === 'requests') return 1;
  // A body of unknown length needs a quota without debt. One of an amount that callers share has been read, or is refused.
  return dimension === 'bytes' ? (bytes ?? 1) : cost;
}

import { LRUCache } from 'lru-cache';
import { sha256Hex } from '../identity/key-ring.ts';
import type { Principal } from '../identity/principal.ts';
import type { Denial } from '../policy/denial.ts';
import {
  asksForCollection,
  asksForCost,
  countsOn,
  DIMENSIONS,
  type Dimension,
  type Limit,
  limitsFor,
  quotaUsedUp,
  tooManyOpen,
} from '../policy/limits/limits.ts';
import type { Operation, Target } from '../policy/operation.ts';
import type { Shadowed } from '../policy/rules.ts';
import type { LeaseLedger } from './lease-ledger.ts';
import { clientNetworkOf } from './peer-address.ts';
import { type Bucket, Tokens } from './tokens.ts';

/** Accounts remembered; the one that was not used for longest is forgotten first, and begins anew. */
const REMEMBERED = 20_000;
/** Accounts that may be forgotten for each new one. */
const FORGOTTEN = 2;

/** The usage of the requests that share a limit. */
interface Account {
  readonly name: string;
  /** Requests that are open. */
  open: number;
  readonly tokens: Partial<Record<Dimension, Bucket>>;
}

/** The places and bytes of one exchange: given back, or settled, once at its end. */
export interface LimitHold {
  readonly accounts: readonly Account[];
  /** Bytes of its body that were taken in advance. */
  readonly bytes: number;
}

/** The fields of an exchange that limits read and set. */
export interface LimitedExchange {
  readonly remote: string;
  readonly hasBody: boolean;
  readonly headers: readonly string[];
  readonly resolution: { readonly operation: Operation; readonly target: Target } | undefined;
  readonly references: { readonly target?: string } | undefined;
  /** Its numbers, once they are known. */
  readonly facts: { readonly cost: number } | undefined;
  limitHold: LimitHold | undefined;
  shadowed: Shadowed | undefined;
}

/** The amounts that a request needs of each quota. Bytes are `undefined` = unknown before the end of the body. */
interface Needed {
  readonly bytes: number | undefined;
  readonly cost: number;
}

/** A request on one limit. */
interface Claim {
  readonly limit: Limit;
  readonly account: Account;
}

const NOTHING: LimitHold = Object.freeze({ accounts: [], bytes: 0 });

/**
 * Counts permitted requests on the limits of the policy. Everything is synchronous; nothing is counted for a refused
 * request. Accounts outlive a reload: a limit that did not change goes on where it was.
 *
 * Requests and bytes of known length are taken in advance. A body of unknown length is taken when it has passed, so a
 * quota of bytes can run into debt by the bodies that are open.
 */
export class RequestLimits {
  readonly #now: () => number;
  readonly #ledger: LeaseLedger | undefined;
  readonly #accounts = new LRUCache<string, Account>({ max: REMEMBERED });
  readonly #applying = new WeakMap<Principal, { readonly of: readonly Limit[]; readonly own: readonly Limit[] }>();

  /** @param now monotonic milliseconds @param ledger amounts are shared through it; default: this process counts alone */
  constructor(now: () => number, ledger?: LeaseLedger) {
    this.#now = now;
    this.#ledger = ledger;
  }

  /** Accounts that are remembered. */
  get size(): number {
    return this.#accounts.size;
  }

  /** True = a request with its collection in the message cannot be counted without it. */
  asksForCollection(limits: readonly Limit[], principal: Principal, operation: Operation): boolean {
    return this.#ownOf(limits, principal).some((limit) => asksForCollection(limit, operation));
  }

  /** True = the request cannot be counted without its cost. @param collection `undefined` = not known yet */
  asksForCost(
    limits: readonly Limit[],
    principal: Principal,
    operation: Operation,
    collection: string | undefined,
  ): boolean {
    return this.#ownOf(limits, principal).some((limit) => asksForCost(limit, operation, collection));
  }

  /**
   * The refusal that no body could change: an enforced limit that applies to the request, whatever its body says, has no room
   * for the least that it needs. Counts nothing.
   *
   * @param cost the least that it costs
   */
  early(limits: readonly Limit[], exchange: LimitedExchange, principal: Principal, cost: number): Denial | undefined {
    const own = this.#ownOf(limits, principal).filter(({ mode }) => mode === 'enforce');
    if (own.length === 0) return undefined;
    const now = this.#now();
    return worst(this.#claims(own, exchange, principal, now), { bytes: lengthOf(exchange), cost }, now);
  }

  /**
   * Counts the request on every limit that it meets, or refuses it and counts it on none of those that are enforced. Limits in
   * shadow count apart; the first that would refuse is noted on the exchange.
   *
   * @param enforce false = no limit refuses
   * @param cost default: what its numbers tell
   */
  take(
    limits: readonly Limit[],
    exchange: LimitedExchange,
    principal: Principal,
    enforce: boolean,
    cost = exchange.facts?.cost ?? 0,
  ): Denial | undefined {
    exchange.limitHold = NOTHING;
    const own = this.#ownOf(limits, principal);
    if (own.length === 0) return undefined;
    const now = this.#now();
    const needed: Needed = { bytes: lengthOf(exchange), cost };
    const claims = this.#claims(own, exchange, principal, now);
    const taken: Account[] = [];
    const enforced: Claim[] = [];
    for (const claim of claims) {
      if (enforce && claim.limit.mode === 'enforce') {
        enforced.push(claim);
        continue;
      }
      const over = overrun(claim, needed, now)?.denial;
      if (over) exchange.shadowed ??= { rule: claim.limit.id, denial: over };
      else taken.push(claim.account);
    }
    const refused = worst(enforced, needed, now);
    if (refused) return refused;
    for (const { account } of enforced) taken.push(account);
    for (const account of taken) {
      account.open += 1;
      account.tokens.requests?.take(1, now);
      account.tokens.bytes?.take(needed.bytes ?? 0, now);
      account.tokens.cost?.take(needed.cost, now);
      this.#keep(account, now);
    }
    if (taken.length > 0) exchange.limitHold = { accounts: taken, bytes: needed.bytes ?? 0 };
    return undefined;
  }

  /** The exchange has ended. Called once for each hold. @param received bytes of its body */
  end({ accounts, bytes }: LimitHold, received: number): void {
    if (accounts.length === 0) return;
    const now = this.#now();
    for (const account of accounts) {
      account.open -= 1;
      account.tokens.bytes?.settle(bytes, received, now);
    }
  }

  #ownOf(limits: readonly Limit[], principal: Principal): readonly Limit[] {
    const known = this.#applying.get(principal);
    if (known?.of === limits) return known.own;
    const own = limitsFor(limits, principal);
    this.#applying.set(principal, { of: limits, own });
    return own;
  }

  #claims(own: readonly Limit[], exchange: LimitedExchange, principal: Principal, now: number): readonly Claim[] {
    const { resolution, references } = exchange;
    if (!resolution) return [];
    const { operation, target } = resolution;
    const collection = target.kind === 'collection' ? target.name : references?.target;
    return own
      .filter((limit) => countsOn(limit, operation, collection))
      .map((limit) => ({
        limit,
        account: this.#accountOf(limit, sharerOf(limit, exchange, principal, collection), now),
      }));
  }

  #accountOf(limit: Limit, sharer: string, now: number): Account {
    const name = `${limit.id} ${limit.each} ${sharer}`;
    const account = this.#accounts.get(name) ?? { name, open: 0, tokens: {} };
    for (const dimension of DIMENSIONS) {
      const quota = limit.quotas[dimension];
      const old = account.tokens[dimension]?.quota;
      if (!quota) delete account.tokens[dimension];
      else if (old?.most !== quota.most || old.per !== quota.per) {
        account.tokens[dimension] = this.#ledger?.open(name, dimension, quota) ?? new Tokens(quota, now);
      }
    }
    return account;
  }

  /** Keeps the account of a counted request. For a new one others may be forgotten: those that a new one would equal. */
  #keep(account: Account, now: number): void {
    if (this.#accounts.peek(account.name) === account) return;
    for (let forgotten = 0; forgotten < FORGOTTEN; forgotten += 1) {
      const oldest = this.#accounts.rvalues().next().value;
      if (!oldest || !isIdle(oldest, now)) break;
      this.#accounts.delete(oldest.name);
    }
    this.#accounts.set(account.name, account);
  }
}

function isIdle({ open, tokens }: Account, now: number): boolean {
  return open === 0 && DIMENSIONS.every((dimension) => tokens[dimension]?.isFull(now) ?? true);
}

/** Longest subject or collection kept as it is, in characters. */
const LONG_NAME = 64;

function sharerOf(
  { each }: Limit,
  { remote }: LimitedExchange,
  { keyId, subject }: Principal,
  collection = '',
): string {
  if (each === 'all') return '';
  if (each === 'network') return clientNetworkOf(remote);
  if (each === 'collection') return shortened(collection);
  if (subject === undefined) return keyId;
  return `${keyId} ${shortened(subject)}`;
}

/** A name from a client may be as long as a head. */
function shortened(name: string): string {
  return name.length > LONG_NAME ? sha256Hex(name) : name;
}

/** The refusal with the longest wait, so that the order of limits does not matter. */
function worst(claims: readonly Claim[], needed: Needed, now: number): Denial | undefined {
  let found: Overrun | undefined;
  for (const claim of claims) {
    const over = overrun(claim, needed, now);
    if (over && (!found || over.waitMs > found.waitMs)) found = over;
  }
  return found?.denial;
}

interface Overrun {
  readonly waitMs: number;
  readonly denial: Denial;
}

/** Milliseconds after which to ask again for a place: the end of an open request is unknown. */
const OPEN_MS = 1000;

function overrun({ limit, account }: Claim, needed: Needed, now: number): Overrun | undefined {
  let found: Overrun | undefined;
  if (limit.concurrent !== undefined && account.open >= limit.concurrent) {
    found = { waitMs: OPEN_MS, denial: tooManyOpen(limit) };
  }
  for (const dimension of DIMENSIONS) {
    const tokens = account.tokens[dimension];
    const amount = amountOf(dimension, needed);
    const waitMs = tokens && amount > 0 ? tokens.wait(amount, now) : 0;
    if (!tokens || waitMs === 0 || (found && found.waitMs >= waitMs)) continue;
    found = { waitMs, denial: quotaUsedUp(limit, dimension, tokens.quota, { amount, left: tokens.left(now), waitMs }) };
  }
  return found;
}

function amountOf(dimension: Dimension, { bytes, cost }: Needed): number {
  if (dimension === 'requests') return 1;
  // A body of unknown length needs a quota without debt.
  return dimension === 'bytes' ? (bytes ?? 1) : cost;
}

/** Bytes of the body; `undefined` = unknown before its end. */
function lengthOf({ hasBody, headers }: LimitedExchange): number | undefined {
  if (!hasBody) return 0;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() !== 'content-length') continue;
    const length = Number(headers[i + 1]);
    return Number.isSafeInteger(length) && length >= 0 ? length : undefined;
  }
  return undefined;
}

import { sha256Hex } from '../identity/key-ring.ts';
import type { Principal } from '../identity/principal.ts';
import type { Denial } from '../policy/denial.ts';
import {
  asksForCollection,
  asksForCost,
  asksForLength,
  countsOn,
  type Limit,
  limitsFor,
} from '../policy/limits/limits.ts';
import type { Operation, Target } from '../policy/operation.ts';
import type { Shadowed } from '../policy/rules.ts';
import { type Account, Accounts, giveBack, linger, type Sharer, takePlace } from './accounts.ts';
import { type Claim, type Needed, overrun, worst } from './claims.ts';
import type { LeaseLedger } from './lease-ledger.ts';
import { clientNetworkOf } from './peer-address.ts';

/** The places and bytes of one exchange: given back, or settled, once at its end. */
export interface LimitHold {
  readonly caller: string;
  /** The accounts that it has a place on. */
  readonly places: Account[];
  /** The accounts that it has been counted on; `undefined` = it waits for its body, and only has places. */
  counted: readonly Account[] | undefined;
  /** Bytes of its body that were taken. */
  bytes: number;
  /** True = they had come by then. */
  wasHere: boolean;
}

/** The way in which a request is counted. */
export interface Counting {
  /** False = no limit refuses. */
  readonly enforce: boolean;
  /** True = its body has come, as far as it will. */
  readonly isWhole: boolean;
  /** Default: what its numbers tell. */
  readonly cost?: number;
}

/** The fields of an exchange that limits read and set. */
export interface LimitedExchange {
  readonly remote: string;
  readonly hasBody: boolean;
  /** Bytes of the body that have come. */
  readonly received: number;
  readonly headers: readonly string[];
  readonly resolution: { readonly operation: Operation; readonly target: Target } | undefined;
  readonly references: { readonly target?: string } | undefined;
  /** Its numbers, once they are known. */
  readonly facts: { readonly cost: number } | undefined;
  limitHold: LimitHold | undefined;
  shadowed: Shadowed | undefined;
}

/**
 * Counts permitted requests on the limits of the policy. Everything is synchronous; nothing is counted for a refused
 * request. Accounts outlive a reload: a limit that did not change goes on where it was.
 *
 * Requests and bytes of known length are taken in advance. A body of unknown length is taken when it has passed, so the
 * quota of one caller can run into debt by its open bodies. An amount that callers share has no debt: a body that cannot be taken
 * in advance waits until it is there (see `asksForLength`).
 */
export class RequestLimits {
  readonly #now: () => number;
  readonly #accounts: Accounts;
  readonly #applying = new WeakMap<Principal, { readonly of: readonly Limit[]; readonly own: readonly Limit[] }>();

  /** @param now monotonic milliseconds @param ledger amounts are shared through it; default: this process counts alone */
  constructor(now: () => number, ledger?: LeaseLedger) {
    this.#now = now;
    this.#accounts = new Accounts(ledger);
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
   * True = the request is counted once its body is there: an enforced amount of bytes, which callers share, may apply to it, and its length is unknown,
   * or too much that was announced is still to come.
   */
  asksForLength(limits: readonly Limit[], exchange: LimitedExchange, principal: Principal): boolean {
    const length = lengthOf(exchange);
    const { resolution } = exchange;
    if (length === 0 || !resolution) return false;
    const { operation, target } = resolution;
    const collection = target.kind === 'collection' ? target.name : undefined;
    const own = this.#ownOf(limits, principal).filter((limit) => asksForLength(limit, operation, collection));
    if (own.length === 0 || length === undefined) return own.length > 0;
    const now = this.#now();
    return this.#claims(own, exchange, principal, now).some(({ account: { tokens, shares } }) => {
      return tokens.bytes && shares ? !shares.mayAnnounce(tokens.bytes, length) : false;
    });
  }

  /**
   * The refusal that no body could change: an enforced limit that applies to the request, whatever its body says, has no room
   * for the least that it needs. Else the request has its places on those limits from now on, and is counted by `take`.
   *
   * @param cost the least that it costs
   */
  early(limits: readonly Limit[], exchange: LimitedExchange, principal: Principal, cost: number): Denial | undefined {
    const own = this.#ownOf(limits, principal).filter(({ mode }) => mode === 'enforce');
    if (own.length === 0) return undefined;
    const now = this.#now();
    const claims = this.#claims(own, exchange, principal, now);
    const refused = worst(claims, { bytes: lengthOf(exchange) ?? 1, cost }, now);
    if (refused) return refused;
    const bounded = claims.filter(({ limit }) => limit.concurrent !== undefined);
    if (bounded.length === 0) return undefined;
    exchange.limitHold = holdOf(principal);
    for (const claim of bounded) this.#place(claim, exchange.limitHold, now);
    return undefined;
  }

  /**
   * Counts the request on every limit that it meets, or refuses it and counts it on none of those that are enforced. Limits in
   * shadow count apart; the first that would refuse is noted on the exchange.
   *
   * @param counting how it is counted
   */
  take(
    limits: readonly Limit[],
    exchange: LimitedExchange,
    principal: Principal,
    { enforce, isWhole, cost = exchange.facts?.cost ?? 0 }: Counting,
  ): Denial | undefined {
    const hold = exchange.limitHold ?? holdOf(principal);
    exchange.limitHold = hold;
    hold.counted = [];
    const own = this.#ownOf(limits, principal);
    if (own.length === 0) return undefined;
    const now = this.#now();
    const needed: Needed = { bytes: lengthOf(exchange) ?? (isWhole ? exchange.received : undefined), cost };
    const claims = this.#claims(own, exchange, principal, now);
    const taken: Claim[] = [];
    const enforced: Claim[] = [];
    for (const claim of claims) {
      if (enforce && claim.limit.mode === 'enforce') {
        enforced.push(claim);
        continue;
      }
      const over = overrun(claim, needed, now)?.denial;
      if (over) exchange.shadowed ??= { rule: claim.limit.id, denial: over };
      else taken.push(claim);
    }
    const refused = worst(enforced, needed, now);
    if (refused) return refused;
    taken.push(...enforced);
    hold.bytes = needed.bytes ?? 0;
    hold.wasHere = isWhole;
    hold.counted = taken.map(({ account }) => account);
    for (const claim of taken) {
      const { account } = claim;
      if (!claim.isPlaced) this.#place(claim, hold, now);
      account.tokens.requests?.take(1, now);
      const { bytes } = account.tokens;
      if (bytes && account.shares) account.shares.take(hold.caller, bytes, hold.bytes, isWhole, now);
      else bytes?.take(hold.bytes, now);
      account.tokens.cost?.take(needed.cost, now);
    }
    return undefined;
  }

  /**
   * The exchange has ended. Called once for each hold.
   *
   * @param received bytes of its body
   * @param lingerMs milliseconds for which its places stay taken, because upstream may still work on it
   */
  end({ caller, places, counted = [], bytes, wasHere }: LimitHold, received: number, lingerMs = 0): void {
    if (places.length === 0) return;
    const now = this.#now();
    for (const account of counted) {
      const bucket = account.tokens.bytes;
      if (bucket && account.shares)
        account.shares.settle(caller, bucket, { taken: bytes, used: received, wasHere }, now);
      else bucket?.settle(bytes, received, now);
    }
    for (const account of places) {
      if (lingerMs > 0) linger(account, caller, now + lingerMs);
      else giveBack(account, caller);
    }
  }

  #place({ account }: Claim, hold: LimitHold, now: number): void {
    hold.places.push(account);
    takePlace(account, hold.caller);
    this.#accounts.keep(account, now);
  }

  #ownOf(limits: readonly Limit[], principal: Principal): readonly Limit[] {
    const known = this.#applying.get(principal);
    if (known?.of === limits) return known.own;
    const own = limitsFor(limits, principal);
    this.#applying.set(principal, { of: limits, own });
    return own;
  }

  #claims(own: readonly Limit[], exchange: LimitedExchange, principal: Principal, now: number): readonly Claim[] {
    const { resolution, references, limitHold } = exchange;
    if (!resolution) return [];
    const { operation, target } = resolution;
    const collection = target.kind === 'collection' ? target.name : references?.target;
    return own
      .filter((limit) => countsOn(limit, operation, collection))
      .map((limit) => {
        const shared = sharerOf(limit, exchange, principal, collection);
        const account = this.#accounts.of(limit, shared, now);
        return { limit, account, caller: shared.caller, isPlaced: limitHold?.places.includes(account) === true };
      });
  }
}

/** Longest subject or collection kept as it is, in characters. */
const LONG_NAME = 64;

function sharerOf({ each }: Limit, { remote }: LimitedExchange, principal: Principal, collection = ''): Sharer {
  const caller = callerOf(principal);
  if (each === 'all') return { caller, sharer: '' };
  if (each === 'network') return { caller, sharer: clientNetworkOf(remote) };
  if (each === 'collection') return { caller, sharer: shortened(collection) };
  return { caller, sharer: caller };
}

function callerOf({ keyId, subject }: Principal): string {
  return subject === undefined ? keyId : `${keyId} ${shortened(subject)}`;
}

function holdOf(principal: Principal): LimitHold {
  return { caller: callerOf(principal), places: [], counted: undefined, bytes: 0, wasHere: false };
}

/** A name from a client may be as long as a head. */
function shortened(name: string): string {
  return name.length > LONG_NAME ? sha256Hex(name) : name;
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

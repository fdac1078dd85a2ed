import { LRUCache } from 'lru-cache';
import { DIMENSIONS, type Dimension, type Limit } from '../policy/limits/limits.ts';
import type { LeaseLedger } from './lease-ledger.ts';
import { Shares } from './shares.ts';
import { type Bucket, Tokens } from './tokens.ts';

/** Accounts remembered; the one that was not used for longest is forgotten first, and begins anew. */
const REMEMBERED = 20_000;
/** Accounts in use that one caller may bring about; what it names beyond them counts together. */
const OF_ONE_CALLER = 5000;
/** Accounts that may be forgotten for each new one. */
const FORGOTTEN = 2;

/** A place of a request whose client has left, while upstream may still work on it. */
interface Lingering {
  readonly caller: string;
  /** Monotonic milliseconds. */
  readonly until: number;
}

/** The usage of the requests that share a limit. */
export interface Account {
  readonly name: string;
  /** The caller whose request brought it about. */
  readonly by: string;
  /** Most requests at once, as the limit last said; `undefined` = any number. */
  most: number | undefined;
  /** Requests that have a place. */
  open: number;
  /** Of them those that have ended here. */
  lingering: readonly Lingering[];
  readonly tokens: Partial<Record<Dimension, Bucket>>;
  /** The parts that single callers hold; `undefined` = it is of one caller alone. */
  readonly shares: Shares | undefined;
}

/** The caller, network or collection on whose account a request counts. */
export interface Sharer {
  readonly caller: string;
  /** The callers, network or collection that has the amounts of the limit alone. */
  readonly sharer: string;
}

/** The accounts of one process, within bounds. An account outlives a reload: a limit that did not change goes on where it was. */
export class Accounts {
  readonly #ledger: LeaseLedger | undefined;
  readonly #accounts = new LRUCache<string, Account>({
    max: REMEMBERED,
    dispose: (account, _, reason) => {
      if (reason !== 'set') this.#forgot(account);
    },
  });
  /** The accounts that each caller brought about, the oldest first. */
  readonly #by = new Map<string, Set<Account>>();

  constructor(ledger: LeaseLedger | undefined) {
    this.#ledger = ledger;
  }

  /** Accounts that are remembered. */
  get size(): number {
    return this.#accounts.size;
  }

  /** The account, which `keep` remembers. */
  of(limit: Limit, { caller, sharer }: Sharer, now: number): Account {
    const own = this.#accounts.get(nameOf(limit, sharer));
    const name =
      own || !this.#isFull(limit, caller, now) ? nameOf(limit, sharer) : nameOf(limit, `other names of ${caller}`);
    const account = own ?? this.#accounts.get(name) ?? newAccount(limit, name, caller);
    account.most = limit.concurrent;
    for (const dimension of DIMENSIONS) {
      const quota = limit.quotas[dimension];
      const old = account.tokens[dimension]?.quota;
      if (!quota) delete account.tokens[dimension];
      else if (old?.most !== quota.most || old.per !== quota.per) {
        account.tokens[dimension] = this.#ledger?.open(name, dimension, quota) ?? new Tokens(quota, now);
      }
    }
    if (account.lingering.length > 0) release(account, now);
    return account;
  }

  /** Remembers the account of a counted request. For a new one others may be forgotten: those that a new one would equal. */
  keep(account: Account, now: number): void {
    if (this.#accounts.peek(account.name) === account) return;
    for (let forgotten = 0; forgotten < FORGOTTEN; forgotten += 1) {
      const oldest = this.#accounts.rvalues().next().value;
      if (!oldest || !isIdle(oldest, now)) break;
      this.#accounts.delete(oldest.name);
    }
    this.#accounts.set(account.name, account);
    const own = this.#by.get(account.by);
    if (own) own.add(account);
    else this.#by.set(account.by, new Set([account]));
  }

  /** True = the caller has named so many networks or collections that a further one is not told apart. */
  #isFull({ each }: Limit, caller: string, now: number): boolean {
    const own = this.#by.get(caller);
    if (!own || own.size < OF_ONE_CALLER || (each !== 'collection' && each !== 'network')) return false;
    for (let looked = 0; looked < FORGOTTEN; looked += 1) {
      const [oldest] = own;
      if (!oldest) break;
      if (isIdle(oldest, now)) {
        this.#accounts.delete(oldest.name);
      } else {
        own.delete(oldest);
        own.add(oldest);
      }
    }
    return own.size >= OF_ONE_CALLER;
  }

  #forgot(account: Account): void {
    const own = this.#by.get(account.by);
    own?.delete(account);
    if (own?.size === 0) this.#by.delete(account.by);
  }
}

function newAccount({ each }: Limit, name: string, by: string): Account {
  const shares = each === 'principal' ? undefined : new Shares();
  return { name, by, most: undefined, open: 0, lingering: [], tokens: {}, shares };
}

function nameOf({ id, each }: Limit, sharer: string): string {
  return `${id} ${each} ${sharer}`;
}

function isIdle(account: Account, now: number): boolean {
  release(account, now);
  const { open, tokens, shares } = account;
  if (open > 0 || (shares && !shares.isIdle)) return false;
  return DIMENSIONS.every((dimension) => tokens[dimension]?.isFull(now) ?? true);
}

/** Gives back the places whose time is over. */
function release(account: Account, now: number): void {
  const left = account.lingering.filter(({ until }) => until > now);
  if (left.length === account.lingering.length) return;
  for (const { caller, until } of account.lingering) {
    if (until <= now) giveBack(account, caller);
  }
  account.lingering = left;
}

/** The request has ended, and upstream may work on it until so many monotonic milliseconds. */
export function linger(account: Account, caller: string, until: number): void {
  if (account.most === undefined) giveBack(account, caller);
  else account.lingering = [...account.lingering, { caller, until }];
}

/** One place less. */
export function giveBack(account: Account, caller: string): void {
  account.open -= 1;
  account.shares?.closed(caller);
}

/** One place more. */
export function takePlace(account: Account, caller: string): void {
  account.open += 1;
  account.shares?.opened(caller);
}

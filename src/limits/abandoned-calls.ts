import { LRUCache } from 'lru-cache';
import type { Principal } from '../identity/principal.ts';
import { type FaultReport, Guard } from '../lifetime/guard.ts';
import { clientNetworkOf } from './peer-address.ts';

/** Calls that one client may give up young: at once, and a second after that. */
const BURST = 500;
const PER_SECOND = 125;
/** Milliseconds after which giving a call up is nothing to remark on. */
const YOUNG_MS = 1000;
/** Clients that are remembered; the longest unheard of go first. */
const REMEMBERED = 10_000;
/** Milliseconds between looks at those who wait. */
const LOOK_MS = 20;
/** Those that have left the queue are cleared away when they are more than those who wait, and this. */
const ROOM = 64;

/** What a call on credit is: waiting for it while `goOn` is there, upstream when it is not. */
export interface CallCredit {
  readonly client: Client;
  goOn: (() => void) | undefined;
}

/** What has to be known of a request and its answer. */
export interface Call {
  readonly remote: string;
  readonly principal: Principal | undefined;
  /** Monotonic milliseconds; 0 = never sent upstream. */
  readonly forwardedAt: number;
  /** Set here, where the call is on credit. */
  callCredit: CallCredit | undefined;
}

/** One caller. */
interface Client {
  /** What is left, as of `at`. */
  credit: number;
  at: number;
  /** In turn; those that have left stay until they are cleared away. */
  queue: CallCredit[];
  waiting: number;
}

/**
 * Calls that were given up before they were answered. Each had upstream begin work for nothing, and freed its stream at
 * once, so that no limit of open calls holds them; a new connection has new limits besides. So they are counted for the
 * caller: one credential at one address. Who has used up its credit waits: each of its calls goes upstream when there is
 * credit for it, and brings it back when it is answered.
 *
 * Those who use the same credential behind the same address share this; nobody else notices.
 */
export class AbandonedCalls {
  readonly #now: () => number;
  readonly #clients = new LRUCache<string, Client>({ max: REMEMBERED });
  readonly #names = new WeakMap<Principal, number>();
  #named = 0;
  /** Those without credit, until they have all of it again. Nobody is looked up while there are none. */
  readonly #debtors = new Map<string, Client>();
  readonly #guard: Guard;
  #timer: NodeJS.Timeout | undefined;

  /** @param now monotonic milliseconds, the clock of `forwardedAt` */
  constructor(now: () => number, report: FaultReport = ignore) {
    this.#now = now;
    // Those who wait are looked after the next time; each goes on under a guard of its own.
    this.#guard = new Guard({ fail: ignore, cut: ignore }, 'exchange', report);
  }

  /** Has the call to wait? If so, `wait` is to follow. */
  mustWait(call: Call): boolean {
    if (this.#debtors.size === 0 || !call.principal) return false;
    const client = this.#debtors.get(this.#nameOf(call, call.principal));
    if (!client) return false;
    this.#refill(client);
    call.callCredit = { client, goOn: undefined };
    if (client.waiting > 0 || client.credit < 1) return true;
    client.credit -= 1;
    return false;
  }

  /** Calls `goOn` when it is the call's turn; never, if its client leaves before. Must not throw. */
  wait({ callCredit }: Call, goOn: () => void): void {
    if (!callCredit) throw new TypeError('a call waits that need not');
    callCredit.goOn = goOn;
    callCredit.client.queue.push(callCredit);
    callCredit.client.waiting += 1;
  }

  /** The call is over. @param answered somebody has said something to it */
  ended(call: Call, answered: boolean): void {
    const { callCredit, principal, forwardedAt } = call;
    if (callCredit) {
      settle(callCredit, answered || forwardedAt === 0);
      return;
    }
    if (answered || forwardedAt === 0 || !principal || this.#now() - forwardedAt >= YOUNG_MS) return;
    this.#charge(this.#nameOf(call, principal));
  }

  #charge(name: string): void {
    const client = this.#clients.get(name) ?? { credit: BURST, at: this.#now(), queue: [], waiting: 0 };
    this.#clients.set(name, client);
    this.#refill(client);
    client.credit = Math.max(0, client.credit - 1);
    if (client.credit >= 1) return;
    this.#debtors.set(name, client);
    this.#timer ??= this.#guard.every(LOOK_MS, () => this.#look()).unref();
  }

  #refill(client: Client): void {
    const now = this.#now();
    client.credit = Math.min(BURST, client.credit + ((now - client.at) / 1000) * PER_SECOND);
    client.at = now;
  }

  #look(): void {
    for (const [name, client] of this.#debtors) {
      this.#refill(client);
      begin(client);
      if (client.credit >= BURST) this.#debtors.delete(name);
    }
    if (this.#debtors.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #nameOf({ remote }: Call, principal: Principal): string {
    let number = this.#names.get(principal);
    if (number === undefined) {
      this.#named += 1;
      number = this.#named;
      this.#names.set(principal, number);
    }
    return `${number} ${clientNetworkOf(remote)}`;
  }
}

/** A call on credit is over: what upstream was not bothered with for nothing is given back. */
function settle(callCredit: CallCredit, bringsBack: boolean): void {
  const { client } = callCredit;
  if (!callCredit.goOn) {
    if (bringsBack) client.credit = Math.min(BURST, client.credit + 1);
    return;
  }
  callCredit.goOn = undefined;
  client.waiting -= 1;
  if (client.queue.length > 2 * client.waiting + ROOM) client.queue = client.queue.filter(({ goOn }) => goOn);
}

/** Lets those go on for whom there is credit. */
function begin(client: Client): void {
  let next = 0;
  for (; next < client.queue.length && client.credit >= 1; next += 1) {
    const callCredit = client.queue[next];
    const goOn = callCredit?.goOn;
    if (!callCredit || !goOn) continue;
    callCredit.goOn = undefined;
    client.waiting -= 1;
    client.credit -= 1;
    goOn();
  }
  client.queue.splice(0, next);
}

function ignore(): void {}

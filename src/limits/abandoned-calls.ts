import { LRUCache } from 'lru-cache';
import { type Principal, sharerOf } from '../identity/principal.ts';
import { type FaultReport, Guard } from '../lifetime/guard.ts';
import { clientNetworkOf } from './peer-address.ts';

/** Calls that one client may cancel within `YOUNG_MS`: the burst, and the refill per second. */
const BURST = 500;
const PER_SECOND = 125;
/** Milliseconds after which cancelling a call is not counted. */
const YOUNG_MS = 1000;
/** Clients remembered; the least recently used is evicted first. */
const REMEMBERED = 10_000;
/** Milliseconds between checks of the waiting calls. */
const LOOK_MS = 20;
/** The queue is compacted when it has this many entries more than twice its waiting calls. */
const SLACK = 64;

/** One call on credit: it waits while `resume` is set, and is upstream afterwards. */
export interface CallCredit {
  readonly client: Client;
  resume: (() => void) | undefined;
}

/** The fields of an exchange that this limit reads. */
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
  /** Calls left, as of `at` (monotonic milliseconds). */
  credit: number;
  at: number;
  /** First in, first out. Cancelled entries stay until the queue is compacted. */
  queue: CallCredit[];
  waiting: number;
}

/**
 * Limits calls that are cancelled before they are answered. Each of them makes upstream begin work for nothing and frees
 * its stream at once, so a limit of concurrent streams does not hold them, nor does one per connection. They are counted
 * per credential and client network. A caller without credit waits: each of its calls goes upstream when there is credit
 * for it, and returns the credit when it is answered.
 *
 * Clients that share a credential and a network share the credit. Other clients are not affected.
 */
export class AbandonedCalls {
  readonly #now: () => number;
  readonly #clients = new LRUCache<string, Client>({ max: REMEMBERED });
  readonly #names = new WeakMap<Principal, number>();
  #named = 0;
  /** Clients that ran out of credit, until it is full again. While there are none, no client is looked up. */
  readonly #debtors = new Map<string, Client>();
  readonly #guard: Guard;
  #timer: NodeJS.Timeout | undefined;

  /** @param now monotonic milliseconds, the clock of `forwardedAt` */
  constructor(now: () => number, report: FaultReport = ignore) {
    this.#now = now;
    // After an exception the next tick goes on; each waiting call runs under its own guard.
    this.#guard = new Guard({ fail: ignore, cut: ignore }, 'exchange', report);
  }

  /** True = the call has to wait, and `wait` must follow. */
  mustWait(call: Call): boolean {
    if (this.#debtors.size === 0 || !call.principal) return false;
    const client = this.#debtors.get(this.#nameOf(call, call.principal));
    if (!client) return false;
    this.#refill(client);
    call.callCredit = { client, resume: undefined };
    if (client.waiting > 0 || client.credit < 1) return true;
    client.credit -= 1;
    return false;
  }

  /** Calls `resume` when there is credit for the call; never after its client has left. `resume` must not throw. */
  wait({ callCredit }: Call, resume: () => void): void {
    if (!callCredit) throw new TypeError('a call waits that need not');
    callCredit.resume = resume;
    callCredit.client.queue.push(callCredit);
    callCredit.client.waiting += 1;
  }

  /** The call is over. @param answered an answer had begun, upstream's or the gateway's */
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
    const sharer = sharerOf(principal);
    let number = this.#names.get(sharer);
    if (number === undefined) {
      this.#named += 1;
      number = this.#named;
      this.#names.set(sharer, number);
    }
    return `${number} ${clientNetworkOf(remote)}`;
  }
}

/** A call on credit is over: its credit is returned where upstream did no work in vain. */
function settle(callCredit: CallCredit, bringsBack: boolean): void {
  const { client } = callCredit;
  if (!callCredit.resume) {
    if (bringsBack) client.credit = Math.min(BURST, client.credit + 1);
    return;
  }
  callCredit.resume = undefined;
  client.waiting -= 1;
  if (client.queue.length > 2 * client.waiting + SLACK) client.queue = client.queue.filter(({ resume }) => resume);
}

/** Starts waiting calls while there is credit. */
function begin(client: Client): void {
  let next = 0;
  for (; next < client.queue.length && client.credit >= 1; next += 1) {
    const callCredit = client.queue[next];
    const resume = callCredit?.resume;
    if (!callCredit || !resume) continue;
    callCredit.resume = undefined;
    client.waiting -= 1;
    client.credit -= 1;
    resume();
  }
  client.queue.splice(0, next);
}

function ignore(): void {}

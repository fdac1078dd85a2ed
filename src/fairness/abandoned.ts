import { LRUCache } from 'lru-cache';
import type { Principal } from '../identity/principal.ts';
import { clientNetworkOf } from '../peer-address.ts';

/** Calls that one client may give up young: at once, and a second after that. */
const BURST = 500;
const PER_SECOND = 125;
/** Milliseconds after which giving a call up is nothing to remark on. */
const YOUNG_MS = 1000;
/** Clients that are remembered; the longest unheard of go first. */
const REMEMBERED = 10_000;
/** Milliseconds between looks at those who wait. */
const LOOK_MS = 20;

/** What has to be known of a request and its answer. */
export interface Call {
  readonly remote: string;
  readonly principal: Principal | undefined;
  /** Monotonic milliseconds; 0 = never sent upstream. */
  readonly forwardedAt: number;
}

interface Client {
  /** What is left, as of `at`. */
  credit: number;
  at: number;
  /** Calls that wait, in turn, and what lets each go on. */
  readonly waiting: Map<Call, () => void>;
}

/**
 * Calls that were given up before they were answered. Each had upstream begin work for nothing, and freed its stream at
 * once, so that no limit of open calls holds them; a new connection has new limits besides. So they are counted for the
 * caller: one credential at one address. Who has used up its credit waits: each of its calls goes upstream when there is
 * credit for it, and brings it back when it is answered.
 *
 * Those who use the same credential behind the same address share this; nobody else notices.
 */
export class Abandoned {
  readonly #now: () => number;
  readonly #clients = new LRUCache<string, Client>({ max: REMEMBERED });
  readonly #names = new WeakMap<Principal, number>();
  #named = 0;
  /** Those without credit, until they have all of it again. Nobody is looked up while there are none. */
  readonly #debtors = new Map<string, Client>();
  /** Calls that went upstream on credit, or wait for it. */
  readonly #onCredit = new WeakSet<Call>();
  #timer: NodeJS.Timeout | undefined;

  /** @param now monotonic milliseconds, the clock of `forwardedAt` */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** May the call go on? `undefined` = now, otherwise when there is credit for it; never, if its client leaves before. */
  readonly pace = (call: Call): Promise<void> | undefined => {
    if (this.#debtors.size === 0 || !call.principal) return undefined;
    const debtor = this.#debtors.get(this.#nameOf(call, call.principal));
    if (!debtor) return undefined;
    this.#refill(debtor);
    this.#onCredit.add(call);
    if (debtor.waiting.size === 0 && debtor.credit >= 1) {
      debtor.credit -= 1;
      return undefined;
    }
    return new Promise((resolve) => debtor.waiting.set(call, resolve));
  };

  /** The call is over. @param answered somebody has said something to it */
  readonly ended = (call: Call, answered: boolean): void => {
    if (!call.principal) return;
    if (this.#debtors.size > 0 && this.#onCredit.delete(call)) {
      this.#settle(call, call.principal, answered);
      return;
    }
    const given = call.forwardedAt !== 0 && !answered && this.#now() - call.forwardedAt < YOUNG_MS;
    if (given) this.#charge(this.#nameOf(call, call.principal));
  };

  #charge(name: string): void {
    const client = this.#clients.get(name) ?? { credit: BURST, at: this.#now(), waiting: new Map() };
    this.#clients.set(name, client);
    this.#refill(client);
    client.credit = Math.max(0, client.credit - 1);
    if (client.credit >= 1) return;
    this.#debtors.set(name, client);
    this.#timer ??= setInterval(this.#look, LOOK_MS).unref();
  }

  /** A call on credit is over: what upstream was not bothered with for nothing is given back. */
  #settle(call: Call, principal: Principal, answered: boolean): void {
    const debtor = this.#debtors.get(this.#nameOf(call, principal));
    if (!debtor || debtor.waiting.delete(call)) return;
    if (answered || call.forwardedAt === 0) debtor.credit = Math.min(BURST, debtor.credit + 1);
  }

  #refill(client: Client): void {
    const now = this.#now();
    client.credit = Math.min(BURST, client.credit + ((now - client.at) / 1000) * PER_SECOND);
    client.at = now;
  }

  readonly #look = (): void => {
    for (const [name, debtor] of this.#debtors) {
      this.#refill(debtor);
      for (const [call, goOn] of debtor.waiting) {
        if (debtor.credit < 1) break;
        debtor.credit -= 1;
        debtor.waiting.delete(call);
        goOn();
      }
      if (debtor.credit >= BURST) this.#debtors.delete(name);
    }
    if (this.#debtors.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  };

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

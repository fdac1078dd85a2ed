import { LRUCache } from 'lru-cache';
import { CredentialGuessing } from './credential-guessing.ts';
import { type Rate, Spacing } from './spacing.ts';

/** Refusals of one caller without delay: a burst of 200, then 100 a second. */
const RATE: Rate = { everyMs: 10, ahead: 200, longestMs: 1000 };
/** Callers remembered; the least recently used is evicted first, and begins anew. */
const REMEMBERED = 10_000;
/** Part of the streams of one connection that waiting refusals may have. */
const STREAMS_SHARE = 0.5;
/** Milliseconds for which a connection that two callers used counts as shared. */
const SHARED_MS = 10_000;

/** The caller of a request, as limits know it. */
export interface PacedCaller {
  readonly keyId: string;
  readonly subject: string | undefined;
}

/** A connection with several requests at once. */
interface SharedConnection {
  /** Streams that it may have open. */
  readonly maxStreams: number;
  /** Does not read it for a moment. */
  slowDown(): void;
}

/**
 * The refusals that wait on one connection with several requests at once. They have at most half of its streams, so that
 * other callers of the connection, behind a proxy, always find one.
 */
export class RefusalSlots {
  /** The wrong credentials of the connection. */
  readonly guesses = new CredentialGuessing();
  readonly #connection: SharedConnection;
  #held = 0;
  #last: PacedCaller | undefined;
  #seenAt = Number.NEGATIVE_INFINITY;
  #sharedAt = Number.NEGATIVE_INFINITY;

  constructor(connection: SharedConnection) {
    this.#connection = connection;
  }

  /** Refusals that wait. */
  get held(): number {
    return this.#held;
  }

  /** A request of this caller came on the connection. @param now milliseconds */
  seen(caller: PacedCaller, now: number): void {
    this.#seenAt = now;
    const last = this.#last;
    if (last?.keyId === caller.keyId && last.subject === caller.subject) return;
    if (last) this.#sharedAt = now;
    this.#last = caller;
  }

  /**
   * `false` = the refusal is to be answered at once. The connection is not read for a moment then, unless other callers use it.
   *
   * @param isKnown the caller is known, and alone if no other one was seen; next to a stranger every caller is another one
   */
  take(now: number, isKnown: boolean): boolean {
    if (this.#held >= this.#connection.maxStreams * STREAMS_SHARE) {
      if (now - (isKnown ? this.#sharedAt : this.#seenAt) >= SHARED_MS) this.#connection.slowDown();
      return false;
    }
    this.#held += 1;
    return true;
  }

  /** A refusal waits no more. */
  give(): void {
    this.#held -= 1;
  }
}

/** The fields of a refused exchange that its delay depends on. */
export interface RefusedExchange {
  readonly principal: PacedCaller | undefined;
  readonly refusalSlots?: RefusalSlots | undefined;
  /** Wrong credentials of its connection or client. */
  readonly guesses?: CredentialGuessing | undefined;
  /** Most milliseconds that its client waits for an answer; `undefined` = not known. */
  readonly patienceMs?: number | undefined;
}

/** A refusal that waits. */
interface Waiting {
  readonly answer: () => void;
  readonly slots: RefusalSlots | undefined;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Delays the refusals of callers that go on asking over a limit, and of strangers that present one wrong credential after the
 * other, by up to a second, so that they take little processor time from others: a refusal costs its caller nothing, and the next
 * request would follow at once. Callers that wait for `retry-after` are answered at once.
 *
 * Each caller has a pace of its own, each connection one for wrong credentials. INVARIANT: a refusal that waits holds its request alone: nothing of its body is kept, and over
 * HTTP/2 its share of the streams is bounded (`RefusalSlots`). Over HTTP/1.1 it is the one open request of its connection.
 */
export class RefusalPacing {
  readonly #now: () => number;
  readonly #later: (ms: number, work: () => void) => NodeJS.Timeout;
  readonly #callers = new LRUCache<string, Spacing>({ max: REMEMBERED });
  readonly #waiting = new Map<object, Waiting>();
  #over = false;

  /** @param now monotonic milliseconds @param later sets a timer; what it runs must not throw */
  constructor(now: () => number, later: (ms: number, work: () => void) => NodeJS.Timeout) {
    this.#now = now;
    this.#later = later;
  }

  /** Refusals that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Counts a refusal of a limit. Returns the milliseconds that its answer has to wait; above 0 `hold` must follow. */
  refused(exchange: RefusedExchange): number {
    const { principal } = exchange;
    if (this.#over || !principal) return 0;
    const now = this.#now();
    const name = `${principal.keyId} ${principal.subject ?? ''}`;
    const spacing = this.#callers.get(name) ?? new Spacing(RATE);
    this.#callers.set(name, spacing);
    return delayOf(exchange, spacing.next(now), now);
  }

  /** Counts a wrong credential; otherwise as `refused`. */
  guessed(exchange: RefusedExchange): number {
    if (this.#over || !exchange.guesses) return 0;
    const now = this.#now();
    return delayOf(exchange, exchange.guesses.refused(now), now);
  }

  /** Calls `answer` after the delay that `refused` or `guessed` told, unless the exchange has ended before. @param answer must not throw */
  hold(exchange: RefusedExchange, delayMs: number, answer: () => void): void {
    const timer = this.#later(delayMs, () => this.#release(exchange));
    this.#waiting.set(exchange, { answer, slots: exchange.refusalSlots, timer });
  }

  /** The exchange has ended. */
  ended(exchange: object): void {
    if (this.#waiting.size > 0) this.#take(exchange);
  }

  /** Answers all that wait: the policy has changed. */
  releaseAll(): void {
    for (const exchange of [...this.#waiting.keys()]) this.#release(exchange);
  }

  /** Answers all that wait; from now on none does. */
  close(): void {
    this.#over = true;
    this.releaseAll();
  }

  #release(exchange: object): void {
    this.#take(exchange)?.answer();
  }

  #take(exchange: object): Waiting | undefined {
    const waiting = this.#waiting.get(exchange);
    if (!waiting) return undefined;
    this.#waiting.delete(exchange);
    clearTimeout(waiting.timer);
    waiting.slots?.give();
    return waiting;
  }
}

/** Milliseconds for which the answer waits; 0 = there is no place for another one that waits. */
function delayOf({ principal, refusalSlots, patienceMs }: RefusedExchange, delay: number, now: number): number {
  if (delay <= 0 || (refusalSlots && !refusalSlots.take(now, principal !== undefined))) return 0;
  // An answer that comes when its client has given up is none.
  return Math.max(1, Math.min(delay, (patienceMs ?? Number.POSITIVE_INFINITY) / 2));
}

import type { Limits } from '../../config/schema.ts';
import { bodyDeadline } from '../time-limits.ts';

const NEVER = Number.POSITIVE_INFINITY;

type TimeLimit = 'header_timeout_ms' | 'keep_alive_timeout_ms' | 'stream_idle_timeout_ms' | 'body_idle_timeout_ms';

/** The listener's clock and limits. */
interface TimesContext {
  readonly clock: { readonly now: number };
  readonly options: { readonly limits: Pick<Limits, TimeLimit> };
}

/**
 * The time limits of one client connection. One time runs for what is waited for, which replaces the one before, and one
 * of its own while the client takes none of its answer. Times in milliseconds of the listener's clock.
 */
export class ClientTimes {
  readonly #context: TimesContext;
  #deadline: number;
  /** When a client that takes none of its answer is given up. */
  #drainDeadline = NEVER;
  /** Bytes of a head have come, or the connection is new: the time for it runs. */
  #headBegun = true;
  /** Bytes of its last answer that an idle client had not taken when last looked at: while they become fewer it is busy. */
  #owed = 0;

  /** A new connection: the time for its first head runs. */
  constructor(context: TimesContext) {
    this.#context = context;
    this.#deadline = context.clock.now + context.options.limits.header_timeout_ms;
  }

  /** Has the time run out? If so, none runs any more. */
  expire(now: number): boolean {
    if (now < this.#deadline) return false;
    this.#deadline = NEVER;
    return true;
  }

  /** Nothing is waited for. */
  clear(): void {
    this.#deadline = NEVER;
  }

  /** Nothing is waited for any more, not even that the client takes its answer. */
  stop(): void {
    this.#deadline = NEVER;
    this.#drainDeadline = NEVER;
  }

  /** A part of a head is there. */
  awaitHead(): void {
    if (!this.#headBegun) this.#deadline = this.#context.clock.now + this.#context.options.limits.header_timeout_ms;
    this.#headBegun = true;
  }

  get isHeadBegun(): boolean {
    return this.#headBegun;
  }

  /** A request and its answer are over. */
  awaitRequest(): void {
    this.#deadline = this.#context.clock.now + this.#context.options.limits.keep_alive_timeout_ms;
    this.#headBegun = false;
    this.#owed = 0;
  }

  /** More time for an idle client, while it takes of its last answer. `false` = it does not. @param owed bytes not taken */
  goOnTaking(owed: number): boolean {
    if (this.#owed === owed) return false;
    this.#owed = owed;
    this.awaitEnd();
    return true;
  }

  /** More of a request's body. */
  awaitBody(exchange: { readonly principal: unknown }): void {
    this.#deadline = bodyDeadline(exchange, this.#context);
  }

  /** The rest of a body that nothing needs, until then. */
  awaitRest(deadline: number): void {
    this.#deadline = deadline;
  }

  /** The last bytes to the client have to leave. */
  awaitEnd(): void {
    this.#deadline = this.#context.clock.now + this.#context.options.limits.stream_idle_timeout_ms;
  }

  /** The client takes none of its answer for now. */
  awaitDrain(): void {
    this.#drainDeadline = this.#context.clock.now + this.#context.options.limits.stream_idle_timeout_ms;
  }

  drained(): void {
    this.#drainDeadline = NEVER;
  }

  get awaitsDrain(): boolean {
    return this.#drainDeadline !== NEVER;
  }

  isDrainOver(now: number): boolean {
    return now >= this.#drainDeadline;
  }
}

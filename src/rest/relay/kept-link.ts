import type { PooledUpstream, UpstreamPool, UpstreamUser } from './upstream-pool.ts';

/** The upstream connection of a client connection: taken with a request, and kept while the client is busy. */
export class KeptLink {
  readonly #pool: UpstreamPool;
  readonly #user: UpstreamUser;
  #current: PooledUpstream | undefined;

  constructor(pool: UpstreamPool, user: UpstreamUser) {
    this.#pool = pool;
    this.#user = user;
  }

  /** `undefined` = it has none. */
  get current(): PooledUpstream | undefined {
    return this.#current;
  }

  /** For the next request. */
  take(): PooledUpstream {
    this.#current ??= this.#pool.take(this.#user);
    return this.#current;
  }

  /** @param whole the last request was sent to its end; else the connection ends */
  release(whole: boolean): void {
    const current = this.#current;
    this.#current = undefined;
    if (current) this.#pool.release(current, whole);
  }
}

import type { ClientUpstream, RelayPool, UpstreamUser } from './upstream-pool.ts';

/** The upstream connection of a client connection: taken with a request, and kept while the client is busy. */
export class KeptLink {
  readonly #pool: RelayPool;
  readonly #user: UpstreamUser;
  #current: ClientUpstream | undefined;

  constructor(pool: RelayPool, user: UpstreamUser) {
    this.#pool = pool;
    this.#user = user;
  }

  /** `undefined` = it has none. */
  get current(): ClientUpstream | undefined {
    return this.#current;
  }

  /** For the next request. */
  take(): ClientUpstream {
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

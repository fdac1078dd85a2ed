/** A client's way to upstream, whose writes can be gathered. */
interface Gathering {
  readonly link: {
    /** `false` = what is written to it is gathered already. */
    hold(): boolean;
    letGo(): void;
  };
}

/** Upstream connections whose writes are gathered, for one write each. */
export abstract class GatheredWrites {
  readonly #held: Gathering[] = [];

  /** Something was gathered since `flush`. */
  get held(): boolean {
    return this.#held.length > 0;
  }

  /** Gathers what is written to `one` until `flush`. */
  hold(one: Gathering): void {
    if (one.link.hold()) this.#held.push(one);
  }

  /** Writes what was gathered. */
  flush(): void {
    for (const { link } of this.#held) link.letGo();
    this.#held.length = 0;
  }
}

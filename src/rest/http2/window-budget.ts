/** Bytes that the connections of a listener may be granted beyond what every connection begins with. */
const CAPACITY = 67_108_864;

/** The memory that wide windows may take: of all connections of a listener together. */
export class WindowBudget {
  readonly #bytes: number;
  #left: number;

  /** @param bytes default: 64 MiB */
  constructor(bytes = CAPACITY) {
    this.#bytes = bytes;
    this.#left = bytes;
  }

  /** Bytes that were taken and not given back. */
  get taken(): number {
    return this.#bytes - this.#left;
  }

  /** Takes `bytes`, or as many as are left. To be given back with `give`. */
  take(bytes: number): number {
    const taken = Math.min(bytes, this.#left);
    this.#left -= taken;
    return taken;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

/** Part of the room that one owner may have. */
const OWN_SHARE = 0.5;

/** The memory for messages that are held whole, common to all connections of a process. */
export class MessageRoom {
  readonly #most: number;
  readonly #byOwner = new Map<unknown, number>();
  #used = 0;

  /** @param most bytes */
  constructor(most: number) {
    this.#most = most;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /** Takes bytes for an owner; `false` = there is not enough, and nothing is taken. */
  take(owner: unknown, bytes: number): boolean {
    const own = this.#byOwner.get(owner) ?? 0;
    if (this.#used + bytes > this.#most || own + bytes > this.#most * OWN_SHARE) return false;
    this.#used += bytes;
    this.#byOwner.set(owner, own + bytes);
    return true;
  }

  /** Gives bytes back. */
  give(owner: unknown, bytes: number): void {
    const left = (this.#byOwner.get(owner) ?? 0) - bytes;
    this.#used -= bytes;
    if (left > 0) this.#byOwner.set(owner, left);
    else this.#byOwner.delete(owner);
  }
}

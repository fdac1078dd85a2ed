/**
 * A body whose request is answered already is read on and thrown away, so that a client which writes before it reads gets
 * its answer (natively it does). Nothing of it is kept. These are the bounds for one body; past them the stream or the
 * connection ends.
 */
export const LINGER_BYTES = 134_217_728;
/** Bytes that each piece of it counts for at least: what a piece of one byte costs is not its byte. */
export const PIECE_BYTES = 1_024;
/** Longest pause of the client in it, in milliseconds: of a stranger, and where a credential is known. */
export const LINGER_IDLE_MS = 5_000;
export const KNOWN_LINGER_IDLE_MS = 30_000;
/** Longest time for all of it, in milliseconds. */
export const LINGER_MS = 120_000;
/** Past the bound in bytes nothing more is taken, and the client has this long to read its answer, in milliseconds. */
export const LAST_LOOK_MS = 1_000;
/** A body that was timed out: the rest of it is waited for no longer than this pause, in milliseconds. */
export const TIMED_OUT = 408;

/**
 * Can the connection go on behind the rest of such a body, once that has been thrown away?
 *
 * @param length of the body in bytes; `undefined` = it is not known
 */
export function isSwallowed(length: number | undefined): boolean {
  return length === undefined || length <= LINGER_BYTES;
}

/** The rest of these bounds for one body. Times in milliseconds of the caller's clock. */
export class Linger {
  readonly #endsAt: number;
  readonly #idleMs: number;
  #left = LINGER_BYTES;
  #idleAt: number;

  /** @param known the caller has a credential */
  constructor(now: number, known: boolean) {
    this.#idleMs = known ? KNOWN_LINGER_IDLE_MS : LINGER_IDLE_MS;
    this.#endsAt = now + LINGER_MS;
    this.#idleAt = now + this.#idleMs;
  }

  /** When to give up, unless more comes before. */
  get deadline(): number {
    return Math.min(this.#endsAt, this.#idleAt);
  }

  /** So many bytes came in one piece. `false` = no more are taken; `deadline` is the last look then. */
  take(size: number, now: number): boolean {
    this.#left -= Math.max(size, PIECE_BYTES);
    this.#idleAt = now + (this.#left > 0 ? this.#idleMs : LAST_LOOK_MS);
    return this.#left > 0;
  }
}

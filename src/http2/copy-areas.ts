/** Size of one area, in bytes. */
const AREA_BYTES = 65_536;
/** A burst begins in an area with at least this much free space, so that it rarely needs two writes. */
const BURST_BYTES = 24_576;
/** Areas kept for reuse. */
const KEPT_AREAS = 16;

/** Memory that small pieces are copied into consecutively before they are written. */
export class CopyArea {
  readonly bytes = Buffer.allocUnsafeSlow(AREA_BYTES);
  used = 0;
  /** Number of holders: one per unwritten burst in it. */
  holders = 0;

  hold(): this {
    this.holders += 1;
    return this;
  }
}

/**
 * The areas of one thread, shared by all connections.
 *
 * INVARIANT: an area is reused only after every holder has released it, that is when all writes from it have succeeded.
 * An area of a failed or dropped write is never released; it is left to the garbage collector.
 */
export class CopyAreas {
  #current = new CopyArea();
  readonly #free: CopyArea[] = [];

  /**
   * The current area with space for `size` bytes (at most 64 KiB). @param isFirst the piece is the first of its burst
   */
  withRoom(size: number, isFirst: boolean): CopyArea {
    const left = AREA_BYTES - this.#current.used;
    if (size <= left && (!isFirst || left >= BURST_BYTES)) return this.#current;
    const filled = this.#current;
    this.#current = this.#free.pop() ?? new CopyArea();
    if (filled.holders === 0) this.#keep(filled);
    return this.#current;
  }

  release(area: CopyArea): void {
    area.holders -= 1;
    if (area.holders === 0 && area !== this.#current) this.#keep(area);
  }

  #keep(area: CopyArea): void {
    if (this.#free.length >= KEPT_AREAS) return;
    area.used = 0;
    this.#free.push(area);
  }
}

export const copyAreas = new CopyAreas();

/** Bytes of one area. */
const AREA_BYTES = 65_536;
/** A burst begins in an area with at least this much room, so that it seldom becomes two writes. */
const BURST_BYTES = 24_576;
/** Areas kept for reuse. */
const KEPT_AREAS = 16;

/** Memory that small pieces are copied into, one after the other, before they are written. */
export class CopyArea {
  readonly bytes = Buffer.allocUnsafeSlow(AREA_BYTES);
  used = 0;
  /** Holders: one for each burst that lies in it and has not been written. */
  holders = 0;

  hold(): this {
    this.holders += 1;
    return this;
  }
}

/**
 * The areas of one thread, shared by all connections.
 *
 * INVARIANT: an area is used again only when every holder has released it, that is when all writes from it have succeeded.
 * An area of a failed or dropped write is never released; the garbage collector takes it.
 */
export class CopyAreas {
  #current = new CopyArea();
  readonly #free: CopyArea[] = [];

  /** The current area, with room for `size` bytes (at most 64 KiB). @param isFirst the piece is the first of its burst */
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

import { DepthMeter } from '../json/depth.ts';
import { Linger } from './linger.ts';

/** The body of the request that a connection of the relay is at, as far as it was not there with the head. */
export class RelayBody {
  /** Bytes that have not come yet. */
  left = 0;
  #meter: DepthMeter | undefined;
  /** For the rest of it once the request is answered. */
  #linger = new Linger(0, false);

  /** Measures what comes. @param maxDepth levels it may nest; `undefined` = it is not measured */
  measure(maxDepth: number | undefined): void {
    this.#meter = maxDepth === undefined ? undefined : new DepthMeter(maxDepth);
  }

  /** Does it still nest no deeper than it may, with these bytes? */
  nestsWithin(part: Buffer): boolean {
    return this.#meter?.push(part) !== false;
  }

  /** What of `chunk` belongs to the body; it counts as come. */
  take(chunk: Buffer): Buffer {
    const part = chunk.length > this.left ? chunk.subarray(0, this.left) : chunk;
    this.left -= part.length;
    return part;
  }

  /** The request is answered: from now on the rest is thrown away within bounds. @param known the caller has a credential */
  linger(now: number, known: boolean): void {
    this.#linger = new Linger(now, known);
  }

  /** So many bytes of the rest came. `false` = no more are taken. */
  skip(size: number, now: number): boolean {
    return this.#linger.take(size, now);
  }

  /** When the rest is given up, unless more comes before. */
  get deadline(): number {
    return this.#linger.deadline;
  }
}

import { DepthMeter } from '../../json/depth.ts';
import { Linger } from '../http1/linger.ts';

/** The body of the request that a connection of the relay is at, as far as it was not there with the head. */
export class RelayBody {
  /** Bytes that have not come yet. */
  left = 0;
  /** Upstream, or what throws the rest away, takes more for now. */
  wanted = true;
  #meter: DepthMeter | undefined;
  /** For the rest of it once the request is answered. */
  #linger = new Linger(0, false);

  /** @param length as announced @param come bytes of it that were there with the head */
  begin(length: number, come: number): void {
    this.left = length - come;
    this.wanted = true;
  }

  /** Measures what comes. @param maxDepth levels it may nest; `undefined` = it is not measured */
  measure(maxDepth: number | undefined): void {
    this.#meter = maxDepth === undefined ? undefined : new DepthMeter(maxDepth);
  }

  /** Does it still nest no deeper than it may, with these bytes? */
  nestsWithin(part: Buffer): boolean {
    return this.#meter?.push(part) !== false;
  }

  /** The part of `chunk` that belongs to the body, counted as received. */
  take(chunk: Buffer): Buffer {
    const part = chunk.length > this.left ? chunk.subarray(0, this.left) : chunk;
    this.left -= part.length;
    return part;
  }

  /**
   * The request is answered: from now on the rest is thrown away within bounds. Gives the time when it is given up.
   *
   * @param known the caller has a credential
   */
  linger(now: number, known: boolean): number {
    this.#linger = new Linger(now, known);
    this.wanted = true;
    return this.#linger.deadline;
  }

  /** So many bytes of the rest came. Gives the time when it is given up, unless more comes before. */
  skip(size: number, now: number): number {
    this.wanted = this.#linger.take(size, now);
    return this.#linger.deadline;
  }
}

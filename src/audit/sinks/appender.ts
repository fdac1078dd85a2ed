import type { FileHandle } from 'node:fs/promises';
import type { Written } from './sink.ts';

const EMPTY = Buffer.alloc(0);

/** Appends lines to a file completely: a short write is continued where it stopped. */
export class Appender {
  #left: Buffer = EMPTY;
  /** End offsets of the lines in `#left`. */
  #ends: readonly number[] = [];

  /** True = no write is pending. */
  get isIdle(): boolean {
    return this.#left.length === 0;
  }

  /** Begins with these lines, each without its line break. Only while idle. */
  begin(lines: readonly string[]): number {
    let at = 0;
    const ends: number[] = [];
    for (const line of lines) {
      at += Buffer.byteLength(line) + 1;
      ends.push(at);
    }
    this.#ends = ends;
    this.#left = Buffer.from(`${lines.join('\n')}\n`);
    return this.#left.length;
  }

  /** Continues writing. `done` counts the lines completed in the file since the last call. */
  async write(file: FileHandle): Promise<Written> {
    let at = 0;
    try {
      while (at < this.#left.length) {
        const { bytesWritten } = await file.write(this.#left, at, this.#left.length - at);
        at += bytesWritten;
        if (bytesWritten === 0) return { done: this.#advance(at), fault: 'nothing was written' };
      }
    } catch (error) {
      return { done: this.#advance(at), fault: faultOf(error) };
    }
    return { done: this.#advance(at) };
  }

  #advance(bytes: number): number {
    const done = this.#ends.filter((end) => end <= bytes).length;
    this.#left = this.#left.subarray(bytes);
    this.#ends = this.#ends.slice(done).map((end) => end - bytes);
    return done;
  }
}

/** The system code of an error. Messages are not shown. */
export function faultOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.name : 'unknown error';
}

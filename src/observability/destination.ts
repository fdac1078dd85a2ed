import { constants, fstatSync, openSync, writeSync } from 'node:fs';

/** Destination of log lines. Never blocks, has bounded memory, does not keep the process alive. */
export interface Destination {
  /** Writes a text that ends in a line break. Dropped and counted if the buffer is full. */
  readonly write: (text: string) => void;
  /** Flushes the buffer synchronously, for at most `milliseconds`. */
  readonly flush: (milliseconds: number) => void;
  /** Number of lines dropped so far. */
  readonly dropped: () => number;
}

/** Size of the buffer, in bytes. */
const MAX_WAITING = 1_048_576;
/** Largest single write, in bytes. */
const MAX_WRITE = 65_536;
const RETRY_MS = 20;
const NAP_MS = 5;

/** Writes bytes. Returns the number written, throws the errors of `node:fs`. */
export type WriteBytes = (bytes: Buffer) => number;

/**
 * A destination over a non-blocking write (`EAGAIN`). Other errors drop the bytes: a log that cannot be written does
 * not end the process.
 */
export function createDestination(write: WriteBytes, maxWaiting = MAX_WAITING): Destination {
  const buffer = new LineBuffer(write, maxWaiting);
  return {
    write: (text) => buffer.write(Buffer.from(text)),
    flush: (milliseconds) => buffer.flush(milliseconds),
    dropped: () => buffer.dropped,
  };
}

/** Lines that the descriptor has not accepted yet. */
class LineBuffer {
  readonly #write: WriteBytes;
  readonly #maxWaiting: number;
  readonly #waiting: Buffer[] = [];
  #bytes = 0;
  /** Dropped lines so far, and those of them that were not yet reported. */
  #dropped = 0;
  #untold = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(write: WriteBytes, maxWaiting: number) {
    this.#write = write;
    this.#maxWaiting = maxWaiting;
  }

  get dropped(): number {
    return this.#dropped;
  }

  write(piece: Buffer): void {
    if (this.#bytes + piece.length > this.#maxWaiting) {
      this.#drop(linesIn(piece));
      return;
    }
    this.#add(piece);
    if (this.#retry === undefined && !this.#push()) this.#pushLater();
  }

  flush(milliseconds: number): void {
    const end = performance.now() + milliseconds;
    while (!this.#push() && performance.now() < end) nap();
  }

  /** `false` = the descriptor accepts nothing now. */
  #push(): boolean {
    while (this.#bytes > 0) {
      const piece = this.#take();
      try {
        this.#putBack(piece.subarray(this.#write(piece)));
        if (this.#bytes === 0) this.#tell();
      } catch (error) {
        if (isBusy(error)) {
          this.#putBack(piece);
          return false;
        }
        this.#drop(linesIn(piece));
      }
    }
    clearTimeout(this.#retry);
    this.#retry = undefined;
    return true;
  }

  #pushLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      if (!this.#push()) this.#pushLater();
    }, RETRY_MS).unref();
  }

  /** Removes the first pieces, at most `MAX_WRITE` bytes unless the first one is larger. */
  #take(): Buffer {
    let size = 0;
    let count = 0;
    for (const one of this.#waiting) {
      if (count > 0 && size + one.length > MAX_WRITE) break;
      size += one.length;
      count += 1;
    }
    this.#bytes -= size;
    return Buffer.concat(this.#waiting.splice(0, count), size);
  }

  #putBack(rest: Buffer): void {
    if (rest.length === 0) return;
    this.#waiting.unshift(rest);
    this.#bytes += rest.length;
  }

  #drop(lines: number): void {
    this.#dropped += lines;
    this.#untold += lines;
  }

  /** INVARIANT: all dropped lines are reported in one line, once the descriptor accepts bytes again. */
  #tell(): void {
    if (this.#untold === 0) return;
    const line = { level: 'warn', time: new Date().toISOString(), lines: this.#untold, msg: 'log lines were lost' };
    const text = `${JSON.stringify(line)}\n`;
    this.#untold = 0;
    this.#add(Buffer.from(text));
  }

  #add(piece: Buffer): void {
    this.#waiting.push(piece);
    this.#bytes += piece.length;
  }
}

function linesIn(piece: Buffer): number {
  let lines = 0;
  for (const byte of piece) if (byte === 0x0a) lines += 1;
  return Math.max(lines, 1);
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EAGAIN' || error.code === 'EBUSY');
}

function nap(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, NAP_MS);
}

const STDERR = 2;
/** Time for the last flush at the end of the process. */
const LAST_WORDS_MS = 250;
let stderr: Destination | undefined;

/** Standard error of this process, shared by all its writers. */
export function stderrDestination(): Destination {
  if (stderr) return stderr;
  const fd = withoutWaiting(STDERR);
  const made = createDestination((bytes) => writeSync(fd, bytes));
  process.once('exit', () => made.flush(LAST_WORDS_MS));
  stderr = made;
  return made;
}

/**
 * A non-blocking descriptor of the same file. Regular files never block. Pipes and terminals are reopened, so that
 * processes which share them are not affected. A file that cannot be reopened (a socket, a pipe of another user) is set
 * to non-blocking itself, as Node does with the standard streams on first use.
 */
function withoutWaiting(fd: number): number {
  try {
    if (fstatSync(fd).isFile()) return fd;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    void process.stderr;
    return fd;
  }
}

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
  const waiting: Buffer[] = [];
  let bytes = 0;
  let dropped = 0;
  /** Dropped lines that were not yet reported. */
  let untold = 0;
  let retry: NodeJS.Timeout | undefined;

  /** Removes the first pieces, at most `MAX_WRITE` bytes unless the first one is larger. */
  function take(): Buffer {
    let size = 0;
    let count = 0;
    for (const one of waiting) {
      if (count > 0 && size + one.length > MAX_WRITE) break;
      size += one.length;
      count += 1;
    }
    bytes -= size;
    return Buffer.concat(waiting.splice(0, count), size);
  }

  function putBack(rest: Buffer): void {
    if (rest.length === 0) return;
    waiting.unshift(rest);
    bytes += rest.length;
  }

  /** `false` = the descriptor accepts nothing now. */
  function push(): boolean {
    while (bytes > 0) {
      const piece = take();
      try {
        putBack(piece.subarray(write(piece)));
        if (bytes === 0) tell();
      } catch (error) {
        if (isBusy(error)) {
          putBack(piece);
          return false;
        }
        drop(linesIn(piece));
      }
    }
    clearTimeout(retry);
    retry = undefined;
    return true;
  }

  function drop(lines: number): void {
    dropped += lines;
    untold += lines;
  }

  /** INVARIANT: all dropped lines are reported in one line, once the descriptor accepts bytes again. */
  function tell(): void {
    if (untold === 0) return;
    const text = `${JSON.stringify({ level: 40, time: Date.now(), lines: untold, msg: 'log lines were lost' })}\n`;
    untold = 0;
    add(Buffer.from(text));
  }

  function add(piece: Buffer): void {
    waiting.push(piece);
    bytes += piece.length;
  }

  function pushLater(): void {
    retry ??= setTimeout(() => {
      retry = undefined;
      if (!push()) pushLater();
    }, RETRY_MS).unref();
  }

  return {
    write(text) {
      const piece = Buffer.from(text);
      if (bytes + piece.length > maxWaiting) {
        drop(linesIn(piece));
        return;
      }
      add(piece);
      if (retry === undefined && !push()) pushLater();
    },
    flush(milliseconds) {
      const end = performance.now() + milliseconds;
      while (!push() && performance.now() < end) nap();
    },
    dropped: () => dropped,
  };
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

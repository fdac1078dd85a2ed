import { constants, fstatSync, openSync, writeSync } from 'node:fs';

/** Where log lines go: never waits, never grows without end, never keeps the process from ending. */
export interface Destination {
  /** Takes a text that ends in a line break. Drops and counts it when too much waits already. */
  readonly write: (text: string) => void;
  /** Writes what waits, for at most `milliseconds`, during which nothing else runs. */
  readonly flush: (milliseconds: number) => void;
  /** Lines that were dropped so far. */
  readonly dropped: () => number;
}

/** Bytes that wait for a reader. */
const MAX_WAITING = 1_048_576;
/** Bytes written at once. */
const MAX_WRITE = 65_536;
const RETRY_MS = 20;
const NAP_MS = 5;

/** How bytes are written; returns how many were taken, throws what `node:fs` throws. */
export type WriteBytes = (bytes: Buffer) => number;

/**
 * A destination over a write that does not wait (`EAGAIN`). Other failures lose what was to be written: a log that cannot
 * be written is no reason to end.
 */
export function createDestination(write: WriteBytes, maxWaiting = MAX_WAITING): Destination {
  const waiting: Buffer[] = [];
  let bytes = 0;
  let dropped = 0;
  /** Of those, the ones that nobody has been told of. */
  let untold = 0;
  let retry: NodeJS.Timeout | undefined;

  /** Takes out the first pieces, at most `MAX_WRITE` bytes unless one alone is larger. */
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

  /** `false` = nobody takes anything now. */
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

  /** INVARIANT: one line for all that was lost, and only once there is a reader again. */
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
/** At the end of the process, a reader that is there has this long. */
const LAST_WORDS_MS = 250;
let stderr: Destination | undefined;

/** Standard error of this process, for everything that is written there. */
export function stderrDestination(): Destination {
  if (stderr) return stderr;
  const fd = withoutWaiting(STDERR);
  const made = createDestination((bytes) => writeSync(fd, bytes));
  process.once('exit', () => made.flush(LAST_WORDS_MS));
  stderr = made;
  return made;
}

/**
 * A descriptor for the same thing, of which a write never waits. Files never do. Pipes and terminals are opened anew, so
 * that who shares them is not affected. What cannot be opened anew (sockets, somebody else's pipe) is made so as it is,
 * which is what Node does with the standard streams as soon as they are used.
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

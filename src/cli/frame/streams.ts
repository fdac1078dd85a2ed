import { stderrDestination } from '../../observability/destination.ts';
import { exitCode } from '../exit-code.ts';
import { type Output, UsageError } from '../output.ts';

/** Most bytes of standard input by default. */
const STDIN_BYTES = 1_048_576;

const ending = new AbortController();
/** Until a command says otherwise nothing was changed: help and mistakes are only shown. */
let lossIsFailure = false;
let isWatched = false;
let isLost = false;

/** Aborts when the reader of standard output is gone. */
export const outputEnded: AbortSignal = ending.signal;

/**
 * Says how the command that runs takes the loss of standard output.
 *
 * @param changes it has changed something: its output may be the only copy of a key. Otherwise a reader that leaves, as
 * `head` does, is no failure
 */
export function tellLoss(changes: boolean): void {
  lossIsFailure = changes;
}

/** The streams of the process. */
export const processOutput: Output = {
  out: (text) => {
    if (!isWatched) process.stdout.on('error', explainLoss);
    isWatched = true;
    if (!isLost) process.stdout.write(text);
  },
  // The log's own destination: keeps the order with log lines, and a stalled reader does not block it.
  err: (text) => stderrDestination().write(text),
};

/** The reader is gone, or the disk is full. Said once; a key whose text went there has to be replaced or deleted. */
function explainLoss({ code = 'unknown error' }: NodeJS.ErrnoException): void {
  if (isLost) return;
  isLost = true;
  ending.abort();
  if (code === 'EPIPE' && !lossIsFailure) return;
  process.exitCode = exitCode.failure;
  const changed = lossIsFailure ? ': what the command has changed stays changed' : '';
  stderrDestination().write(`error: standard output takes nothing (${code})${changed}\n`);
}

/**
 * Standard input to its end, however slowly it comes: a pipe, a file or a terminal, where a line says that it is awaited. Throws
 * `UsageError` for more than `limit` bytes, and for bytes that are not UTF-8.
 */
export async function readStdin(limit: number = STDIN_BYTES): Promise<string> {
  if (process.stdin.isTTY) processOutput.err('reading standard input: end it with Ctrl-D\n');
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of process.stdin) {
    const bytes = Buffer.from(piece);
    length += bytes.length;
    if (length > limit) throw new UsageError(`standard input holds more than ${limit} bytes`);
    pieces.push(bytes);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces));
  } catch {
    throw new UsageError('standard input is not UTF-8 text');
  }
}

import { type Stamps, stampsOf } from './file-reads.ts';

/** Milliseconds between two looks at the files. */
const POLL_MS = 250;
/** Files that have just changed may be half written: they have to stand still for so long. */
const SETTLE_MS = 100;
/** A file that never stands still is read all the same after this. */
const SETTLE_AT_MOST_MS = 500;

/** Looks at files until it is stopped. */
export interface FileWatch {
  /** The files to look at from now on, and how they looked when they were read. */
  readonly expect: (stamps: Stamps) => void;
  readonly stop: () => void;
}

/**
 * Calls `changed` when a watched file is no longer as it was expected, or absent: changed in place, replaced, or reached
 * through a link that now points elsewhere (mounted Secrets). What it then looks like is what is expected from there on.
 *
 * By looking and not by notification: those follow no link, say nothing on network file systems, and lose a file that is
 * replaced.
 */
export function watchFiles(changed: () => void): FileWatch {
  let expected: Stamps = new Map();
  let settling: { readonly since: number; readonly stamps: Stamps } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const again = (delayMs: number): void => {
    if (stopped) return;
    timer = setTimeout(() => void look(), delayMs).unref();
  };

  const look = async (): Promise<void> => {
    const before = expected;
    const stamps = await stampsOf(before.keys());
    if (stopped) return;
    // Other files, or newly read ones, are expected since: what was seen says nothing of them.
    if (before !== expected || !differ(stamps, before)) {
      settling = undefined;
      again(POLL_MS);
      return;
    }
    const now = performance.now();
    const since = settling?.since ?? now;
    const still = settling !== undefined && !differ(stamps, settling.stamps);
    if (!still && now - since < SETTLE_AT_MOST_MS) {
      settling = { since, stamps };
      again(SETTLE_MS);
      return;
    }
    settling = undefined;
    expected = stamps;
    again(POLL_MS);
    changed();
  };

  again(POLL_MS);
  return {
    expect: (stamps) => {
      expected = stamps;
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function differ(stamps: Stamps, from: Stamps): boolean {
  return [...stamps].some(([path, stamp]) => from.get(path) !== stamp);
}

import { resolve } from 'node:path';
import { ConfigError } from '../problem.ts';
import { type LoadedState, StateError } from '../state.ts';
import { type Clock, machineClock } from './clock.ts';
import { type FileStat, fileProbe, sameStat, statFile } from './file-reads.ts';

/** A file changed within this time (milliseconds) may still be in the process of being written. */
const YOUNG_MS = 2_000;
/** Such a file must be unchanged for this long, in milliseconds. */
const STILL_MS = 500;
/** Longest wait of a start, in milliseconds. */
const AT_MOST_MS = 10_000;

type Stats = ReadonlyMap<string, FileStat | undefined>;

/**
 * Loads the initial state. Files are read at once, except those changed within the last two seconds: they must be
 * unchanged for half a second. Rejects with the error of `load` once the files are unchanged, and with a `ConfigError`
 * if they change for ten seconds.
 */
export async function loadSettled(load: () => LoadedState, clock: Clock = machineClock): Promise<LoadedState> {
  const end = clock.now() + AT_MOST_MS;
  for (;;) {
    const { stats, give } = attempt(load);
    const young = [...stats].filter(([, stat]) => stat && isYoung(stat, clock.wall())).map(([path]) => path);
    if (young.length === 0) return give();
    await clock.pause(STILL_MS);
    const moved = await movedOf(young, stats);
    if (moved.length === 0) return give();
    if (clock.now() >= end) {
      throw new ConfigError(moved.map((place) => ({ place, message: 'it is still being written' })));
    }
  }
}

async function movedOf(paths: readonly string[], stats: Stats): Promise<readonly string[]> {
  const moved = await Promise.all(
    paths.map(async (path) => (sameStat(stats.get(path), await fileProbe.stat(path)) ? [] : path)),
  );
  return moved.flat();
}

/** Loads once. `stats`: each file just before it was read; `give` returns the state, or throws the error. */
function attempt(load: () => LoadedState): { readonly stats: Stats; readonly give: () => LoadedState } {
  try {
    const state = load();
    const stats = new Map([...state.readings].map(([path, { stat }]) => [path, stat]));
    // Read later, by its own store.
    const { file } = state.config.gateway.revocation;
    if (file !== null) stats.set(resolve(file), statFile(resolve(file)));
    return { stats, give: () => state };
  } catch (error) {
    const readings = error instanceof StateError ? error.readings : new Map<string, never>();
    return {
      stats: new Map([...readings].map(([path, { stat }]) => [path, stat])),
      give: () => {
        throw error;
      },
    };
  }
}

/** A file that was renamed after it was written is complete. A time in the future is of another clock. */
function isYoung({ modifiedNs, changedNs }: FileStat, wallMs: number): boolean {
  return changedNs === modifiedNs && wallMs - Number(changedNs / 1_000_000n) < YOUNG_MS;
}

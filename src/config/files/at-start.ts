import { resolve } from 'node:path';
import { ConfigError } from '../problem.ts';
import { type LoadedState, StateError } from '../state.ts';
import { type Clock, machineClock } from './clock.ts';
import { type FileStat, fileProbe, sameStat, statFile } from './file-reads.ts';

/** Milliseconds: a file that was changed so lately may be one that is being written. */
const YOUNG_MS = 2_000;
/** So long it has to stand still then. */
const STILL_MS = 500;
/** A start waits no longer. */
const AT_MOST_MS = 10_000;

type Stats = ReadonlyMap<string, FileStat | undefined>;

/**
 * The state to start with. Files are taken as they are, but for those that were changed within the last two seconds: for
 * half a second they have to stand still. Rejects with what `load` throws, once the files stand still, and with a
 * `ConfigError` when they do not within ten seconds.
 */
export async function loadAtRest(load: () => LoadedState, clock: Clock = machineClock): Promise<LoadedState> {
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

/** Loads once. `looks`: each file just before it was read; `give` returns the state, or throws why there is none. */
function attempt(load: () => LoadedState): { readonly stats: Stats; readonly give: () => LoadedState } {
  try {
    const state = load();
    const stats = new Map([...state.readings].map(([path, { stat }]) => [path, stat]));
    // Read by its own store, a moment later.
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

/** One that was renamed since it was written is whole. A time ahead is that of another clock. */
function isYoung({ modifiedNs, changedNs }: FileStat, wallMs: number): boolean {
  return changedNs === modifiedNs && wallMs - Number(changedNs / 1_000_000n) < YOUNG_MS;
}

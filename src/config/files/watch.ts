import type { Clock } from './clock.ts';
import type { SettledFiles } from './settled-files.ts';

/** Milliseconds between two checks of the files. */
export const POLL_MS = 250;

/** Result of a change: `read`, valid or not, or `later` if the files must be unchanged for longer first. */
export type WatchResult = 'read' | 'later';

/**
 * Checks files periodically, and calls `settled` when changed files are settled; again after `later`, when they are
 * unchanged for longer. Never two calls at once.
 *
 * @param settled `lasting` = unchanged for long enough to be applied even if protection is missing
 */
export function watchFiles(
  files: SettledFiles,
  clock: Clock,
  settled: (lasting: boolean) => Promise<WatchResult>,
): { readonly stop: () => void } {
  let stopped = false;
  const watch = async (): Promise<void> => {
    /** True = a change was too recent to be read. */
    let early = false;
    let earlyPaths = '';
    for (let waitMs = POLL_MS; ; ) {
      await clock.idle(waitMs);
      if (stopped) return;
      const changes = await files.check();
      if (stopped) return;
      waitMs = Math.min(POLL_MS, changes.nextMs);
      if (changes.paths.length === 0 || !changes.settled) early = false;
      else if (!early || changes.lasting || earlyPaths !== changes.paths.join('\n')) {
        early = (await settled(changes.lasting)) === 'later';
        earlyPaths = changes.paths.join('\n');
      }
    }
  };
  void watch();
  return {
    stop: () => {
      stopped = true;
    },
  };
}

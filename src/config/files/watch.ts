import type { Clock } from './clock.ts';
import type { SettledFiles } from './settled-files.ts';

/** Milliseconds between two looks at the files. */
export const POLL_MS = 250;

/** The outcome of a change: `read`, valid or not, or `later` where the files must be unchanged for longer first. */
export type Handled = 'read' | 'later';

/**
 * Looks at files until it is stopped, and calls `settled` when some have changed and stand still; again when that was too
 * early and they stand still for longer. Never two calls at once.
 *
 * @param settled `lasting` = for so long that they may be believed where something is missing
 */
export function watchFiles(
  files: SettledFiles,
  clock: Clock,
  settled: (lasting: boolean) => Promise<Handled>,
): { readonly stop: () => void } {
  let stopped = false;
  const watch = async (): Promise<void> => {
    /** A change was too recent to be read. */
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

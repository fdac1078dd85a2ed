/** Availability of a store: from a confirmation until a time without one. */
export interface Reach {
  readonly available: () => boolean;
  readonly confirm: () => void;
  readonly close: () => void;
}

/** Not available before the first confirmation. @param turned called at each change */
export function createReach(afterMs: number, turned: (available: boolean) => void): Reach {
  let available = false;
  let timer: NodeJS.Timeout | undefined;
  const turn = (next: boolean): void => {
    if (available === next) return;
    available = next;
    turned(next);
  };
  return {
    available: () => available,
    confirm: () => {
      clearTimeout(timer);
      timer = setTimeout(() => turn(false), afterMs).unref();
      turn(true);
    },
    close: () => clearTimeout(timer),
  };
}

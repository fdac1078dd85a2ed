/** Tells how far a run is. */
export interface Progress {
  /** Work that was planned with so many seconds is done. */
  passed(plannedSeconds: number): void;
  /** Writes a line with the time that is left. */
  say(line: string): void;
}

/** `75` as `1:15`. */
export const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

/** Progress through work of so many planned seconds. What is left is estimated by how long the work so far has taken. */
export function createProgress(
  planned: number,
  write: (line: string) => void,
  now = () => performance.now(),
): Progress {
  const start = now();
  let done = 0;
  return {
    passed: (seconds) => {
      done += seconds;
    },
    say: (line) => {
      const pace = done === 0 ? 1 : (now() - start) / 1000 / done;
      const left = Math.max(0, planned - done) * pace;
      write(`[${Math.floor(planned === 0 ? 100 : (done / planned) * 100)} %, ${clock(left)} left] ${line}`);
    },
  };
}

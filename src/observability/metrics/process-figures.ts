import { monitorEventLoopDelay, performance } from 'node:perf_hooks';

/** Resource use of one process, in seconds and bytes. */
export interface ProcessFigures {
  readonly pid: number;
  /** Seconds since 1970. */
  readonly startedAt: number;
  readonly cpuUser: number;
  readonly cpuSystem: number;
  readonly resident: number;
  readonly heapUsed: number;
  /** Delay of timers, over the last ten seconds or more. */
  readonly delay: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Busy and idle time of the event loop since the start. */
  readonly busy: number;
  readonly idle: number;
}

const RESOLUTION_MS = 10;
const WINDOW_MS = 10_000;

/** Measures this process until it is closed. */
export function createProcessFigures(): { readonly read: () => ProcessFigures; readonly close: () => void } {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  // The resolution of the histogram is part of each measurement, and not a delay.
  const late = (nanoseconds: number): number =>
    histogram.count === 0 ? 0 : Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000);
  const look = (): ProcessFigures['delay'] => ({
    p50: late(histogram.percentile(50)),
    p99: late(histogram.percentile(99)),
    max: late(histogram.max),
  });
  let last: ProcessFigures['delay'] | undefined;
  const turn = setInterval(() => {
    last = look();
    histogram.reset();
  }, WINDOW_MS);
  turn.unref();
  return {
    read() {
      const { user, system } = process.cpuUsage();
      const { rss, heapUsed } = process.memoryUsage();
      const { active, idle } = performance.eventLoopUtilization();
      const now = look();
      return {
        pid: process.pid,
        startedAt: performance.timeOrigin / 1000,
        cpuUser: user / 1e6,
        cpuSystem: system / 1e6,
        resident: rss,
        heapUsed,
        delay: last ? { ...last, max: Math.max(last.max, now.max) } : now,
        busy: active / 1000,
        idle: idle / 1000,
      };
    },
    close() {
      clearInterval(turn);
      histogram.disable();
    },
  };
}

import { type Logger, pino } from 'pino';
import { type Destination, stderrDestination } from './destination.ts';

/** Operational log: faults, starts, reloads. Requests belong to the audit log. One JSON line each, on stderr. */
export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'isLevelEnabled'> & {
  /** Takes effect for the next line. */
  readonly setLevel: (level: LogLevel) => void;
};

/** Members that are redacted at any depth of a logged object. */
const REDACTED = ['headers', 'rawHeaders', 'credential', 'token', 'authorization', 'apiKey', '["api-key"]'];

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'off';

/** A log on stderr; stdout is left to the command's own output. A stalled reader blocks nothing. */
export function createLog(level: LogLevel, destination: Pick<Destination, 'write'> = stderrDestination()): Log {
  const logger = pino(
    {
      level: level === 'off' ? 'silent' : level,
      base: null,
      redact: {
        paths: REDACTED.flatMap((name) => (name.startsWith('[') ? [name] : [name, `*.${name}`])),
        remove: true,
      },
    },
    { write: destination.write },
  );
  return Object.assign(logger, {
    setLevel: (next: LogLevel) => {
      logger.level = next === 'off' ? 'silent' : next;
    },
  });
}

/**
 * The loggable parts of an error: class, code and place. The message is included only for the gateway's own errors,
 * since a library may quote its input.
 */
export function describeFault(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { fault: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return {
    fault: error.name,
    code,
    at: error.stack
      ?.split('\n')
      .slice(1, 4)
      .map((line) => line.trim()),
  };
}

/**
 * Limits lines to `perSecond` in any second, so that a client that causes a fault on every request cannot fill a disk.
 * Returns the number of lines suppressed since the last one, or `undefined` if this line is to be suppressed, too.
 */
export function createThrottle(perSecond: number, clock: () => number): () => number | undefined {
  let second = 0;
  let written = 0;
  let held = 0;
  return () => {
    const now = Math.floor(clock() / 1000);
    if (now !== second) {
      second = now;
      written = 0;
    }
    if (written >= perSecond) {
      held += 1;
      return undefined;
    }
    written += 1;
    const missed = held;
    held = 0;
    return missed;
  };
}

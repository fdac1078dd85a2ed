import { type Logger, pino } from 'pino';
import type { Config } from '../config/schema.ts';
import { type Destination, stderrDestination } from './destination.ts';
import { type FormatLine, lineFormat, safeJson } from './log-format.ts';

/** Operational log: faults, starts, reloads, refusals. One line each, on stderr. */
export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'isLevelEnabled'> & {
  /** Takes effect for the next line. */
  readonly setLevel: (level: LogLevel) => void;
  /** A line at level info that every level lets through: the start and the end of the gateway. */
  readonly announce: (fields: object, message: string) => void;
};

/** Members that are redacted at any depth of a logged object. */
const REDACTED = ['headers', 'rawHeaders', 'credential', 'token', 'authorization', 'apiKey', '["api-key"]'];

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'off';

/** Places of the log. Default: JSON on stderr. */
export interface LogPlace {
  readonly format?: FormatLine | undefined;
  readonly destination?: Pick<Destination, 'write'> | undefined;
}

/**
 * A log on stderr; stdout is left to the command's own output. A stalled reader blocks nothing. INVARIANT: every line passes a
 * `FormatLine`, so that no text of a caller holds a control or bidi character.
 */
export function createLog(level: LogLevel, { format = safeJson, destination }: LogPlace = {}): Log {
  const { write } = destination ?? stderrDestination();
  const logger = loggerOf(level, (line) => write(format(line)));
  // Not a child: an object that others inherit from is slower, and each request asks this one for its level.
  const always = loggerOf('info', (line) => write(format(line)));
  let least = VALUES[level];
  return Object.assign(logger, {
    setLevel: (next: LogLevel) => {
      logger.level = next === 'off' ? 'silent' : next;
      least = VALUES[next];
    },
    isLevelEnabled: (asked: string) => (VALUES[asked as LogLevel] ?? 0) >= least,
    announce: (fields: object, message: string) => always.info(fields, message),
  });
}

const VALUES: Readonly<Record<LogLevel, number>> = {
  ...{ trace: 10, debug: 20, info: 30, warn: 40, error: 50 },
  off: Number.POSITIVE_INFINITY,
};

function loggerOf(level: LogLevel, write: (line: string) => void): Logger {
  return pino(
    {
      level: level === 'off' ? 'silent' : level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: REDACTED.flatMap((name) => (name.startsWith('[') ? [name] : [name, `*.${name}`])),
        remove: true,
      },
    },
    { write },
  );
}

/** The log of a configuration. */
export function logOf(config: Pick<Config, 'log_level' | 'gateway'>): Log {
  return createLog(config.log_level, { format: lineFormat(config.gateway.log.format) });
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

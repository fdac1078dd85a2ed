/**
 * The parsed name of an audit file. Files of one worker are ordered by period, then by sequence.
 *
 * Upstream: `audit.<period>.log` (Qdrant v1.19.0), without worker and sequence.
 */
export interface AuditFileName {
  /** `2026-11-25` or `2026-11-25-14`, UTC. */
  readonly period: string;
  /** Number of the worker; `undefined` = the only process. */
  readonly worker: number | undefined;
  /** Grows within a period, from 0. */
  readonly sequence: number;
  /**
   * True = the name begins with `audit-`, the form of former releases. Such a file is read and deleted, not written to.
   */
  readonly former: boolean;
}

const NAME = /^audit([.-])(\d{4}-\d{2}-\d{2}(?:-\d{2})?)(?:-w(\d{1,6}))?(?:\.(\d{1,9}))?\.log$/;

/** The period of a time. @param at milliseconds since 1970 */
export function periodOf(at: number, rotation: 'daily' | 'hourly'): string {
  const text = new Date(at).toISOString();
  return rotation === 'daily' ? text.slice(0, 10) : text.slice(0, 13).replace('T', '-');
}

/** `audit.2026-11-25.log`, `audit.2026-11-25-14-w2.3.log`. */
export function fileName({ period, worker, sequence, former }: AuditFileName): string {
  const process = worker === undefined ? '' : `-w${worker}`;
  return `audit${former ? '-' : '.'}${period}${process}${sequence === 0 ? '' : `.${sequence}`}.log`;
}

/** Parses a file name without its folder; `undefined` = not an audit file. */
export function parseFileName(name: string): AuditFileName | undefined {
  const [, mark, period, worker, sequence] = NAME.exec(name) ?? [];
  if (period === undefined) return undefined;
  return {
    period,
    worker: worker === undefined ? undefined : Number(worker),
    sequence: Number(sequence ?? 0),
    former: mark === '-',
  };
}

/** Order of writing, for files of one worker. */
export function compareFileNames(left: AuditFileName, right: AuditFileName): number {
  // A day sorts before its hours, in case the rotation was changed.
  if (left.period !== right.period) return left.period < right.period ? -1 : 1;
  if (left.former !== right.former) return left.former ? -1 : 1;
  return left.sequence - right.sequence;
}

/**
 * What the name of an audit file says. Files of one worker follow each other by period, then by sequence.
 *
 * Upstream: `audit.<period>.log` (Qdrant v1.19.0), without worker and sequence.
 */
export interface AuditFileName {
  /** `2026-11-25` or `2026-11-25-14`, UTC. */
  readonly period: string;
  /** Which of several processes wrote it; `undefined` = the only one. */
  readonly worker: number | undefined;
  /** Grows within a period, from 0. */
  readonly sequence: number;
  /** It begins with `audit-`, as names did before they were upstream's: such a file is read and deleted, not written to. */
  readonly former: boolean;
}

const NAME = /^audit([.-])(\d{4}-\d{2}-\d{2}(?:-\d{2})?)(?:-w(\d{1,6}))?(?:\.(\d{1,9}))?\.log$/;

/** The period a moment belongs to. @param at milliseconds since 1970 */
export function periodOf(at: number, rotation: 'daily' | 'hourly'): string {
  const text = new Date(at).toISOString();
  return rotation === 'daily' ? text.slice(0, 10) : text.slice(0, 13).replace('T', '-');
}

/** `audit.2026-11-25.log`, `audit.2026-11-25-14-w2.3.log`. */
export function fileName({ period, worker, sequence, former }: AuditFileName): string {
  const process = worker === undefined ? '' : `-w${worker}`;
  return `audit${former ? '-' : '.'}${period}${process}${sequence === 0 ? '' : `.${sequence}`}.log`;
}

/** Reads a name without its folder; `undefined` = not an audit file. */
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
  // A day stands before its hours, in case the rotation was changed in between.
  if (left.period !== right.period) return left.period < right.period ? -1 : 1;
  if (left.former !== right.former) return left.former ? -1 : 1;
  return left.sequence - right.sequence;
}

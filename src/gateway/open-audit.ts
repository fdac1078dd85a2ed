import { type Audit, createAudit } from '../audit/audit.ts';
import type { State } from '../config/state.ts';
import { createThrottle, describeFault, type Log } from '../observability/log.ts';
import { AUDIT_UNAVAILABLE } from '../policy/denial.ts';
import { firstRefusal } from '../policy/rules.ts';

/** Most log lines about audit sinks that fail or recover, per second. */
const SINK_LINES_PER_SECOND = 4;

/** The audit of one process; `undefined` = nothing is audited. @param worker its number among several, from 0 */
export function openAudit({ config }: State, log: Log, worker: number | undefined): Promise<Audit | undefined> {
  // Limits the lines about a receiver that fails and recovers repeatedly.
  const mayLog = createThrottle(SINK_LINES_PER_SECOND, Date.now);
  return createAudit(config, {
    firstRefusal,
    unavailable: AUDIT_UNAVAILABLE,
    changed: (sink, fault) => {
      if (mayLog() === undefined) return;
      if (fault === undefined) log.info({ sink }, 'the audit log is written again');
      else log.error({ sink, reason: fault }, 'the audit log cannot be written; entries are queued');
    },
    fault: (error) => log.error(describeFault(error), 'an audit entry could not be made'),
    worker,
  });
}

/** Waits `graceMs` at most for entries to be written, and logs how many are lost. */
export async function closeAudit(audit: Audit, graceMs: number, log: Log): Promise<void> {
  const lost = await audit.close(graceMs);
  if (lost.size > 0) log.error({ lost: Object.fromEntries(lost) }, 'audit entries could not be written before the end');
}

import type { AuditSnapshot } from '../audit/audit.ts';
import type { Learned } from '../policy/learn.ts';
import type { TracingSnapshot } from './tracing.ts';

/**
 * What one serving process knows of itself at a moment: plain data, so that it can be sent between processes, added up and
 * shown. Whoever observes something adds a member here.
 */
export interface GatewaySnapshot {
  readonly pid: number;
  /** Generation of the state in force. */
  readonly generation: number;
  /** `undefined` = nothing is audited. */
  readonly audit: AuditSnapshot | undefined;
  /** `undefined` = nothing is learned now. */
  readonly learned: Learned | undefined;
  /** `undefined` = no spans. */
  readonly tracing: TracingSnapshot | undefined;
}

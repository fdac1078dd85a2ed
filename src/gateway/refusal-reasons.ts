import { NESTED_TOO_DEEP } from '../grpc/message/wire.ts';
import type { Reason } from '../observability/verdict.ts';
import {
  AUDIT_UNAVAILABLE,
  type Denial,
  REVOCATION_UNKNOWN,
  SHUTTING_DOWN,
  UPSTREAM_BROKEN,
  UPSTREAM_BUSY,
  UPSTREAM_TIMEOUT,
  UPSTREAM_UNREACHABLE,
} from '../policy/denial.ts';
import { TOO_DEEP } from '../rest/body/task.ts';

const REASONS: readonly (readonly [refusal: Denial, reason: Reason])[] = [
  [TOO_DEEP, 'nesting'],
  [NESTED_TOO_DEEP, 'nesting'],
  [UPSTREAM_UNREACHABLE, 'upstream_unreachable'],
  [UPSTREAM_BROKEN, 'upstream_broken'],
  [UPSTREAM_BUSY, 'upstream_busy'],
  [UPSTREAM_TIMEOUT, 'upstream_timeout'],
  [AUDIT_UNAVAILABLE, 'audit'],
  [REVOCATION_UNKNOWN, 'revocation'],
  [SHUTTING_DOWN, 'shutdown'],
];

/**
 * Refusals that are counted under a reason of their own, by their text; all others go by their kind. By text because a
 * refusal that was found in another thread is a copy.
 */
export const REFUSAL_REASONS: ReadonlyMap<string, Reason> = new Map(
  REASONS.map(([refusal, reason]) => [refusal.message, reason]),
);

import type { Limits } from '../../config/schema.ts';
import { type BodyNeeds, isDepthOnly } from '../../policy/body-checks.ts';
import type { Conditional, Permit } from '../../policy/decide.ts';
import { INTERNAL_FAULT } from '../../policy/denial.ts';
import { INLINE_BYTES } from '../body/check-pool.ts';
import { heldNestsWithin, WHOLE_BYTES } from '../body/nesting-guard.ts';
import { bodyTask, type Found, isTenantFound, runBodyTask, TOO_DEEP } from '../body/task.ts';
import type { Intake } from '../http1/intake.ts';
import type { PlainHead } from '../http1/request-head.ts';
import { inspectionOf } from '../options.ts';
import { takesChecks } from './takes.ts';

/**
 * The place where a body is checked.
 * - `held`: whole, where it lies behind its head
 * - `passing`: measured while it passes
 * - `elsewhere`: not at all; the server lane does
 */
export type CheckPlace = 'held' | 'passing' | 'elsewhere';

/** A decision that waits for the whole body, and the checks of that. */
export interface HeldDecision {
  readonly decision: Permit | Conditional;
  readonly needs: BodyNeeds;
}

export function placeOfCheck(
  needs: BodyNeeds,
  { contentLength }: Pick<PlainHead, 'contentLength'>,
  maxInspectedBytes: number,
): CheckPlace {
  if (!takesChecks(needs)) return 'elsewhere';
  if (isDepthOnly(needs)) return contentLength <= WHOLE_BYTES ? 'held' : 'passing';
  return contentLength <= Math.min(INLINE_BYTES, maxInspectedBytes) ? 'held' : 'elsewhere';
}

/** Runs the checks on a body that lies whole behind its head. */
export function checkHeld(intake: Intake, head: PlainHead, { decision, needs }: HeldDecision, limits: Limits): Found {
  if (isDepthOnly(needs)) return heldNestsWithin(intake, head, limits.json_depth) ? undefined : TOO_DEEP;
  const task = bodyTask(decision, needs, inspectionOf(limits));
  const { length, contentLength } = head;
  const found = task ? runBodyTask(task, intake.bytes.subarray(length, length + contentLength)) : INTERNAL_FAULT;
  // INVARIANT: a request that is made anew goes through the server, which sends it.
  return isTenantFound(found) ? INTERNAL_FAULT : found;
}

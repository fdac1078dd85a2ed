import type { Limits } from '../../config/schema.ts';
import type { Protocol } from '../../exchange/exchange.ts';
import { bodyChecked, exchangeGuard } from '../../exchange/steps.ts';
import { type BodyNeeds, isDepthOnly } from '../../policy/body-checks.ts';
import type { Conditional, Permit } from '../../policy/decide.ts';
import { INTERNAL_FAULT } from '../../policy/denial.ts';
import { INLINE_BYTES, INLINE_TENANT_BYTES } from '../body/check-pool.ts';
import { heldNestsWithin, WHOLE_BYTES } from '../body/nesting-guard.ts';
import { type BodyFinding, bodyTask, isTenantFound, runBodyTaskSoon, TOO_DEEP } from '../body/task.ts';
import type { Intake } from '../http1/intake.ts';
import type { PlainHead } from '../http1/request-head.ts';
import { inspectionOf } from '../options.ts';
import type { TenantTask } from '../tenants/rewrite.ts';
import { tenantTask } from '../tenants/task.ts';
import type { RelayContext } from './context.ts';
import type { RelayExchange } from './exchange.ts';
import { takesChecks, takesRewriting } from './takes.ts';

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
  const most = needs.tenant ? INLINE_TENANT_BYTES : INLINE_BYTES;
  return contentLength <= Math.min(most, maxInspectedBytes) ? 'held' : 'elsewhere';
}

/** The parts of a transport that a held body is checked with. */
export interface HeldContext {
  readonly options: Pick<RelayContext['options'], 'parts' | 'limits'>;
  readonly protocol: Protocol<RelayExchange>;
  readonly facts: RelayContext['facts'];
}

/**
 * Runs the checks on a body that lies whole behind its head, and ends in `bodyChecked`: at once, or for a tenant when the facts
 * of the collection are known, unless the client has left. A request of a tenant that the relay does not carry is given over.
 *
 * @param intake everything from the head on; nothing is taken of it meanwhile
 */
export function checkHeld(context: HeldContext, exchange: RelayExchange, intake: Intake, held: HeldDecision): void {
  const { facts, options, protocol } = context;
  const { limits, parts } = options;
  const tenant = held.needs.tenant && tenantTask(exchange, { parts, limits, facts });
  if (!(tenant instanceof Promise)) {
    settleHeld(context, exchange, held, runChecks(intake, exchange.head, held, { limits, tenant }));
    return;
  }
  exchangeGuard(parts, protocol, exchange).settled(tenant, (task) => {
    if (exchange.ended || exchange.refusal) return;
    settleHeld(context, exchange, held, runChecks(intake, exchange.head, held, { limits, tenant: task }));
  });
}

function settleHeld(
  { options, protocol }: HeldContext,
  exchange: RelayExchange,
  held: HeldDecision,
  found: BodyFinding | 'takes-longer',
) {
  const { decision } = held;
  if (found === 'takes-longer') exchange.connection.giveOver(exchange, decision);
  else if (!isTenantFound(found)) bodyChecked(options.parts, protocol, exchange, decision, found);
  else if ('kind' in found.tenant || takesRewriting(exchange, found.tenant)) {
    bodyChecked(options.parts, protocol, exchange, decision, found.names, found.tenant);
  } else exchange.connection.giveOver(exchange, decision);
}

function runChecks(
  intake: Intake,
  head: PlainHead,
  { decision, needs }: HeldDecision,
  { limits, tenant }: { readonly limits: Limits; readonly tenant: TenantTask | undefined },
): BodyFinding | 'takes-longer' {
  if (isDepthOnly(needs)) return heldNestsWithin(intake, head, limits.json_depth) ? undefined : TOO_DEEP;
  const task = bodyTask(decision, needs, inspectionOf(limits), tenant);
  const { length, contentLength } = head;
  return task ? runBodyTaskSoon(task, intake.bytes.subarray(length, length + contentLength)) : INTERNAL_FAULT;
}

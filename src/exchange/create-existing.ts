import type { Principal } from '../identity/principal.ts';
import { type Conditional, type Decision, decide, refusedWhatever, settle } from '../policy/decide.ts';
import { collectionExists, type Denial } from '../policy/denial.ts';
import type { DenialCode } from '../policy/denial-codes.ts';
import type { Operation, Target } from '../policy/operation.ts';
import { decideWithin } from '../policy/rules.ts';
import type { Exchange } from './exchange.ts';
import { resolutionOf } from './shadow.ts';

/*
 * `gateway.compatibility.create_existing`: callers that may write a collection and not create it hear that it exists, as an admin
 * does. Programs that create at each start then go on. A refusal stays a refusal; only its text and status change.
 */

/** Refusals for want of a right to create. Rules, guards and malformed requests refuse in other words. */
const FOR_ACCESS: ReadonlySet<DenialCode> = new Set(['global_required', 'collection_not_listed']);

/** Writing points over each protocol, as a grant by operations names it. */
const WRITING: Pick<Operation, 'audit' | 'requires'> = {
  audit: 'upsert_points',
  requires: { scope: 'collection', level: 'write', extras: false },
};
const OVER_REST: Operation = { name: 'points.upsert', ...WRITING };
const OVER_GRPC: Operation = { name: 'qdrant.Points/Upsert', ...WRITING };

/** The decision in which the list of existing collections has a say; `undefined` = it has none. */
export function askedFor(exchange: Exchange, decision: Decision): Denial | Conditional | undefined {
  const { operation, target } = resolutionOf(exchange);
  if (operation.manages?.right !== 'create' || decision.kind === 'permit') return undefined;
  if (target.kind !== 'collection') {
    if (decision.kind === 'conditional') return decision.counted ? undefined : decision;
    return isForAccess(decision) ? refusedWhatever(operation, decision) : undefined;
  }
  // No body gives a right on the name in the path.
  const early = decision.kind === 'conditional' ? settle(decision, { others: [], existing: [] }) : decision;
  return early.kind === 'denial' && isForAccess(early) && mayWrite(exchange, target.name) ? early : undefined;
}

/** The same decision, now that upstream's list is known. @param existing `undefined` = it is not */
export function withExisting(
  exchange: Exchange,
  asked: Denial | Conditional,
  existing: readonly string[] | undefined,
): Decision {
  if (!existing) return asked.kind === 'denial' ? asked : (asked.refusal ?? asked);
  if (asked.kind === 'conditional') return { ...asked, existing };
  const { target } = resolutionOf(exchange);
  return existingOr(exchange, asked, { target: target.kind === 'collection' ? target.name : undefined, existing });
}

/** The refusal of a creation, or that the collection exists if the caller may write it. */
export function existingOr(
  exchange: Exchange,
  denial: Denial,
  { target, existing }: { readonly target?: string | undefined; readonly existing?: readonly string[] | undefined },
): Denial {
  if (target === undefined || !existing?.includes(target) || !isForAccess(denial)) return denial;
  return mayWrite(exchange, target) ? collectionExists(target) : denial;
}

function isForAccess({ code }: Denial): boolean {
  return FOR_ACCESS.has(code);
}

function mayWrite({ principal, protocol }: Exchange, name: string): boolean {
  return principal !== undefined && isPermitted(principal, protocol === 'rest' ? OVER_REST : OVER_GRPC, name);
}

function isPermitted({ access, bounds }: Principal, operation: Operation, name: string): boolean {
  const target: Target = { kind: 'collection', name };
  const decision = bounds ? decideWithin(access, bounds, operation, target) : decide(access, operation, target);
  return decision.kind !== 'denial';
}

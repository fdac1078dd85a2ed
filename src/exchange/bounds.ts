import type { Decision, References } from '../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../policy/denial.ts';
import { boundRefusal, boundsFor } from '../policy/search/bounds.ts';
import type { Facts } from '../policy/search/facts.ts';
import { hasFacts } from '../policy/search/operations.ts';
import type { Exchange, ExchangeParts } from './exchange.ts';
import { resolutionOf } from './shadow.ts';

/* The bounds of the policy on one exchange. They depend on numbers in its body, and are asked when that has been read. */

/** The decision of a request that bounds may refuse: its body is read, or it is refused because its form is not read. */
export function withinBounds(parts: ExchangeParts, exchange: Exchange, decision: Decision): Decision {
  const { bounds } = parts.policy.current;
  if (!bounds || decision.kind === 'denial' || !exchange.principal) return decision;
  const { operation, target } = resolutionOf(exchange);
  const name = target.kind === 'collection' ? target.name : undefined;
  if (boundsFor(bounds, exchange.principal, operation, name).length === 0) return decision;
  if (!hasFacts(operation)) return refusal(parts, exchange, name, undefined) ?? decision;
  exchange.wantsFacts = true;
  return decision;
}

/** The refusal of a body by its numbers. `undefined` = no objection. */
export function refusedByBounds(
  parts: ExchangeParts,
  exchange: Exchange,
  found: References | undefined,
): Denial | undefined {
  if (!exchange.wantsFacts) return undefined;
  // INVARIANT: what was asked for has been read.
  if (!found?.facts) return INTERNAL_FAULT;
  const { target } = resolutionOf(exchange);
  return refusal(parts, exchange, target.kind === 'collection' ? target.name : found.target, found.facts);
}

function refusal(
  parts: ExchangeParts,
  exchange: Exchange,
  collection: string | undefined,
  facts: Facts | undefined,
): Denial | undefined {
  const { bounds } = parts.policy.current;
  if (!bounds || !exchange.principal) return undefined;
  const own = boundsFor(bounds, exchange.principal, resolutionOf(exchange).operation, collection);
  const passed = boundRefusal(own, 'shadow', facts);
  if (passed) exchange.shadowed ??= { ...passed, guard: true };
  const refused = boundRefusal(own, 'enforce', facts);
  if (refused) exchange.rail = refused.rule;
  return refused?.denial;
}

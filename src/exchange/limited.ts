import { askForNames, type Decision, type Permit } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import type { Exchange, ExchangeParts } from './exchange.ts';
import { resolutionOf } from './shadow.ts';

/* The limits of the policy. Only permitted requests of known callers count, each once, whichever lanes it passes. */

/**
 * Counts a permitted request before its body is read, or makes it wait for the collection in its message where that decides
 * which limits it counts on. What is still conditional is counted when it is settled.
 */
export function limited(parts: ExchangeParts, exchange: Exchange, decision: Decision): Decision {
  const { limits } = parts.policy.current;
  if (limits === undefined || decision.kind !== 'permit' || !exchange.principal) return decision;
  const { operation, target } = resolutionOf(exchange);
  if (target.kind === 'in-message' && parts.limits.asksForCollection(limits, exchange.principal, operation)) {
    const waiting = askForNames(decision, target);
    if (waiting.kind === 'conditional') return waiting;
  }
  return counted(parts, exchange, decision);
}

/** Counts a permitted request on every limit that it meets, or refuses it and counts it on none. */
export function counted(parts: ExchangeParts, exchange: Exchange, permit: Permit): Permit | Denial {
  const { limits, mode } = parts.policy.current;
  if (limits === undefined || exchange.limitHold || !exchange.principal) return permit;
  const denial = parts.limits.take(limits, exchange, exchange.principal, mode === 'enforce');
  if (!denial) return permit;
  exchange.decision = denial;
  return denial;
}

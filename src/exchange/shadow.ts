import {
  askForNames,
  type Decision,
  type Permit,
  permitInShadow,
  type References,
  unfiltered,
} from '../policy/decide.ts';
import type { Operation } from '../policy/operation.ts';
import { firstRefusal, WHOLE_POLICY } from '../policy/rules.ts';
import type { Exchange, ExchangeParts, Resolution } from './exchange.ts';

/* Rules and policies in shadow: their refusals are noted on the exchange, which continues. */

/** Notes the refusals of rules in shadow. */
export function noteShadow(exchange: Exchange, operation: Operation, found: References | undefined): void {
  const rules = exchange.principal?.bounds?.shadow;
  const target = exchange.resolution?.target;
  if (rules && target) exchange.shadowed ??= firstRefusal(rules, operation, target, found);
}

/** Applies the policy's mode (`enforce`, `shadow`, `learn`) to the decision. */
export function inForce(parts: ExchangeParts, exchange: Exchange, decision: Decision): Decision {
  const { mode } = parts.policy.current;
  const final = mode === 'enforce' ? enforced(exchange, decision) : inShadow(exchange, decision, mode);
  exchange.decision = final;
  return final;
}

/**
 * INVARIANT: a request that shadow mode let through while it waited for its body is refused if the policy is enforced
 * by then.
 */
function enforced(exchange: Exchange, decision: Decision): Decision {
  const { shadowed } = exchange;
  if (shadowed?.rule !== WHOLE_POLICY || decision.kind === 'denial') return decision;
  exchange.shadowed = undefined;
  return shadowed.denial;
}

/** With the whole policy in shadow, permits a refused request and notes the refusal in `shadowed`. */
function inShadow(exchange: Exchange, decision: Decision, mode: 'shadow' | 'learn'): Decision {
  const { operation, target, refusal = exchange.resolution?.lateRefusal } = resolutionOf(exchange);
  // INVARIANT: malformed requests are refused in shadow, too, also those of unknown callers.
  if (refusal) return refusal;
  let permit: Permit | undefined;
  if (decision.kind === 'permit') permit = unfiltered(decision);
  if (decision.kind === 'denial') permit = permitInShadow(operation, decision);
  if (!permit) return decision;
  if (decision.kind === 'denial') exchange.shadowed = { rule: WHOLE_POLICY, denial: decision };
  return mode === 'learn' && !exchange.references ? askForNames(permit, target) : permit;
}

/** The resolution of an exchange with a known operation. */
export function resolutionOf({ resolution }: Exchange): Resolution {
  if (!resolution) throw new TypeError('an exchange was identified before it was resolved');
  return resolution;
}

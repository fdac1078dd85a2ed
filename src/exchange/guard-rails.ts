import type { Conditional, Decision, References } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import type { GuardRail } from '../policy/guards/guard-rail.ts';
import { concern, concerned, frozenBy, railRefusal, waitForNames } from '../policy/guards/guard-rails.ts';
import type { Operation } from '../policy/operation.ts';
import type { Exchange } from './exchange.ts';
import { resolutionOf } from './shadow.ts';

/* The guard rails on one exchange: after its access, before anything of it goes upstream. */

/** The fields of an exchange that rails read and set. */
export type RailedExchange = Pick<
  Exchange,
  'principal' | 'headers' | 'resolution' | 'references' | 'shadowed' | 'rail' | 'passedRail'
>;

/** The decision within the rails. If they depend on names in a body that is not read yet, it waits for them. */
export function withinRails(exchange: Exchange, rails: readonly GuardRail[] | undefined, decision: Decision): Decision {
  if (!rails) return decision;
  const { operation, target } = resolutionOf(exchange);
  if (decision.kind === 'denial' || !concern(rails, operation)) return decision;
  const names = concerned(operation, target, undefined);
  const refused = refusal(exchange, rails, operation, names);
  if (refused) return refused;
  return names === 'unread' ? waitForNames(decision, rails) : decision;
}

/** The refusal of the rails that a conditional waited with. `undefined` = no objection. */
export function refusedByRails(exchange: Exchange, conditional: Conditional, found: References): Denial | undefined {
  const { rails, operation } = conditional;
  if (!rails) return undefined;
  const all = conditional.target === undefined ? found : { ...found, target: conditional.target };
  return refusal(exchange, rails, operation, concerned(operation, resolutionOf(exchange).target, all));
}

/**
 * The refusal of the rails in force now, for an exchange that earlier ones let pass. Names in a body that was not read for them are
 * unknown, so that every rail holds.
 */
export function refusedByRailsNow(
  exchange: RailedExchange,
  rails: readonly GuardRail[] | undefined,
): Denial | undefined {
  const { resolution, references } = exchange;
  if (!rails || !resolution || !concern(rails, resolution.operation)) return undefined;
  const names = concerned(resolution.operation, resolution.target, references);
  return refusal(exchange, rails, resolution.operation, names === 'unread' ? undefined : names);
}

function refusal(
  exchange: RailedExchange,
  rails: readonly GuardRail[],
  operation: Operation,
  names: readonly string[] | 'unread' | undefined,
): Denial | undefined {
  const passesFreeze = exchange.principal?.breakGlass === true;
  const facts = { names, headers: exchange.headers, passesFreeze };
  const passed = railRefusal(rails, 'shadow', operation, facts);
  if (passed) exchange.shadowed ??= { ...passed, guard: true };
  const refused = railRefusal(rails, 'enforce', operation, facts);
  exchange.rail = refused?.rule;
  if (passesFreeze && !refused) exchange.passedRail = frozenBy(rails, 'enforce', operation, names)?.rule;
  return refused?.denial;
}

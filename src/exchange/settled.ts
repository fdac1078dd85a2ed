import { type Conditional, type Permit, type References, settle } from '../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../policy/denial.ts';
import { refusedByBounds } from './bounds.ts';
import { existingOr } from './create-existing.ts';
import type { Exchange, ExchangeParts } from './exchange.ts';
import { refusedByRails } from './guard-rails.ts';
import { inForce, noteShadow } from './shadow.ts';

/** Settles a conditional with what its body names: access first, then guard rails, then bounds. */
export function settledBy(
  parts: ExchangeParts,
  exchange: Exchange,
  conditional: Conditional,
  read: References | Denial,
): Permit | Denial {
  if ('kind' in read) return read;
  const found = conditional.counted ? counted(parts, conditional, read) : read;
  exchange.references = found;
  exchange.facts = found.facts;
  const decision = conditional.sure ?? settle(conditional, found);
  if (decision.kind === 'denial' && parts.createExisting)
    return existingOr(exchange, decision, { existing: conditional.existing ?? [], ...found });
  if (decision.kind === 'permit') {
    const byRails = conditional.rails && refusedByRails(exchange, conditional, found);
    const refused = byRails ?? refusedByBounds(parts, exchange, found);
    if (refused) return refused;
    noteShadow(exchange, conditional.operation, found);
    const created = conditional.counted && (conditional.target ?? found.target);
    if (created !== undefined) parts.creations.begin(exchange, created);
  }
  return decision;
}

/** A permit whose body was read: refused by its numbers, if they were asked for. */
export function settledPermit(
  parts: ExchangeParts,
  exchange: Exchange,
  permit: Permit,
  found: References | undefined,
): Permit | Denial {
  if (!exchange.wantsFacts) return permit;
  exchange.facts = found?.facts;
  const refused = refusedByBounds(parts, exchange, found);
  if (!refused) return permit;
  const final = inForce(parts, exchange, refused);
  return final.kind === 'conditional' ? INTERNAL_FAULT : final;
}

/** The names in a body, with all collections there are now. */
function counted({ creations }: ExchangeParts, { existing: asked }: Conditional, found: References): References {
  const existing = creations.current(asked);
  return existing ? { ...found, existing } : found;
}

import type { Exchange } from '../exchange/exchange.ts';
import type { Caller, Seen } from '../policy/learn.ts';
import { WHOLE_POLICY } from '../policy/rules.ts';

/**
 * The observation to learn from an ended exchange; `undefined` = none. A request of a known caller that the enforced
 * policy would refuse is left out: no rule could permit it.
 */
export function seenIn(exchange: Exchange, at: number): Seen | undefined {
  const { decision, refusal, resolution, references } = exchange;
  if (decision?.kind !== 'permit' || refusal || !resolution) return undefined;
  const { operation, target } = resolution;
  if (operation.requires.scope === 'public') return undefined;
  const caller = callerOf(exchange);
  if (!caller) return undefined;
  const named = target.kind === 'collection' ? target.name : references?.target;
  return { caller, operation, target: named, others: references?.others ?? [], at };
}

function callerOf({ principal, shadowed }: Exchange): Caller | undefined {
  const refused = shadowed?.rule === WHOLE_POLICY ? shadowed.denial : undefined;
  if (principal && !refused) {
    return { kind: 'principal', keyId: principal.keyId, subject: principal.subject ?? '' };
  }
  return refused?.why === 'authentication' ? { kind: 'stranger', code: refused.code } : undefined;
}

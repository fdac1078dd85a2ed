import type { Exchange } from '../exchange/exchange.ts';
import { MISSING_CREDENTIAL } from '../policy/denial.ts';
import type { Caller, Seen } from '../policy/learn.ts';
import { WHOLE_POLICY } from '../policy/rules.ts';

/**
 * What is to be learned from an exchange that has ended; `undefined` = nothing. What the enforced policy would have refused
 * to a caller it knows is no part of what the caller needs: a rule could not give it.
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
  if (refused?.why !== 'authentication') return undefined;
  return { kind: refused === MISSING_CREDENTIAL ? 'nobody' : 'unknown' };
}

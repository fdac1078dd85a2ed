import type { RefusedKey } from '../policy/denial.ts';
import type { Exchange } from './exchange.ts';

/** The named key that was presented with the right secret and refused, also by a refusal that was not applied. */
export function refusedKeyOf({ principal, decision, refusal, shadowed }: Exchange): RefusedKey | undefined {
  if (principal) return undefined;
  return refusal?.key ?? shadowed?.denial.key ?? (decision?.kind === 'denial' ? decision.key : undefined);
}

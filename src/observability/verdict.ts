import type { Exchange } from '../exchange/exchange.ts';
import type { RefusalReason, reasonOf } from '../policy/denial-codes.ts';
import type { firstRefusal } from '../policy/rules.ts';

/** Result of an exchange. */
export const DECISIONS = ['permit', 'denied', 'would_deny', 'fault'] as const;
export type DecisionLabel = (typeof DECISIONS)[number];

/** `none` for a permit, `rule` for a refusal by a policy rule; the others are derived from the code of the refusal. */
export type Reason = 'none' | 'rule' | RefusalReason;

const DENIED: readonly Reason[] = ['authentication', 'access', 'rule', 'unknown', 'request', 'nesting'];
const FAULTS: readonly Reason[] = [
  ...(['fault', 'upstream_unreachable', 'upstream_broken', 'upstream_busy', 'upstream_timeout'] as const),
  ...(['audit', 'revocation', 'shutdown'] as const),
];

/** Every decision with each of its reasons. A fixed list, independent of client input. */
export const VERDICTS: readonly { readonly decision: DecisionLabel; readonly reason: Reason }[] = Object.freeze([
  { decision: 'permit', reason: 'none' },
  ...DENIED.map((reason) => ({ decision: 'denied', reason }) as const),
  ...DENIED.map((reason) => ({ decision: 'would_deny', reason }) as const),
  ...FAULTS.map((reason) => ({ decision: 'fault', reason }) as const),
]);

const PERMIT = 0;
const FIRST = { denied: 1, wouldDeny: 1 + DENIED.length, fault: 1 + 2 * DENIED.length } as const;

/** Facts about a refusal that only the policy knows. */
export interface VerdictOptions {
  readonly reasonOf: typeof reasonOf;
  readonly firstRefusal: typeof firstRefusal;
}

/** Returns the index into `VERDICTS` of an exchange that has ended. */
export function createVerdict({ reasonOf, firstRefusal }: VerdictOptions): (exchange: Exchange) => number {
  const byRule = ({ principal, resolution, references }: Exchange): boolean => {
    const rules = principal?.bounds?.enforced;
    if (!rules || !resolution) return false;
    return firstRefusal(rules, resolution.operation, resolution.target, references) !== undefined;
  };
  return (exchange) => {
    const { refusal, shadowed } = exchange;
    if (refusal === undefined && shadowed === undefined) return PERMIT;
    if (refusal === undefined) {
      const why = shadowed?.denial.why ?? 'access';
      const reason = shadowed?.rule !== 'policy' ? 'rule' : why === 'fault' ? 'request' : why;
      return FIRST.wouldDeny + DENIED.indexOf(reason);
    }
    const reason = reasonOf(refusal.code);
    const fault = FAULTS.indexOf(reason);
    if (fault !== -1) return FIRST.fault + fault;
    if (refusal.why === 'access' && byRule(exchange)) return FIRST.denied + DENIED.indexOf('rule');
    return FIRST.denied + Math.max(0, DENIED.indexOf(reason));
  };
}

import type { Exchange } from '../exchange/exchange.ts';
import { DENIAL_CODES, type DenialCode, type RefusalReason, reasonOf } from '../policy/denial-codes.ts';
import type { firstRefusal } from '../policy/rules.ts';

/** Result of an exchange. */
export const DECISIONS = ['permit', 'denied', 'would_deny', 'fault'] as const;
export type DecisionLabel = (typeof DECISIONS)[number];

/** One decision with its reason and its code. */
export interface Verdict {
  readonly decision: DecisionLabel;
  /** `none` for a permit, `rule` for a refusal by a policy rule; the others are derived from the code. */
  readonly reason: 'none' | 'rule' | RefusalReason;
  /** Of the refusal, also of one that shadow mode suppressed. */
  readonly code: DenialCode | 'none';
}

const CODES = Object.keys(DENIAL_CODES) as DenialCode[];
/** Codes that a rule of the policy refuses with. */
const RULE_CODES = CODES.filter((code) => DENIAL_CODES[code].kind === 'access');

const REFUSED: readonly Verdict[] = CODES.map((code) => ({
  decision: DENIAL_CODES[code].kind === 'fault' ? 'fault' : 'denied',
  reason: reasonOf(code),
  code,
}));
const WOULD_DENY: readonly Verdict[] = CODES.map((code) => ({ decision: 'would_deny', reason: reasonOf(code), code }));
const REFUSED_BY_RULE = RULE_CODES.map((code): Verdict => ({ decision: 'denied', reason: 'rule', code }));
const WOULD_DENY_BY_RULE = RULE_CODES.map((code): Verdict => ({ decision: 'would_deny', reason: 'rule', code }));

/** Every decision with each of its reasons and codes. A fixed list, independent of client input. */
export const VERDICTS: readonly Verdict[] = Object.freeze([
  { decision: 'permit', reason: 'none', code: 'none' },
  ...[REFUSED, WOULD_DENY, REFUSED_BY_RULE, WOULD_DENY_BY_RULE].flat(),
]);

const PERMIT = 0;
const refusedAt = placesOf(CODES, 1);
const wouldDenyAt = placesOf(CODES, 1 + CODES.length);
const refusedByRuleAt: Partial<Places> = placesOf(RULE_CODES, 1 + 2 * CODES.length);
const wouldDenyByRuleAt: Partial<Places> = placesOf(RULE_CODES, 1 + 2 * CODES.length + RULE_CODES.length);

type Places = Readonly<Record<DenialCode, number>>;

function placesOf(codes: readonly DenialCode[], first: number): Places {
  return Object.fromEntries(codes.map((code, at) => [code, first + at])) as Places;
}

/** Facts about a refusal that only the policy knows. */
export interface VerdictOptions {
  readonly firstRefusal: typeof firstRefusal;
}

/** Returns the index into `VERDICTS` of an exchange that has ended. */
export function createVerdict({ firstRefusal }: VerdictOptions): (exchange: Exchange) => number {
  const byRule = ({ principal, resolution, references, rail }: Exchange): boolean => {
    if (rail !== undefined) return true;
    const rules = principal?.bounds?.enforced;
    if (!rules || !resolution) return false;
    return firstRefusal(rules, resolution.operation, resolution.target, references) !== undefined;
  };
  return (exchange) => {
    const { refusal, shadowed } = exchange;
    if (refusal) {
      const ofRule =
        refusal.why === 'access' && refusal.code !== 'reason_required' && byRule(exchange)
          ? refusedByRuleAt[refusal.code]
          : undefined;
      return ofRule ?? refusedAt[refusal.code];
    }
    if (!shadowed) return PERMIT;
    const { rule, denial } = shadowed;
    const ofRule = rule === 'policy' ? undefined : wouldDenyByRuleAt[denial.code];
    return ofRule ?? wouldDenyAt[denial.code];
  };
}

import type { Exchange } from '../exchange/exchange.ts';
import type { Denial } from '../policy/denial.ts';
import type { DenialCode } from '../policy/denial-codes.ts';
import type { AuditEventCode } from './event-codes.ts';

/** Refusals that are an event by themselves. */
const BY_CODE: Readonly<Partial<Record<DenialCode, AuditEventCode>>> = {
  key_disabled: 'key_used_while_disabled',
  key_network: 'key_used_from_other_network',
  key_not_yet_valid: 'key_used_before_begin',
  key_expired: 'key_used_after_expiry',
  token_revoked: 'revoked_token_used',
};

/**
 * The event of a request, if it has one.
 *
 * @param denied the refusal of the gateway before upstream was asked
 * @param rule the rule of the policy that refused, or the guard that was passed
 */
export function requestEvent(
  { principal, rail, shadowed }: Exchange,
  denied: Denial | undefined,
  rule: string | undefined,
): AuditEventCode | undefined {
  const told = denied ?? shadowed?.denial;
  const byCode = told && BY_CODE[told.code];
  if (byCode) return byCode;
  if (denied) {
    if (rail !== undefined) return 'guard_hit';
    if (denied.reached) return 'limit_hit';
    if (principal?.breakGlass) return 'break_glass_refused';
    return rule === undefined ? undefined : 'rule_hit';
  }
  if (principal?.breakGlass) return 'break_glass_used';
  if (!shadowed) return undefined;
  if (shadowed.guard || rail !== undefined) return 'guard_hit_in_shadow';
  if (shadowed.denial.reached) return 'limit_hit_in_shadow';
  // The whole policy is in shadow: the access of the caller refuses, or a rule does.
  return shadowed.rule === 'policy' ? undefined : 'rule_hit_in_shadow';
}

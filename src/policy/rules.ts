import type { Access } from './access.ts';
import { type Caller, type Callers, isFor } from './callers.ts';
import { type Conditional, type Decision, decide, type References, settle } from './decide.ts';
import { type Denial, operationNotAllowed } from './denial.ts';
import { names } from './grants.ts';
import type { GuardRail } from './guards/guard-rail.ts';
import type { Limit } from './limits/limits.ts';
import { narrow } from './narrow.ts';
import type { Operation, Target } from './operation.ts';
import type { Bound } from './search/bounds.ts';

/**
 * The operator's policy, applied on top of keys and tokens. Rules only narrow: under any rules a caller has at most the
 * access that a secured Qdrant would give to the same credential.
 */

/**
 * - `enforce`: refusals are applied
 * - `shadow`: refusals are counted, and the requests forwarded
 * - `learn`: as shadow; forwarded requests are recorded
 */
export type PolicyMode = 'enforce' | 'shadow' | 'learn';

/** One rule, for the principals that `isFor` names. */
export interface Rule extends Callers {
  /** The name in audit and metrics. */
  readonly id: string;
  readonly mode: 'enforce' | 'shadow';
  /** Upper bound of the access; `undefined` = no bound. */
  readonly access: Access | undefined;
  /** The permitted operations, by row name or audit name; `undefined` = all. */
  readonly operations: ReadonlySet<string> | undefined;
  /** Operations that are refused, by row name or audit name; `undefined` = none. */
  readonly denied?: ReadonlySet<string> | undefined;
}

/** Rules, guard rails, limits and mode, one immutable value. */
export interface Policy {
  readonly mode: PolicyMode;
  readonly rules: readonly Rule[];
  /** In the order of their ids; absent without any, so that the common case costs nothing. */
  readonly rails?: readonly GuardRail[];
  /** Bounds on searches, in the order of their ids; absent = none. */
  readonly bounds?: readonly Bound[];
  /** Limits on permitted requests; absent = none. */
  readonly limits?: readonly Limit[];
}

/** No rules, enforced. */
export const PLAIN_POLICY: Policy = Object.freeze({ mode: 'enforce', rules: Object.freeze([]) });

/** The rules that apply to one principal. Absent without any, so that the common case costs nothing. */
export interface Bounds {
  readonly enforced: readonly Rule[];
  readonly shadow: readonly Rule[];
}

/** `Shadowed.rule` if the whole policy is in shadow. No rule has this id. */
export const WHOLE_POLICY = 'policy';

/** A refusal that was not applied, and its rule, or `WHOLE_POLICY`. */
export interface Shadowed {
  readonly rule: string;
  readonly denial: Denial;
  /** Set = a guard rail in shadow. */
  readonly guard?: true;
}

/** The access of a principal under the rules, and the rules that must be checked on each request. */
export function applyRules(
  rules: readonly Rule[],
  credential: Caller & { readonly access: Access },
): { readonly access: Access; readonly bounds: Bounds | undefined } {
  const matching = rules.filter((rule) => isFor(rule, credential));
  if (matching.length === 0) return { access: credential.access, bounds: undefined };
  let { access } = credential;
  const enforced = matching.filter(({ mode }) => mode === 'enforce');
  for (const rule of enforced) if (rule.access) access = narrow(access, rule.access);
  const shadow = matching.filter(({ mode }) => mode === 'shadow');
  return { access, bounds: Object.freeze({ enforced, shadow }) };
}

/** True = no rule takes one of these operations away, whatever it is asked for. */
export function leavesAll({ enforced }: Bounds, operations: readonly Operation[]): boolean {
  return enforced.every((rule) => operations.every((operation) => allows(rule, operation)));
}

function allows({ operations, denied }: Rule, operation: Operation): boolean {
  if (denied && (names(denied, operation) || operation.holds?.some((name) => denied.has(name)))) return false;
  return !operations || names(operations, operation);
}

/** The decision under bounds. @param access the principal's access after `applyRules` */
export function decideWithin(access: Access, bounds: Bounds, operation: Operation, target: Target): Decision {
  if (!bounds.enforced.every((rule) => allows(rule, operation))) return operationNotAllowed(operation.name);
  const decision = decide(access, operation, target);
  if (decision.kind !== 'permit') return decision;
  // A rule in shadow may need the names in a body that the decision itself does not need.
  const waiting = bounds.shadow.map((rule) => decideByRule(rule, operation, target)).find(isConditional);
  return waiting ? { ...waiting, sure: decision } : decision;
}

/** The decision of one rule alone; `undefined` = no objection. */
function decideByRule(rule: Rule, operation: Operation, target: Target): Decision | undefined {
  if (!allows(rule, operation)) return operationNotAllowed(operation.name);
  return rule.access ? decide(rule.access, operation, target) : undefined;
}

function isConditional(decision: Decision | undefined): decision is Conditional {
  return decision?.kind === 'conditional';
}

/**
 * The first rule of `rules` that refuses, with its refusal.
 *
 * @param target as before the body was read: if the message names it, it is taken from `found`
 * @param found the names in the body, once it has been read
 */
export function firstRefusal(
  rules: readonly Rule[],
  operation: Operation,
  target: Target,
  found: References | undefined,
): Shadowed | undefined {
  for (const rule of rules) {
    const decision = decideByRule(rule, operation, target);
    const settled = isConditional(decision) && found ? settle(decision, found) : decision;
    if (settled?.kind === 'denial') return { rule: rule.id, denial: settled };
  }
  return undefined;
}

import type { Access, CollectionMode } from './access.ts';
import { type Conditional, type Decision, decide, type References, settle } from './decide.ts';
import { type Denial, operationNotAllowed } from './denial.ts';
import type { Operation, Target } from './operation.ts';

/**
 * The operator's policy, on top of what keys and tokens carry. A rule gives nothing, it takes away: whatever rules there
 * are, nobody gets more than the same credential would get from a secured Qdrant.
 */

/** - `enforce`: refusals refuse - `shadow`: refusals are counted and let pass - `learn`: as shadow, and what passes is written down */
export type PolicyMode = 'enforce' | 'shadow' | 'learn';

/** One rule. It is for a principal when key id and subject both match. */
export interface Rule {
  /** What audit and metrics call it. */
  readonly id: string;
  readonly mode: 'enforce' | 'shadow';
  /** Ids of the keys it is for; `undefined` = all. */
  readonly keys: ReadonlySet<string> | undefined;
  /** `subject` claims it is for; the empty one stands for callers without, keys included. `undefined` = all. */
  readonly subjects: ReadonlySet<string> | undefined;
  /** At most this much; `undefined` = as much as the credential has. */
  readonly access: Access | undefined;
  /** Only these operations, by their names or by those of the audit log; `undefined` = all. */
  readonly operations: ReadonlySet<string> | undefined;
}

/** Rules and how they are taken, one immutable value. */
export interface Policy {
  readonly mode: PolicyMode;
  readonly rules: readonly Rule[];
}

/** No rules: what keys and tokens carry is enforced as it is. */
export const PLAIN_POLICY: Policy = Object.freeze({ mode: 'enforce', rules: Object.freeze([]) });

/** What rules make of one principal. Absent where none is for it, so that the common case costs nothing. */
export interface Bounds {
  readonly enforced: readonly Rule[];
  readonly shadow: readonly Rule[];
}

/** What `Shadowed.rule` says where the whole policy is in shadow. No rule has this id. */
export const WHOLE_POLICY = 'policy';

/** A refusal that was not carried out, and the rule it came from, or `WHOLE_POLICY`. */
export interface Shadowed {
  readonly rule: string;
  readonly denial: Denial;
}

/** The access that is left to a principal under the rules, and what of the rules has to be looked at on each request. */
export function applyRules(
  rules: readonly Rule[],
  credential: { readonly access: Access; readonly keyId: string; readonly subject: string | undefined },
): { readonly access: Access; readonly bounds: Bounds | undefined } {
  const matching = rules.filter((rule) => isFor(rule, credential));
  if (matching.length === 0) return { access: credential.access, bounds: undefined };
  let { access } = credential;
  const enforced = matching.filter(({ mode }) => mode === 'enforce');
  for (const rule of enforced) if (rule.access) access = narrow(access, rule.access);
  const shadow = matching.filter(({ mode }) => mode === 'shadow');
  return { access, bounds: Object.freeze({ enforced, shadow }) };
}

function isFor({ keys, subjects }: Rule, { keyId, subject }: { keyId: string; subject: string | undefined }): boolean {
  if (keys && !keys.has(keyId)) return false;
  return !subjects || subjects.has(subject ?? '');
}

function allows({ operations }: Rule, { name, audit }: Operation): boolean {
  return !operations || operations.has(name) || (audit !== null && operations.has(audit));
}

/** What both accesses permit, never more than either. */
export function narrow(left: Access, right: Access): Access {
  if (left.kind === 'global' && right.kind === 'global') return left.mode === 'r' ? left : right;
  if (left.kind === 'global') return right.kind === 'list' && left.mode === 'r' ? readingOnly(right) : right;
  if (right.kind === 'global') return right.mode === 'r' ? readingOnly(left) : left;
  const modes = new Map<string, CollectionMode>();
  for (const [name, mode] of left.modes) {
    const other = right.modes.get(name);
    if (other !== undefined) modes.set(name, narrowMode(mode, other));
  }
  return Object.freeze({ kind: 'list', modes });
}

function readingOnly(access: Extract<Access, { kind: 'list' }>): Access {
  const modes = new Map([...access.modes].map(([name, mode]) => [name, narrowMode(mode, 'r')] as const));
  return Object.freeze({ kind: 'list', modes });
}

/** Which of writing and extras a mode has beside reading points. */
const PARTS: Readonly<Record<CollectionMode, { readonly write: boolean; readonly extras: boolean }>> = {
  r: { write: false, extras: true },
  rw: { write: true, extras: true },
  prw: { write: true, extras: false },
  pr: { write: false, extras: false },
};

function narrowMode(left: CollectionMode, right: CollectionMode): CollectionMode {
  const write = PARTS[left].write && PARTS[right].write;
  const extras = PARTS[left].extras && PARTS[right].extras;
  if (write) return extras ? 'rw' : 'prw';
  return extras ? 'r' : 'pr';
}

/** The decision under bounds. @param access what was left of the principal's by `applyRules` */
export function decideWithin(access: Access, bounds: Bounds, operation: Operation, target: Target): Decision {
  if (!bounds.enforced.every((rule) => allows(rule, operation))) return operationNotAllowed(operation.name);
  const decision = decide(access, operation, target);
  if (decision.kind !== 'permit') return decision;
  // A rule in shadow may ask for the names in a body that the decision itself does not need.
  const waiting = bounds.shadow.map((rule) => decideByRule(rule, operation, target)).find(isConditional);
  return waiting ? { ...waiting, sure: decision } : decision;
}

/** What a rule alone says; `undefined` = it does not mind. */
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
 * @param target as it was before a body was read: where the message names it, it is taken from `found`
 * @param found what the body names, once it has been read
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

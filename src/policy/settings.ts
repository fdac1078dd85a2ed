import { type Access, type CollectionMode, GLOBAL_MANAGE, GLOBAL_READ } from './access.ts';
import type { Policy, PolicyMode, Rule } from './rules.ts';

/** A rule of the policy file: plain data that can be written to a file and sent to another process. */
export interface RuleSettings {
  readonly id: string;
  readonly mode: 'enforce' | 'shadow';
  readonly keys?: readonly string[] | undefined;
  readonly subjects?: readonly string[] | undefined;
  readonly access?: AccessSettings | undefined;
  readonly operations?: readonly string[] | undefined;
}

/** An access in the form of the `access` claim. */
export type AccessSettings =
  | 'r'
  | 'm'
  | readonly { readonly collection: string; readonly access: Exclude<CollectionMode, 'pr'> }[];

/** Builds the policy of these rules. */
export function policyOf(mode: PolicyMode, rules: readonly RuleSettings[]): Policy {
  return Object.freeze({ mode, rules: Object.freeze(rules.map(ruleOf)) });
}

function ruleOf({ id, mode, keys, subjects, access, operations }: RuleSettings): Rule {
  return Object.freeze({
    id,
    mode,
    keys: keys && new Set(keys),
    subjects: subjects && new Set(subjects),
    access: access === undefined ? undefined : accessOf(access),
    operations: operations && new Set(operations),
  });
}

function accessOf(access: AccessSettings): Access {
  if (access === 'm') return GLOBAL_MANAGE;
  if (access === 'r') return GLOBAL_READ;
  const modes = new Map(access.map((one) => [one.collection, one.access] as const));
  return Object.freeze({ kind: 'list', modes });
}

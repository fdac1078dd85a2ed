import type { LimitSettings } from '../../policy/limits/limits.ts';
import type { Problem } from '../problem.ts';
import type { YamlTree } from '../yaml/tree.ts';
import { checkName, type KnownOperations, unknownOperation } from './access-problems.ts';
import type { PolicyEntry } from './schema.ts';

/** The limits of a policy file, and the data to check them against. */
export interface LimitChecks {
  readonly tree: YamlTree;
  readonly limits: readonly PolicyEntry<LimitSettings>[];
  /** Ids of rules and guards, which share the member `rule` of the audit log with limits. */
  readonly ruleIds: ReadonlySet<string>;
  /** Operation names that limits may use; not checked if absent. */
  readonly operations: KnownOperations | undefined;
  /** The problem with the id of a key; `undefined` = there is such a key. */
  readonly keyProblem: (id: string) => string | undefined;
}

/** Checks limits beyond the schema. */
export function limitProblems(checks: LimitChecks): Problem[] {
  return checks.limits.flatMap((limit) => problemsOf(checks, limit));
}

function problemsOf(checks: LimitChecks, { entry, id, at }: PolicyEntry<LimitSettings>): Problem[] {
  const { tree, operations, ruleIds, keyProblem } = checks;
  const problems: Problem[] = [];
  const report = (field: readonly (string | number)[], message: string | undefined): void => {
    if (message !== undefined) problems.push({ place: tree.placeOf(['limits', at, ...field]), message });
  };
  if (id !== undefined && ruleIds.has(id)) report(['id'], `a rule or guard has the id \`${id}\``);
  if (!entry) return problems;
  if ([entry.requests, entry.bytes, entry.cost, entry.concurrent].every((amount) => amount === undefined)) {
    report([], `the limit \`${entry.id}\` limits nothing: set \`requests\`, \`bytes\`, \`cost\` or \`concurrent\``);
  }
  if (entry.carried && (entry.keys ?? entry.subjects)) {
    report(['carried'], '`carried` goes without `keys` and `subjects`: the keys name the limit');
  }
  for (const field of ['keys', 'subjects', 'collections', 'operations'] as const) {
    if (entry[field]?.length === 0)
      report([field], `\`${field}\` is empty, so the limit applies to nothing: add one or remove the list`);
  }
  for (const [index, key] of (entry.keys ?? []).entries()) report(['keys', index], keyProblem(key));
  for (const [index, name] of (entry.collections ?? []).entries()) {
    checkName(name, (message) => report(['collections', index], message));
  }
  for (const [index, name] of (entry.operations ?? []).entries()) {
    if (operations && !operations.has(name)) report(['operations', index], unknownOperation(name, operations));
  }
  return problems;
}

import type { GuardSettings } from '../../policy/settings.ts';
import type { Problem } from '../problem.ts';
import type { YamlTree } from '../yaml/tree.ts';
import { checkName } from './access-problems.ts';
import type { PolicyEntry } from './schema.ts';

/** Checks a guard beyond the schema. */
export function guardProblems(tree: YamlTree, { entry, at }: PolicyEntry<GuardSettings>): Problem[] {
  if (!entry) return [];
  const problems: Problem[] = [];
  const report = (field: readonly (string | number)[], message: string): void => {
    problems.push({ place: tree.placeOf(['guards', at, ...field]), message });
  };
  if (entry.protected === undefined && entry.freeze === undefined)
    report([], `the guard \`${entry.id}\` forbids nothing: set \`protected\` or \`freeze\``);
  for (const field of ['protected', 'freeze'] as const) {
    const names = entry[field];
    if (typeof names !== 'object') continue;
    if (names.length === 0) report([field], `\`${field}\` is empty, so it forbids nothing: add one or remove the list`);
    for (const [index, name] of names.entries()) checkName(name, (message) => report([field, index], message));
  }
  return problems;
}

import type { BoundSettings } from '../../policy/search/bounds.ts';
import type { GuardSettings } from '../../policy/settings.ts';
import type { Problem } from '../problem.ts';
import type { YamlTree } from '../yaml/tree.ts';
import { checkName } from './access-problems.ts';
import { BOUNDS } from './bounds-schema.ts';
import type { PolicyEntry } from './schema.ts';

/** Checks a guard beyond the schema. @param keyProblem the problem with the id of a key; `undefined` = there is such a key */
export function guardProblems(
  tree: YamlTree,
  { entry, at }: PolicyEntry<GuardSettings>,
  keyProblem: (id: string) => string | undefined,
): Problem[] {
  if (!entry) return [];
  const problems: Problem[] = [];
  const report = (field: readonly (string | number)[], message: string): void => {
    problems.push({ place: tree.placeOf(['guards', at, ...field]), message });
  };
  if (entry.protected === undefined && entry.freeze === undefined && entry.bounds === undefined)
    report([], `the guard \`${entry.id}\` forbids nothing: set \`protected\`, \`freeze\` or \`bounds\``);
  if (entry.bounds) boundProblems(entry.bounds, keyProblem, (field, message) => report(['bounds', ...field], message));
  for (const field of ['protected', 'freeze'] as const) {
    const names = entry[field];
    if (typeof names !== 'object') continue;
    if (names.length === 0) report([field], `\`${field}\` is empty, so it forbids nothing: add one or remove the list`);
    for (const [index, name] of names.entries()) checkName(name, (message) => report([field, index], message));
  }
  return problems;
}

function boundProblems(
  bounds: BoundSettings,
  keyProblem: (id: string) => string | undefined,
  report: (field: readonly (string | number)[], message: string) => void,
): void {
  if (BOUNDS.every((name) => bounds[name] === undefined || bounds[name] === true))
    report([], `\`bounds\` has no bound: set one of ${BOUNDS.map((name) => `\`${name}\``).join(', ')}`);
  for (const field of ['keys', 'subjects', 'collections'] as const) {
    if (bounds[field]?.length === 0)
      report([field], `\`${field}\` is empty, so the bounds hold for nothing: add one or remove the list`);
  }
  for (const [index, key] of (bounds.keys ?? []).entries()) {
    const problem = keyProblem(key);
    if (problem !== undefined) report(['keys', index], problem);
  }
  for (const [index, name] of (bounds.collections ?? []).entries()) {
    checkName(name, (message) => report(['collections', index], message));
  }
}

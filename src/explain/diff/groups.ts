import { mergedLabels } from '../space/merged-labels.ts';
import { operationName, type Row, rowsNamed } from '../space/operations.ts';
import type { PrincipalClass } from '../space/principal-class.ts';
import type { Role } from '../space/survey.ts';
import type { CellVerdict } from '../space/verdict.ts';
import type { Change, ChangeKind } from './changes.ts';

/** Changes of one kind that callers, collections and operations have in common: each of them with each. Plain data. */
export interface ChangeGroup {
  readonly kind: ChangeKind;
  readonly role: Role;
  /** Verdicts in words. */
  readonly from: string;
  readonly to: string;
  readonly callers: readonly string[];
  /** The same in fewer words: traits of tokens that do not matter are left out. */
  readonly merged_callers: readonly string[];
  /** Empty = the operations are on no collection. */
  readonly collections: readonly string[];
  readonly operations: readonly string[];
}

const ORDER: readonly ChangeKind[] = ['gains', 'loses', 'changes', 'refused otherwise'];

/** Groups changes. Every change is in one group, and a group holds nothing else. @param all every caller that was asked */
export function groupChanges(changes: readonly Change[], all: readonly PrincipalClass[]): readonly ChangeGroup[] {
  const byPlace = [...Map.groupBy(changes, placeKey).values()].map((all) => ({
    one: all[0] as Change,
    operations: operationNames(all.flatMap(({ rows }) => rows.rows)),
  }));
  const byCaller = Map.groupBy(byPlace, ({ one, operations }) => JSON.stringify([shape(one), one.place, operations]));
  const withCallers = [...byCaller.values()].map((same) => {
    const { one, operations } = same[0] as (typeof same)[number];
    return { one, operations, callers: [...new Set(same.map((each) => each.one.principal))] };
  });
  const byAll = Map.groupBy(withCallers, ({ one, operations, callers }) =>
    JSON.stringify([shape(one), operations, callers.map(({ label }) => label)]),
  );
  const groups = [...byAll.values()].map((same): ChangeGroup => {
    const { one, operations, callers } = same[0] as (typeof same)[number];
    const collections = same.map((each) => each.one.place).filter((place) => place !== '');
    const { kind, role } = one;
    return {
      kind,
      role,
      from: verdictText(one.from),
      to: verdictText(one.to),
      callers: callers.map(({ label }) => label),
      merged_callers: mergedLabels(callers, all),
      collections,
      operations,
    };
  });
  return groups.sort((left, right) => ORDER.indexOf(left.kind) - ORDER.indexOf(right.kind));
}

function placeKey(change: Change): string {
  return JSON.stringify([change.principal.label, change.place, shape(change)]);
}

function shape({ kind, role, from, to }: Change): readonly string[] {
  return [kind, role, verdictText(from), verdictText(to)];
}

/** A verdict in words. */
export function verdictText({ allowed, code, conditions }: CellVerdict): string {
  if (!allowed) return code === undefined ? 'not possible' : `denied (${code})`;
  return conditions.length === 0 ? 'allowed' : `allowed (${conditions.join('; ')})`;
}

/** The names of operations: that of the audit log where all of its rows are among them. */
export function operationNames(rows: readonly Row[]): readonly string[] {
  const own = new Set(rows.map(({ operation }) => operation.name));
  const names = rows.map((row) => {
    const name = operationName(row);
    return rowsNamed(name).every(({ operation }) => own.has(operation.name)) ? name : row.operation.name;
  });
  return [...new Set(names)].sort();
}

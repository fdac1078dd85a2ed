import type { OfflineParts } from './parts.ts';
import { operationName, type Row, rowsNamed } from './space/operations.ts';
import { type Space, type Surveyed, survey } from './space/survey.ts';

/** The access of one caller to operations that are alike for every caller. Plain data: the form of `--json`. */
export interface MatrixCell {
  readonly caller: string;
  /** `all`, `none`, or the classes of collections where it is allowed. */
  readonly allowed: 'all' | 'none' | readonly string[];
  /** Restrictions: tenants, bounds, limits and shadows, each once. */
  readonly conditions: readonly string[];
}

/** Operations with the same cells for every caller. */
export interface MatrixRow {
  readonly operations: readonly string[];
  readonly cells: readonly MatrixCell[];
}

/** The access matrix of a state. */
export interface AccessMatrix {
  readonly callers: readonly string[];
  /** Labels of the classes of collections: names, `docs-*`, and `*` for all others. */
  readonly collections: readonly string[];
  readonly rows: readonly MatrixRow[];
}

/** One row while it is filled. */
interface Filling {
  readonly row: Row;
  readonly cells: Map<string, { readonly allowed: string[]; total: number; readonly conditions: Set<string> }>;
}

/** The access matrix: each operation, each caller, and where it is allowed. */
export async function accessMatrix(parts: OfflineParts, space: Space): Promise<AccessMatrix> {
  const filling = new Map<string, Filling>();
  await survey([parts], space, (one) => fill(filling, one));
  const callers = space.principals.map(({ label }) => label);
  const lines = [...filling.values()].map(({ row, cells }) => ({
    row,
    cells: callers.map((caller): MatrixCell => {
      const { allowed = [], total = 0, conditions = [] } = cells.get(caller) ?? {};
      const all = allowed.length === total && total > 0;
      return {
        caller,
        allowed: all ? 'all' : allowed.length === 0 ? 'none' : allowed,
        conditions: [...conditions].sort(),
      };
    }),
  }));
  return { callers, collections: space.collections.map(({ label }) => label), rows: mergedRows(lines) };
}

function fill(filling: Map<string, Filling>, { principal, role, place, rows, verdicts }: Surveyed): void {
  const [verdict] = verdicts;
  const where = role === 'aliases' ? sameName(place) : role === 'on' || role === 'global' ? place : undefined;
  if (!verdict || where === undefined) return;
  for (const row of rows.rows) {
    const key = `${row.protocol} ${row.operation.name}`;
    const line = filling.get(key) ?? { row, cells: new Map() };
    filling.set(key, line);
    const cell = line.cells.get(principal.label) ?? { allowed: [], total: 0, conditions: new Set<string>() };
    line.cells.set(principal.label, cell);
    cell.total += 1;
    if (!verdict.allowed) continue;
    cell.allowed.push(where);
    for (const condition of verdict.conditions) cell.conditions.add(condition);
  }
}

/** Of a pair of names: an alias inside of one class stands for it. */
function sameName(pair: string): string | undefined {
  const [one, other] = pair.split(' -> ');
  return one === other ? one : undefined;
}

/** Rows with the same cells, under the names of their operations: that of both protocols where all of its rows are alike. */
function mergedRows(
  lines: readonly { readonly row: Row; readonly cells: readonly MatrixCell[] }[],
): readonly MatrixRow[] {
  const alike = Map.groupBy(lines, ({ cells }) => JSON.stringify(cells));
  return [...alike.values()].flatMap((all) => {
    const [first] = all;
    if (!first) return [];
    const own = new Set(all.map(({ row }) => row.operation.name));
    const names = all.map(({ row }) => {
      const name = operationName(row);
      return rowsNamed(name).every(({ operation }) => own.has(operation.name)) ? name : row.operation.name;
    });
    return { operations: [...new Set(names)].sort(), cells: first.cells };
  });
}

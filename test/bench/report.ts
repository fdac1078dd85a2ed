import { type Cell, cellOf, notesOn } from './figures.ts';
import type { ColumnResult, Family, FigureName, RowResult } from './plan.ts';
import type { Spread } from './statistics.ts';
import { markdownTable } from './table.ts';

type Texts = { readonly unit: string; readonly digits: number; readonly divisor: number };

/** How each figure is written. */
export const UNITS: Readonly<Record<FigureName, Texts>> = {
  cpu: { unit: 'us', digits: 0, divisor: 1 },
  p50: { unit: 'ms', digits: 2, divisor: 1 },
  p99: { unit: 'ms', digits: 2, divisor: 1 },
  bytes: { unit: 'KiB', digits: 1, divisor: 1024 },
  rate: { unit: 'MB/s', digits: 0, divisor: 1e6 },
};

/** `41 (30-50)`: median, smallest and largest, divided by `by`. Small microseconds get a decimal. */
export function spreadText({ median, min, max }: Spread, name: FigureName, by = 1): string {
  const { digits, divisor } = UNITS[name];
  const decimals = name === 'cpu' && median / by < 100 ? 1 : digits;
  const [middle, low, high] = [median, min, max].map((one) => (one / divisor / by).toFixed(decimals));
  return `${middle} (${low}-${high})`;
}

/** `x 1.20 (1.10-1.31)` */
export const ratioText = ({ median, min, max }: Spread): string =>
  `x ${median.toFixed(2)} (${min.toFixed(2)}-${max.toFixed(2)})`;

const figureText = (cell: Cell, name: FigureName, by = 1): string => {
  if (cell.kind === 'figures') return spreadText(cell.spread, name, by);
  return cell.invalid ? 'INVALID' : '-';
};

const ratioOrDash = (cell: Cell): string => (cell.kind === 'figures' && cell.ratio ? ratioText(cell.ratio) : '-');

const labelsOf = (rows: readonly RowResult[]): string[] => (rows[0]?.columns ?? []).map(({ label }) => label);

const each = (row: RowResult, text: (column: ColumnResult) => string): string[] => row.columns.map(text);

function costTables(rows: readonly RowResult[]): string {
  const labels = labelsOf(rows);
  const figures = rows.flatMap((row) => {
    const line = [row.title, ...each(row, (column) => figureText(cellOf(row, column, 'cpu'), 'cpu'))];
    const { mebibytes } = row;
    if (mebibytes === undefined) return [line];
    const perMib = each(row, (column) => figureText(cellOf(row, column, 'cpu'), 'cpu', mebibytes));
    return [line, [`${row.title}, per MiB`, ...perMib]];
  });
  const ratios = rows.map((row) => [row.title, ...each(row, (column) => ratioOrDash(cellOf(row, column, 'cpu')))]);
  return [
    'CPU microseconds per request, median (smallest-largest):',
    markdownTable([['workload', ...labels], ...figures]),
    'The same, times `ours, collection JWT` in the same round (above 1 is dearer than ours):',
    markdownTable([['workload', ...labels], ...ratios]),
  ].join('\n\n');
}

function latencyTable(rows: readonly RowResult[]): string {
  const lines = rows.flatMap((row) =>
    row.figures.map((name) => [
      `${row.title}, ${name}`,
      ...each(row, (column) => figureText(cellOf(row, column, name), name)),
    ]),
  );
  return `Milliseconds from the time a request was due to its answer:\n\n${markdownTable([['row', ...labelsOf(rows)], ...lines])}`;
}

/** Rows whose columns are their own: the label stands in the cell. */
function ownColumns(rows: readonly RowResult[], head: string, text: (row: RowResult, column: ColumnResult) => string) {
  const width = Math.max(...rows.map(({ columns }) => columns.length));
  const lines = rows.map((row) => {
    const cells = each(row, (column) => `${column.label}: ${text(row, column)}`);
    return [row.title, ...cells, ...Array<string>(width - cells.length).fill('')];
  });
  return markdownTable([[head, ...Array<string>(width).fill('')], ...lines]);
}

function growthLines(rows: readonly RowResult[]): string {
  const text = (row: RowResult, column: ColumnResult): string => {
    const cell = cellOf(row, column, 'cpu');
    return column.id === row.base ? `${figureText(cell, 'cpu')} us` : ratioOrDash(cell);
  };
  return ownColumns(rows, 'with', text);
}

function growthTable(rows: readonly RowResult[]): string {
  return `CPU per request of this gateway, and times the first column in the same round:\n\n${growthLines(rows)}`;
}

function nestingTables(rows: readonly RowResult[]): string {
  const [pairs, rates] = [rows.filter(({ base }) => base !== null), rows.filter(({ base }) => base === null)];
  const tables: string[] = [];
  if (pairs.length > 0) tables.push(`The same request without the nesting guard and with it:\n\n${growthLines(pairs)}`);
  if (rates.length > 0) {
    const text = (row: RowResult, column: ColumnResult): string =>
      `${figureText(cellOf(row, column, 'rate'), 'rate')} MB/s`;
    tables.push(`What the nesting guard reads on one core:\n\n${ownColumns(rates, 'bodies', text)}`);
  }
  return tables.join('\n\n');
}

function memoryTable(rows: readonly RowResult[]): string {
  const text = (row: RowResult, column: ColumnResult): string =>
    `${figureText(cellOf(row, column, 'bytes'), 'bytes')} KiB`;
  return `Memory of this gateway:\n\n${ownColumns(rows, 'row', text)}`;
}

const TABLES: Readonly<Record<Family, (rows: readonly RowResult[]) => string>> = {
  cost: costTables,
  latency: latencyTable,
  growth: growthTable,
  nesting: nestingTables,
  memory: memoryTable,
};

function notes(rows: readonly RowResult[]): string {
  const lines = rows.flatMap((row) => {
    const told = new Map<string, string[]>();
    for (const column of row.columns) {
      for (const { says, detail } of notesOn(row, column)) {
        told.set(says, [...(told.get(says) ?? []), `${column.label} (${detail})`]);
      }
    }
    return [...told].map(([says, who]) => `- ${row.id}, ${says}: ${who.join(', ')}`);
  });
  return lines.join('\n');
}

/** The results as Markdown: a table for each family that was measured, then what must be known to trust them. */
export function markdownReport(results: readonly RowResult[], caption: string): string {
  const tables = (Object.keys(TABLES) as Family[]).flatMap((family) => {
    const rows = results.filter((row) => row.family === family);
    return rows.length === 0 ? [] : [TABLES[family](rows)];
  });
  const noted = notes(results);
  return [...tables, ...(noted === '' ? [] : [noted]), caption].join('\n\n');
}

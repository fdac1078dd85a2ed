import { printable } from '../../text/printable.ts';

/**
 * Rows under a heading, in columns of the width of their longest cell. Cells are made printable: no text of a caller moves the
 * cursor or adds a line.
 */
export function textTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heading, ...rows].map((row) => row.map(printable));
  const widths = heading.map((_, column) => Math.max(...all.map((row) => [...(row[column] ?? '')].length)));
  const padded = (cell: string, at: number) => cell + ' '.repeat((widths[at] ?? 0) - [...cell].length);
  return all.map((row) => `${row.map(padded).join('  ').trimEnd()}\n`).join('');
}

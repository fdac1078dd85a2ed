import { LABEL_VALUES, METRICS, type MetricRow, PREFIX } from '../../src/observability/metrics/names.ts';

/*
 * The two tables of `docs/reference/metrics.md`, from the table the metrics are declared in.
 *
 *   node setup.mjs test/support/metrics-document.ts
 */

/** The codes have a page of their own. */
const CODES = '`none`, or a [denial code](denial-codes.md)';

/** One row for each metric. */
export function metricsTable(): string {
  const rows = Object.entries(METRICS).map(([name, { type, labels, help }]: [string, MetricRow]) => {
    const shown = labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${PREFIX}${name}\` | ${type} | ${shown || '-'} | ${help} |`;
  });
  return ['| metric | type | labels | what it says |', '|---|---|---|---|', ...rows].join('\n');
}

/** One row for each label whose values are a fixed list. */
export function labelsTable(): string {
  const rows = Object.entries(LABEL_VALUES).flatMap(([label, values]) =>
    values ? [`| \`${label}\` | ${label === 'code' ? CODES : values.map((value) => `\`${value}\``).join(', ')} |`] : [],
  );
  return ['| label | values |', '|---|---|', ...rows].join('\n');
}

if (import.meta.main) process.stdout.write(`${metricsTable()}\n\n${labelsTable()}\n`);

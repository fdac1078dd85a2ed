import type { AccessMatrix, MatrixCell } from '../../explain/matrix.ts';
import { printable } from '../../text/printable.ts';
import { xmlText } from './case-formats.ts';
import { markdownText } from './diff-formats.ts';
import { notesText } from './policy-diff.ts';

/** A matrix, and the callers that it leaves out, as sentences. */
export interface NotedMatrix extends AccessMatrix {
  readonly notes: readonly string[];
}

/** Where a caller is allowed, in words. */
function whereText({ allowed }: MatrixCell): string {
  if (allowed === 'all') return 'yes';
  return allowed === 'none' ? '-' : allowed.join(', ');
}

/** One block for each caller: where it is allowed, and the operations there. */
export function matrixText({ callers, rows, notes }: NotedMatrix): string {
  const blocks = callers.map((caller) => {
    const own = rows.flatMap(({ operations, cells }) => {
      const cell = cells.find((one) => one.caller === caller);
      return cell && cell.allowed !== 'none' ? [{ cell, operations }] : [];
    });
    const alike = Map.groupBy(own, ({ cell }) => JSON.stringify([cell.allowed, cell.conditions]));
    const lines = [...alike.values()].map((all) => {
      const operations = all.flatMap((one) => one.operations).sort();
      const [first] = all;
      const where = first ? `${first.cell.allowed === 'all' ? 'everywhere' : whereText(first.cell)}` : '';
      const conditions = first?.cell.conditions.join('; ') ?? '';
      return `  ${printable(where)}${conditions === '' ? '' : ` (${printable(conditions)})`}\n    ${operations.map(printable).join(', ')}\n`;
    });
    return `${printable(caller)}\n${lines.length === 0 ? '  nothing\n' : lines.join('')}`;
  });
  return `${blocks.join('')}${notesText(notes)}`;
}

/** A table: operations in rows, callers in columns. */
export function matrixMarkdown({ callers, rows, notes }: NotedMatrix): string {
  const heading = `| operations | ${callers.map(markdownText).join(' | ')} |\n|---|${callers.map(() => '---|').join('')}\n`;
  const lines = rows.map(({ operations, cells }) => {
    const shown = cells.map((cell) => {
      const where = markdownText(whereText(cell));
      return cell.conditions.length === 0 ? where : `${where}<br>${cell.conditions.map(markdownText).join('<br>')}`;
    });
    return `| ${operations.map((one) => `\`${one}\``).join(', ')} | ${shown.join(' | ')} |\n`;
  });
  return `${heading}${lines.join('')}${notesText(notes)}`;
}

const STYLE = `
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; color-scheme: light dark; }
table { border-collapse: collapse; }
th, td { border: 1px solid #8886; padding: .3rem .5rem; text-align: left; vertical-align: top; }
th.caller { writing-mode: vertical-rl; }
td.all { background: #2a93; } td.some { background: #da33; } td.none { color: #8889; }
small { display: block; }
`;

/** A page of its own, without script and without anything from elsewhere. */
export function matrixHtml({ callers, collections, rows, notes }: NotedMatrix): string {
  const heads = callers.map((caller) => `<th scope="col" class="caller">${xmlText(caller)}</th>`).join('');
  const lines = rows.map(({ operations, cells }) => {
    const shown = cells.map((cell) => {
      const kind = typeof cell.allowed === 'string' ? cell.allowed : 'some';
      const conditions = cell.conditions.map((one) => `<small>${xmlText(one)}</small>`).join('');
      return `<td class="${kind}">${xmlText(whereText(cell))}${conditions}</td>`;
    });
    return `<tr><th scope="row">${operations.map(xmlText).join('<br>')}</th>${shown.join('')}</tr>`;
  });
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Access matrix</title><style>${STYLE}</style></head>
<body>
<h1>Access matrix</h1>
<p>Classes of collections: ${xmlText(collections.join(', '))}. <b>*</b> stands for all others.${notes.map((note) => ` Note: ${xmlText(note)}.`).join('')}</p>
<table>
<thead><tr><th scope="col">operations</th>${heads}</tr></thead>
<tbody>
${lines.join('\n')}
</tbody>
</table>
</body>
</html>
`;
}

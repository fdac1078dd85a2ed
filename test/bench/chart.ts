import { type Cell, cellOf } from './figures.ts';
import type { ColumnResult, FigureName, RowResult } from './plan.ts';
import { UNITS } from './report.ts';
import type { Spread } from './statistics.ts';

const PANEL = { width: 560, labels: 158, values: 172, heading: 40, gap: 18 } as const;
const BAR = 15;
const STEP = 22;
const PADDING = 16;
const FOOTER = 34;
const COLUMNS = 2;
const NOTE_CHARACTERS = 44;

/** The card is opaque, so that it can be read on any page; viewers that prefer dark get a dark card. */
const STYLE = `
.card{fill:#ffffff;stroke:#d0d7de}.text{fill:#1f2328}.faint{fill:#59636e}.ours{fill:#c2410c}.peer{fill:#64748b}
.tail{opacity:.38}.range{stroke:#1f2328;stroke-width:1.3;fill:none}.axis{stroke:#d0d7de}
@media (prefers-color-scheme:dark){.card{fill:#0d1117;stroke:#3d444d}.text{fill:#f0f6fc}.faint{fill:#9198a1}
.ours{fill:#f97316}.peer{fill:#8593a8}.range{stroke:#f0f6fc}.axis{stroke:#3d444d}}`;

/** A bar: from nothing to `value`, a line from `low` to `high`, a lighter bar on to `tail`. */
type Bar = {
  readonly label: string;
  readonly ours: boolean;
  readonly shown: { readonly spread: Spread; readonly tail: number; readonly text: string } | string;
};

type Panel = { readonly title: string; readonly bars: readonly Bar[] };

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const textAt = (x: number, y: number, style: string, content: string): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${style}>${escapeXml(content)}</text>`;

const number = (value: number): string => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

function valueText(name: FigureName, { spread, ratio }: Extract<Cell, { kind: 'figures' }>, isBase: boolean): string {
  const { unit, divisor } = UNITS[name];
  const range = `${number(spread.median / divisor)} ${unit}`;
  return ratio === null || isBase ? range : `${range}, x ${ratio.median.toFixed(2)}`;
}

function shownOf(row: RowResult, column: ColumnResult): Bar['shown'] {
  const [first = 'cpu', last = first] = row.figures;
  const [cell, tail] = [cellOf(row, column, first), cellOf(row, column, last)];
  if (cell.kind === 'none') return cell.invalid ? 'INVALID' : cell.why;
  if (tail.kind === 'none') return 'INVALID';
  const text =
    row.family === 'latency'
      ? `${number(cell.spread.median)}, ${number(tail.spread.median)} ms`
      : valueText(first, cell, column.id === row.base);
  return { spread: cell.spread, tail: tail.spread.median, text };
}

function panelOf(row: RowResult): Panel {
  const compares = row.family === 'cost' || row.family === 'latency';
  return {
    title: row.family === 'latency' ? `${row.title}: p50, p99` : row.title,
    bars: row.columns.map((column) => ({
      label: column.label,
      ours: !compares || column.id.startsWith('ours'),
      shown: shownOf(row, column),
    })),
  };
}

function drawBar({ label, ours, shown }: Bar, top: number, scale: number): string {
  const middle = top + BAR / 2;
  const name = textAt(PANEL.labels - 8, middle + 4, 'class="text" text-anchor="end"', label);
  if (typeof shown === 'string') {
    const short = shown.length > NOTE_CHARACTERS ? `${shown.slice(0, NOTE_CHARACTERS)}...` : shown;
    return name + textAt(PANEL.labels + 4, middle + 4, 'class="faint"', short);
  }
  const { spread, tail, text } = shown;
  const kind = ours ? 'ours' : 'peer';
  const rect = (width: number, style: string): string =>
    `<rect x="${PANEL.labels}" y="${top}" width="${Math.max(1, width * scale).toFixed(1)}" height="${BAR}" class="${style}"/>`;
  const [from, to] = [spread.min, spread.max].map((one) => (PANEL.labels + one * scale).toFixed(1));
  const end = PANEL.labels + Math.max(spread.max, tail) * scale;
  return [
    name,
    tail > spread.median ? rect(tail, `${kind} tail`) : '',
    rect(spread.median, kind),
    `<path d="M${from} ${middle}H${to}" class="range"/>`,
    textAt(end + 7, middle + 4, 'class="text"', text),
  ].join('');
}

const heightOf = ({ bars }: Panel): number => PANEL.heading + bars.length * STEP + PANEL.gap;

function drawPanel({ title, bars }: Panel, x: number, y: number): string {
  const largest = Math.max(
    Number.MIN_VALUE,
    ...bars.map(({ shown }) => (typeof shown === 'string' ? 0 : Math.max(shown.spread.max, shown.tail))),
  );
  const scale = (PANEL.width - PANEL.labels - PANEL.values) / largest;
  const drawn = bars.map((bar, index) => drawBar(bar, PANEL.heading + index * STEP, scale));
  const axis = `<path d="M${PANEL.labels} ${PANEL.heading - 5}v${bars.length * STEP + 3}" class="axis"/>`;
  const heading = textAt(12, 25, 'class="text" font-weight="bold"', title);
  return `<g transform="translate(${x} ${y})">${heading}${axis}${drawn.join('\n')}</g>`;
}

/** Puts each panel below the shorter column, in order. */
function placed(panels: readonly Panel[]): { readonly drawn: string[]; readonly height: number } {
  const heights = Array<number>(COLUMNS).fill(PADDING);
  const drawn = panels.map((panel) => {
    const column = heights.indexOf(Math.min(...heights));
    const y = heights[column] ?? 0;
    heights[column] = y + heightOf(panel);
    return drawPanel(panel, PADDING + column * PANEL.width, y);
  });
  return { drawn, height: Math.max(...heights) };
}

const LEGEND = [
  'us: CPU time per request, median of all rounds; the line in a bar runs from the smallest to the largest',
  'x: times ours with a collection JWT, or times the first bar where all bars are of this gateway',
];

/**
 * Bar charts of all rows: a bar is the median, the line in it runs from the smallest to the largest round, the lighter
 * bar of a latency is the 99th percentile.
 */
export function chartSvg(rows: readonly RowResult[], caption: string): string {
  const { drawn, height } = placed(rows.map(panelOf));
  const width = PADDING * 2 + COLUMNS * PANEL.width;
  const lines = [...LEGEND, ...caption.split('; ')];
  const total = height + FOOTER + lines.length * 15;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" font-family="sans-serif" font-size="13">`,
    `<title>Benchmark: CPU per request, latency, growth and memory</title><style>${STYLE}</style>`,
    `<rect x=".5" y=".5" width="${width - 1}" height="${total - 1}" rx="8" class="card"/>`,
    ...drawn,
    ...lines.map((line, index) =>
      textAt(PADDING + 12, height + 22 + index * 15, 'class="faint" font-size="11"', line.trim()),
    ),
    '</svg>\n',
  ].join('\n');
}

import type { Workload } from './measure.ts';
import { type Cell, type Contestant, cellOf } from './report.ts';

const WIDTH = 760;
const LABELS = 190;
const VALUES = 150;
const BAR = 18;
const STEP = 28;
const HEADING = 44;

const TITLES: Readonly<Record<Workload, string>> = {
  rest: 'REST, keep-alive, 1 KiB answers',
  grpc: 'gRPC, 8 connections x 16 streams, 1 KiB answers',
};

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const text = (x: number, y: number, style: string, content: string): string =>
  `<text x="${x}" y="${y}" ${style}>${escapeXml(content)}</text>`;

function bar(contestant: Contestant, cell: Cell, top: number, scale: number): string {
  const middle = top + BAR / 2;
  const name = text(LABELS - 8, middle + 4, 'text-anchor="end"', contestant.label);
  if (cell.kind === 'none') return name + text(LABELS, middle + 4, 'fill="#777"', cell.why);
  const { median, min, max } = cell.cpu;
  const fill = contestant.id.startsWith('ours') ? '#c2410c' : '#64748b';
  const [from, to] = [LABELS + min * scale, LABELS + max * scale];
  const ratio = cell.ratio === null ? '' : `, x ${cell.ratio.median.toFixed(2)}`;
  return [
    name,
    `<rect x="${LABELS}" y="${top}" width="${(median * scale).toFixed(1)}" height="${BAR}" fill="${fill}"/>`,
    `<path d="M${from.toFixed(1)} ${middle}H${to.toFixed(1)}" stroke="#111" stroke-width="1.5"/>`,
    text(Math.round(LABELS + Math.max(median, max) * scale + 8), middle + 4, '', `${median.toFixed(0)} us${ratio}`),
  ].join('');
}

function panel(workload: Workload, contestants: readonly Contestant[], base: Contestant | undefined, top: number) {
  const cells = contestants.map((contestant) => cellOf(contestant, workload, base));
  const largest = Math.max(1, ...cells.map((cell) => (cell.kind === 'figures' ? cell.cpu.max : 0)));
  const scale = (WIDTH - LABELS - VALUES) / largest;
  const bars = contestants.map((contestant, index) => {
    const cell = cells[index] ?? { kind: 'none', why: 'not measured' };
    return bar(contestant, cell, top + HEADING + index * STEP, scale);
  });
  return [text(10, top + 28, 'font-weight="bold"', TITLES[workload]), ...bars].join('\n');
}

/** A bar chart of CPU microseconds per request: a bar is the median, the line in it runs from smallest to largest. */
export function chartSvg(contestants: readonly Contestant[], base: Contestant | undefined, caption: string): string {
  const height = HEADING + contestants.length * STEP;
  const total = 2 * height + 40;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${total}" font-family="sans-serif" font-size="13">`,
    `<title>CPU microseconds per request</title><rect width="${WIDTH}" height="${total}" fill="#fff"/>`,
    panel('rest', contestants, base, 0),
    panel('grpc', contestants, base, height),
    text(10, total - 12, 'font-size="11" fill="#555"', caption),
    '</svg>\n',
  ].join('\n');
}

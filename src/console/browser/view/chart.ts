import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { el, use } from './dom.ts';

/** A line of a chart. */
export interface Line {
  readonly label: string;
  /** Number of the colour in the style sheet, from 1. */
  readonly colour: 1 | 2 | 3 | 4 | 5;
  readonly values: readonly (number | null)[];
  readonly fill?: boolean;
}

export interface ChartProps {
  /** The whole chart in a sentence: drawings are not read out. */
  readonly told: string;
  /** Seconds since 1970. */
  readonly at: readonly number[];
  readonly lines: readonly Line[];
  /** Top of the chart while all values are smaller. */
  readonly least: number;
  /** The newest value of a line in words. */
  readonly shown: (value: number | null) => string;
}

/** Lines over time, with a legend that holds the newest values. */
export function chart(props: ChartProps): VNode {
  return use(Chart, props);
}

function Chart({ told, at, lines, shown, least }: ChartProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot | undefined>(undefined);
  const data = [at, ...lines.map(({ values }) => values)] as unknown as uPlot.AlignedData;
  const newest = useRef(data);
  newest.current = data;
  useEffect(() => {
    const host = place.current;
    if (!host) return undefined;
    const draw = (): void => {
      drawn.current?.destroy();
      drawn.current = new uPlot(optionsFor(host, lines, shown, least), newest.current, host);
    };
    draw();
    const resized = new ResizeObserver(() => {
      if (host.clientWidth > 0) drawn.current?.setSize({ width: host.clientWidth, height: host.clientHeight });
    });
    resized.observe(host);
    // Colours of the canvas are those of the theme.
    const themed = new MutationObserver(draw);
    themed.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    const system = matchMedia('(prefers-color-scheme: dark)');
    system.addEventListener('change', draw);
    return () => {
      resized.disconnect();
      themed.disconnect();
      system.removeEventListener('change', draw);
      drawn.current?.destroy();
      drawn.current = undefined;
    };
  }, []);
  useEffect(() => drawn.current?.setData(data));
  return el(
    'div',
    null,
    el(
      'ul',
      { class: 'chart-legend' },
      lines.map(({ label, colour, values }) =>
        el(
          'li',
          null,
          el('span', { class: `swatch c${colour}` }),
          label,
          ' ',
          el('b', null, shown(values.at(-1) ?? null)),
        ),
      ),
    ),
    el('div', { class: 'chart', ref: place, role: 'img', 'aria-label': told }),
  );
}

function optionsFor(
  host: HTMLElement,
  lines: readonly Line[],
  shown: ChartProps['shown'],
  least: number,
): uPlot.Options {
  const colour = (name: string): string => colourOf(host, `var(${name})`);
  const axis: uPlot.Axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: '12px system-ui, sans-serif',
  };
  return {
    width: Math.max(host.clientWidth, 120),
    height: host.clientHeight,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 4, 0, 0],
    scales: { y: { range: (_, _low, high) => [0, Math.max(high ?? 0, least) * 1.12] } },
    axes: [
      { ...axis, values: (_, all, _axis, _space, step) => all.map((at) => clockText(at, step)), space: 76, size: 30 },
      { ...axis, values: (_, all) => all.map((value) => shown(value)), size: 62, space: 34 },
    ],
    series: [
      {},
      ...lines.map(({ label, colour: at, fill }): uPlot.Series => {
        const stroke = colour(`--chart-${at}`);
        return {
          label,
          stroke,
          width: 2,
          points: { show: false },
          spanGaps: true,
          ...(fill && { fill: colourOf(host, `color-mix(in srgb, var(--chart-${at}) 15%, transparent)`) }),
        };
      }),
    ],
  };
}

/** With seconds where the marks are closer than a minute. */
function clockText(seconds: number, step: number): string {
  const at = new Date(seconds * 1000);
  const parts = [at.getHours(), at.getMinutes(), ...(step < 60 ? [at.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

/** A colour of the style sheet as the theme has it now: a canvas takes no name of one. */
function colourOf(host: HTMLElement, value: string): string {
  const probe = document.createElement('span');
  probe.style.color = value;
  host.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** A rectangle with lines of text. What stands in backticks in a line is a name that exists, and is set in fixed width. */
export interface Box {
  readonly at: readonly [x: number, y: number];
  readonly size: readonly [width: number, height: number];
  /** A frame holds other boxes, and its texts stand at its top. */
  readonly kind: 'box' | 'core' | 'frame';
  readonly head?: string;
  readonly lines?: readonly string[];
}

/** A line with a tip at its end. */
export interface Arrow {
  /** `x,y` of each corner, as in a polyline of SVG. */
  readonly points: string;
  readonly kind: 'way' | 'refused';
  readonly label?: { readonly at: readonly [x: number, y: number]; readonly text: string };
}

/** One picture: its file below `docs`, its size in pixels, its parts. */
export interface Diagram {
  readonly file: string;
  readonly title: string;
  /** What the picture shows, for those who do not see it. */
  readonly description: string;
  readonly size: readonly [width: number, height: number];
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
}

/** Colours of one scheme. */
export interface Palette {
  readonly ground: string;
  readonly box: string;
  readonly core: string;
  readonly frame: string;
  readonly text: string;
  readonly small: string;
  readonly line: string;
  readonly refused: string;
}

/** The colours of both schemes. The ground is opaque: a page of either colour may be around it. */
export const PALETTES: Readonly<Record<'light' | 'dark', Palette>> = {
  light: {
    ...{ ground: '#f8fafc', box: '#ffffff', core: '#eef2ff', frame: '#f1f5f9' },
    ...{ text: '#1f2937', small: '#475569', line: '#475569', refused: '#b91c1c' },
  },
  dark: {
    ...{ ground: '#0f172a', box: '#1e293b', core: '#312e81', frame: '#172033' },
    ...{ text: '#f1f5f9', small: '#cbd5e1', line: '#94a3b8', refused: '#fca5a5' },
  },
};

/** Sizes of letters in pixels, and the mean width of a letter as a part of that. */
export const LETTER = {
  head: 13.5,
  small: 12.5,
  code: 11.5,
  headWidth: 0.62,
  meanWidth: 0.58,
  codeWidth: 0.62,
} as const;
const LINE_HEIGHT = 19;
const [TOP, PADDING] = [24, 10];

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** The names in backticks. */
export const namesIn = (text: string): readonly string[] =>
  [...text.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);

/** Width of a line in pixels, about. */
export function widthOf(text: string, head: boolean): number {
  const code = namesIn(text).join('');
  const plain = text.replaceAll('`', '').length - code.length;
  const letter = head ? LETTER.head * LETTER.headWidth : LETTER.small * LETTER.meanWidth;
  return plain * letter + code.length * LETTER.code * LETTER.codeWidth;
}

function styleOf({ ground, box, core, frame, text, small, line, refused }: Palette): string {
  return [
    `.ground{fill:${ground};stroke:${line}}.box{fill:${box};stroke:${line}}.core{fill:${core};stroke:${line}}`,
    `.frame{fill:${frame};stroke:${line};stroke-dasharray:4 3}text{fill:${text}}.small{fill:${small}}.code{fill:${text}}`,
    `.way{stroke:${line}}.refused{stroke:${refused}}.no{fill:${refused}}.tip{fill:${line}}.stop{fill:${refused}}`,
  ].join('');
}

const FONT = 'system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif';
const FIXED = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace';

function textAt(text: string, x: number, y: number, classes: string): string {
  const parts = escaped(text)
    .split('`')
    .map((part, at) => (at % 2 === 1 ? `<tspan class="code">${part}</tspan>` : part));
  return `<text class="${classes}" x="${x}" y="${y}" text-anchor="middle">${parts.join('')}</text>`;
}

function boxOf({ at: [x, y], size: [width, height], kind, head, lines = [] }: Box): string {
  const middle = x + width / 2;
  const texts = [
    ...(head === undefined ? [] : [textAt(head, middle, y + TOP, 'head')]),
    ...lines.map((line, index) => {
      const above = head === undefined ? TOP - 4 : TOP + LINE_HEIGHT + 1;
      return textAt(line, middle, y + above + index * LINE_HEIGHT, 'small');
    }),
  ];
  return [`<rect class="${kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="7"/>`, ...texts].join(
    '\n  ',
  );
}

function arrowOf({ points, kind, label }: Arrow): string {
  const tip = kind === 'way' ? 'tip' : 'stop';
  return [
    `<polyline class="${kind} line" points="${points}" marker-end="url(#${tip})"/>`,
    ...(label ? [textAt(label.text, ...label.at, kind === 'way' ? 'small' : 'small no')] : []),
  ].join('\n  ');
}

/** Least height of a box for its texts. */
export function heightOf({ head, lines = [] }: Box): number {
  return (head === undefined ? TOP - 4 : TOP + LINE_HEIGHT + 1) + (lines.length - 1) * LINE_HEIGHT + PADDING;
}

/** The picture as SVG, for both colour schemes. */
export function draw({ title, description, size: [width, height], boxes, arrows }: Diagram): string {
  const marker = (id: string) =>
    `<marker id="${id}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="${id}" d="M0 0L8 4L0 8z"/></marker>`;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title desc">`,
    `  <title id="title">${escaped(title)}</title>`,
    `  <desc id="desc">${escaped(description)}</desc>`,
    '  <style>',
    `    text{font-family:${FONT}}.head{font-size:${LETTER.head}px;font-weight:600}.small{font-size:${LETTER.small}px}`,
    `    .code{font-family:${FIXED};font-size:${LETTER.code}px}.line{fill:none;stroke-width:1.6}.refused{stroke-dasharray:5 4}`,
    `    ${styleOf(PALETTES.light)}`,
    `    @media (prefers-color-scheme: dark){${styleOf(PALETTES.dark)}}`,
    '  </style>',
    `  <defs>${marker('tip')}${marker('stop')}</defs>`,
    `  <rect class="ground" x="1" y="1" width="${width - 2}" height="${height - 2}" rx="10"/>`,
    ...boxes.map((box) => `  ${boxOf(box)}`),
    ...arrows.map((arrow) => `  ${arrowOf(arrow)}`),
    '</svg>',
  ].join('\n')}\n`;
}

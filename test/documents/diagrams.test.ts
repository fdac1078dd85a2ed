import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { options } from '../../src/config/options.ts';
import { type Box, draw, heightOf, namesIn, PALETTES, widthOf } from '../support/diagrams/draw.ts';
import { DIAGRAMS, PICTURES } from '../support/diagrams/main.ts';
import { REQUEST } from '../support/diagrams/request.ts';
import { markdownFiles, ROOT, read } from './markdown.ts';

/** Pictures that are drawn from data: they are as the script writes them, can be read, and name what exists. */

/** What keeps a text from being XML of one element; a scan of tags, attributes and entities, for the SVG that is written here. */
function faultsOf(xml: string): string[] {
  const [open, faults]: [string[], string[]] = [[], []];
  const rest = xml.replaceAll(
    /<(\/?)([\w:]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g,
    (_tag, close, name, _attributes, empty) => {
      if (close === '/') {
        const last = open.pop();
        if (last !== name) faults.push(`</${name}> ends <${last}>`);
      } else if (empty !== '/') open.push(name);
      if (close !== '/' && open.length === 0) faults.push(`<${name}/> is outside`);
      return '';
    },
  );
  if (open.length > 0) faults.push(`<${open.at(-1)}> has no end`);
  if (/[<>]/.test(rest.replaceAll(/[^<>]>[^<>]/g, ''))) faults.push('a loose `<` or `>`');
  if (/&(?!(?:amp|lt|gt|quot|apos|#\d+);)/.test(xml)) faults.push('a loose `&`');
  return faults;
}

t.test('the scan finds what is not well-formed', async (t) => {
  t.strictSame(faultsOf('<svg a="1"><g><path d="M0 0"/></g><text>a &amp; b</text></svg>'), []);
  for (const wrong of [
    '<svg><g></svg>',
    '<svg>',
    '<svg>a & b</svg>',
    '<svg>a < b</svg>',
    '<svg a=1></svg>',
    '<svg/><g></g>',
  ]) {
    t.ok(faultsOf(wrong).length > 0, wrong);
  }
});

t.test('every picture of the documents is well-formed', async (t) => {
  const files = readdirSync(PICTURES).filter((name) => name.endsWith('.svg'));
  t.ok(files.length >= 5);
  for (const file of files) t.strictSame(faultsOf(readFileSync(join(PICTURES, file), 'utf8')), [], file);
});

t.test('the drawn pictures are as their data, and a document shows each with words for it', async (t) => {
  const documents = markdownFiles().map(read).join('\n');
  for (const diagram of DIAGRAMS) {
    t.equal(
      readFileSync(join(PICTURES, diagram.file), 'utf8'),
      draw(diagram),
      `npm run docs:diagrams: ${diagram.file}`,
    );
    t.match(documents, new RegExp(`!\\[[^\\]]{60,}\\]\\([./\\w]*${diagram.file}\\)`), diagram.file);
  }
});

const policySchema = read('config/policy.schema.json');
const credentials = read('src/identity/credential.ts');
const manifests = read('docker/kubernetes.yaml') + read('docker/Dockerfile');

/** True = an option, a file of the project, a member of the policy, a header of a credential, or a port or path of the manifests. */
function exists(name: string): boolean {
  if (options.some(({ path }) => `${path}.`.startsWith(`${name}.`))) return true;
  if (/^[\d./]+$|^\//.test(name)) return manifests.includes(name);
  if (name.includes('/')) return existsSync(join(ROOT, name));
  return policySchema.includes(`"${name}"`) || credentials.includes(`'${name}'`);
}

t.test('every name on a picture is that of something that exists', async (t) => {
  for (const wrong of ['gateway.upstreams', 'docker/nothing.yaml', '16999', 'x-api-key', 'signing']) {
    t.notOk(exists(wrong), wrong);
  }
  for (const { file, boxes } of DIAGRAMS) {
    const names = boxes.flatMap(({ lines = [] }) => lines.flatMap(namesIn));
    t.ok(names.length > 1, `${file}: names are found`);
    t.strictSame(
      names.filter((name) => !exists(name)),
      [],
      file,
    );
  }
});

t.test('the way of a request has the steps of the architecture, in their order', async (t) => {
  const [, way = ''] = /^ +(resolve -> [\s\S]*?record)$/m.exec(read('ARCHITECTURE.md')) ?? [];
  const steps = way.split('->').map((step) => step.replaceAll(/[[\]]/g, '').trim());
  t.ok(steps.length > 10);
  t.strictSame(
    REQUEST.boxes.filter(({ kind }) => kind !== 'frame').map(({ head }) => head),
    steps,
  );
});

const edges = ({ at: [x, y], size: [width, height] }: Box) => [x, y, x + width, y + height] as const;

function meet(one: Box, other: Box): boolean {
  const [[left, top, right, bottom], [x, y, end, low]] = [edges(one), edges(other)];
  return left < end && x < right && top < low && y < bottom;
}

function holds(frame: Box, box: Box): boolean {
  const [[left, top, right, bottom], [x, y, end, low]] = [edges(frame), edges(box)];
  return frame.kind === 'frame' && left < x && top + heightOf(frame) - 6 <= y && end < right && low < bottom;
}

t.test('texts are inside of their boxes, and boxes beside or inside of one another', async (t) => {
  for (const { file, size, boxes } of DIAGRAMS) {
    for (const box of boxes) {
      const { head = '', lines = [], kind } = box;
      const name = `${file}: ${head || lines[0]}`;
      const [, , right, bottom] = edges(box);
      t.ok(right < size[0] && bottom < size[1], `${name} is on the picture`);
      const widest = Math.max(widthOf(head, true), ...lines.map((line) => widthOf(line, false)));
      t.ok(widest <= box.size[0], `${name}: ${Math.round(widest)} of ${box.size[0]}`);
      t.ok(kind === 'frame' || heightOf(box) <= box.size[1], `${name}: ${heightOf(box)} of ${box.size[1]}`);
    }
    const wrong = boxes.flatMap((one, at) =>
      boxes
        .slice(at + 1)
        .filter((other) => meet(one, other) && !holds(one, other))
        .map((other) => `${one.head}, ${other.head}`),
    );
    t.strictSame(wrong, [], file);
  }
});

/** Source: WCAG 2.2, "contrast ratio" and "relative luminance". */
function contrast(one: string, other: string): number {
  const light = (colour: string): number => {
    const parts = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255);
    const [red = 0, green = 0, blue = 0] = parts.map((part) =>
      part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [low = 0, high = 0] = [light(one), light(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

t.test('texts can be read in light and dark', async (t) => {
  for (const [scheme, palette] of Object.entries(PALETTES)) {
    const { ground, box, core, frame, text, small, line, refused } = palette;
    for (const below of [ground, box, core, frame]) {
      for (const colour of [text, small]) t.ok(contrast(colour, below) >= 4.5, `${scheme}: ${colour} on ${below}`);
    }
    for (const below of [ground, frame]) {
      t.ok(contrast(refused, below) >= 4.5, `${scheme}: a refusal on ${below}`);
      t.ok(contrast(line, below) >= 3, `${scheme}: a line on ${below}`);
    }
  }
});

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { loadAssets } from '../../src/console/server/assets.ts';
import { readTexts } from '../support/import-scan.ts';

/* The modules of the pages make no markup from text, and stay small. */

const FOLDER = fileURLToPath(new URL('../../src/console/browser', import.meta.url));
const MARKUP =
  /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML=|document\.write|createContextualFragment|DOMParser|srcdoc|\beval\b|new Function|javascript:/;
const COMPRESSED_BYTES = 150 * 1024;

const sources = Object.entries(readTexts(FOLDER));

t.test('no module makes markup from text', async (t) => {
  t.ok(sources.length > 10, `${sources.length} modules`);
  t.match('node.innerHTML = text', MARKUP, 'the rule finds what breaks it');
  for (const [path, text] of sources) {
    const found = text.split('\n').filter((line) => MARKUP.test(line));
    t.strictSame(found, [], path);
  }
});

t.test(
  'elements are made in one place, which makes texts printable, and one place keeps something in the browser',
  async (t) => {
    const importing = (pattern: RegExp): readonly string[] =>
      sources.flatMap(([path, text]) => (pattern.test(text) ? [path] : []));
    t.strictSame(importing(/import \{[^}]*(?<!type )\bh\b[^}]*\} from 'preact'/), ['view/dom.ts']);
    t.strictSame(importing(/\b(?:localStorage|sessionStorage|indexedDB)\b|document\.cookie/), ['view/theme.ts']);
    t.match(readFileSync(`${FOLDER}/view/dom.ts`, 'utf8'), /text\/printable\.ts/);
  },
);

t.test('all of it is small', async (t) => {
  const { compressedBytes } = loadAssets();
  t.ok(compressedBytes < COMPRESSED_BYTES, `${compressedBytes} bytes, compressed`);
});

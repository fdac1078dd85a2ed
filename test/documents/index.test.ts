import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { INDEX, llmsText, pagesOf } from '../support/llms-text.ts';
import { linksOf, read } from './markdown.ts';

t.test('the index leads to every guide and every page of the reference', async (t) => {
  const linked = linksOf(read('docs/README.md')).map(({ path }) => path);
  t.strictSame(
    [...pagesOf('guides'), ...pagesOf('reference'), 'benchmarks.md'].filter((page) => !linked.includes(page)),
    [],
    'each has a line in docs/README.md',
  );
});

t.test('every guide opens with its readers', async (t) => {
  for (const page of pagesOf('guides')) t.match(read(join('docs', page)).split('\n\n')[1], /^For /, page);
});

t.test('the index for programs is made from the pages', async (t) => {
  t.equal(readFileSync(INDEX, 'utf8'), llmsText(), 'node setup.mjs test/support/llms-text.ts');
});

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * `docs/llms.txt`, the index of the documents for programs that read (llmstxt.org): each page with the paragraph it opens with.
 *
 *   node setup.mjs test/support/llms-text.ts
 */

const DOCS = join(import.meta.dirname, '../../docs');
export const INDEX = join(DOCS, 'llms.txt');

/** Paths below `docs` of the pages of a folder. */
export function pagesOf(folder: string): readonly string[] {
  return readdirSync(join(DOCS, folder))
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => join(folder, name));
}

/** Title and first paragraph of a page, in one line and without links. */
function lineOf(path: string): string {
  const [heading = '', ...rest] = readFileSync(join(DOCS, path), 'utf8').split('\n\n');
  const first = rest.find((one) => !one.startsWith('<!--') && !one.startsWith('![')) ?? '';
  const plain = first.replaceAll('\n', ' ').replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1');
  return `- [${heading.replace(/^# /, '').trim()}](${path}): ${plain
    .split(/(?<=\.) (?=[A-Z])/)
    .slice(0, 2)
    .join(' ')}`;
}

/** The whole index. */
export function llmsText(): string {
  const section = (title: string, pages: readonly string[]) => ['', `## ${title}`, '', ...pages.map(lineOf)];
  return [
    '# Qdrant gateway',
    '',
    '> A security gateway for self-hosted Qdrant: keys, JWT, access per collection, tenants, limits, audit and metrics, on REST and gRPC, with',
    "> Qdrant's own options, status codes and texts.",
    ...section('Guides', pagesOf('guides')),
    ...section('Reference', [...pagesOf('reference'), 'benchmarks.md']),
    ...section('Optional', ['README.md', 'decisions/README.md']),
    '',
  ].join('\n');
}

if (import.meta.main) writeFileSync(INDEX, llmsText());

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The Markdown files of the project, and what is read out of them. */
export const ROOT = join(import.meta.dirname, '..', '..');

/** Folders that hold documents, with everything below them. */
const FOLDERS = ['config', 'certs', 'docker', 'docs', 'test'];

/** Paths from the top of the project of all Markdown files, sorted. */
export function markdownFiles(): string[] {
  const top = readdirSync(ROOT);
  const below = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  return [...top, ...below].filter((path) => path.endsWith('.md')).sort();
}

/** The text of a file, by its path from the top of the project. */
export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The text without code blocks; with `spans` out, without code in backticks either. */
function prose(markdown: string, spans: 'keep' | 'out'): string {
  const text = markdown.replace(/^```[\s\S]*?^```/gm, '');
  return spans === 'keep' ? text : text.replace(/`[^`\n]*`/g, '');
}

/** Relative targets of links and pictures, with their fragment. Code does not count. */
export function linksOf(markdown: string): { readonly path: string; readonly fragment: string }[] {
  return [...prose(markdown, 'out').matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', fragment = ''] = target.split('#', 2);
      return { path, fragment };
    });
}

/** Fragments of the headings, as Git hosts make them: lower case, hyphens for blanks, no punctuation. */
export function fragmentsOf(markdown: string): string[] {
  const headings = prose(markdown, 'keep').matchAll(/^#{1,6} (.+)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Paths of files that stand in backticks: with a folder, and with an ending of ours. */
export function pathsOf(markdown: string): string[] {
  const spans = prose(markdown, 'keep').matchAll(/`([^`\n]+)`/g);
  return [...spans]
    .map(([, span = '']) => span)
    .filter((span) => /^[\w.-]+(?:\/[\w.-]+)*\/[\w-]+\.(?:[\w-]+\.)?(?:ts|mjs|md|json|svg)$/.test(span));
}

/** The cells of the rows of every Markdown table in a text, without heads and rulers. */
export function rowsOf(markdown: string): string[][] {
  const lines = markdown.split('\n');
  const isRuler = (line: string | undefined): boolean => /^\|[\s:|-]+\|$/.test(line ?? '');
  return lines
    .filter((line, at) => line.startsWith('|') && !isRuler(line) && !isRuler(lines[at + 1]))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()));
}

/** Settings that a text names by their variable; `QDRANT__STORAGE__...` stands for a whole section. */
export function variablesOf(text: string): string[] {
  const found = text.match(/\bQDRANT(?:_GATEWAY)?__[A-Z0-9_]+\b(?!\.\.\.)/g) ?? [];
  return [...new Set(found)].filter((name) => !name.endsWith('__'));
}

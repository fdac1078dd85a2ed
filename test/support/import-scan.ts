import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** One import, re-export or dynamic import. */
export interface Import {
  /** As written. */
  readonly from: string;
  /** Path within the tree when it is relative, otherwise `undefined`: a package or a `node:` module. */
  readonly path: string | undefined;
  /** Erased before the code runs. */
  readonly typeOnly: boolean;
  /** `export … from`. */
  readonly reExport: boolean;
}

export interface SourceFile {
  /** Relative to the scanned folder, with forward slashes. */
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  /** The text without comments, strings emptied. Templates stay whole: they hold code, too. */
  readonly code: string;
}

/** Texts by path relative to the scanned folder. */
export type Texts = Readonly<Record<string, string>>;

/** Every TypeScript file below a folder. */
export function readTexts(folder: string): Texts {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

export function scan(texts: Texts): SourceFile[] {
  return Object.entries(texts).map(([path, text]) => ({
    path,
    lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0),
    imports: importsOf(
      path,
      rewrite(text, (token) => token),
    ),
    code: rewrite(text, (token) => (token.startsWith('`') ? token : `${token[0]}${token[0]}`)),
  }));
}

const COMMENT = String.raw`\/\*[\s\S]*?\*\/|\/\/[^\n]*`;
const STRING = String.raw`'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\`(?:\\[\s\S]|[^\`\\])*\``;
// A slash begins an expression where no value can stand before it.
const REGEX = String.raw`(?<=(?:[(=,:!&|?;{}[>]|\breturn|=>)\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*`;
const TOKEN = new RegExp(`(${COMMENT})|(${STRING})|${REGEX}`, 'g');

/** Removes comments and lets `ofString` replace strings; regular expressions stay. */
function rewrite(text: string, ofString: (token: string) => string): string {
  return text.replace(TOKEN, (token, comment?: string, string?: string) => {
    if (comment !== undefined) return ' ';
    return string === undefined ? token : ofString(token);
  });
}

/** The regular expressions that are written in a text. */
export function patternsIn(text: string): RegExp[] {
  return Array.from(text.matchAll(TOKEN)).flatMap(([token, comment, string]) => {
    const [, source, flags] = (comment ?? string) === undefined ? (LITERAL.exec(token) ?? []) : [];
    return source === undefined ? [] : [new RegExp(source, flags)];
  });
}

const LITERAL = /^\/(.*)\/([dgimsuvy]*)$/;
const STATIC = /\b(import|export)\s+(type\s)?([^'"`;]*?)\bfrom\s*['"]([^'"]+)['"]/g;
const BARE = /\bimport\s*['"]([^'"]+)['"]/g;
const DYNAMIC = /\b(?:import|require)\s*\(\s*([^)]*?)\s*\)/g;

function importsOf(path: string, text: string): Import[] {
  const found: Import[] = [];
  const add = (from: string, typeOnly = false, reExport = false): void => {
    const local = from.startsWith('.') ? posix.join(posix.dirname(path), from) : undefined;
    found.push({ from, path: local, typeOnly, reExport });
  };
  for (const [, keyword, type, names = '', from = ''] of text.matchAll(STATIC)) {
    add(from, type !== undefined || /^\{(\s*type\s[^,}]+,?)+\s*\}\s*$/.test(names), keyword === 'export');
  }
  for (const [, from = ''] of text.matchAll(BARE)) add(from);
  for (const [, argument = ''] of text.matchAll(DYNAMIC)) {
    // What is not a plain text cannot be judged; it is reported under the name of a computed module.
    add(/^(['"])([^'"]+)\1$/.exec(argument)?.[2] ?? `computed: ${argument}`);
  }
  return found;
}

/** Import cycles, each once, as `a.ts -> b.ts -> a.ts`. Type-only imports count. */
export function cyclesOf(files: readonly SourceFile[]): string[] {
  const next = new Map(files.map(({ path, imports }) => [path, imports.flatMap((one) => one.path ?? [])]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at !== -1) cycles.push([...trail.slice(at), path].join(' -> '));
    if (at !== -1 || done.has(path)) return;
    for (const target of next.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  return cycles;
}

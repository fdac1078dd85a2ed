import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * The commands in the documents: every block of shell, and what its mark says.
 *
 *   <!-- commands: lint: WHY -->          the block is checked and not run
 *   <!-- commands: background -->         it goes on, as a server does; what follows waits until it listens on port 6333
 *
 * A block without a mark is run. `# 401` behind a curl command is the status that must come, `# exit 4` the exit code.
 */

export type Mark = 'run' | 'background' | 'lint';

export interface Block {
  /** Of its first command, from 1. */
  readonly line: number;
  readonly mark: Mark;
  /** Why it is not run; empty for the others. */
  readonly why: string;
  readonly script: string;
}

const BLOCK =
  /(?:^ *<!-- commands: (run|background|lint)(?:: (.+))? -->\n)?^( *)```(?:sh|bash|shell)\n([\s\S]*?)^ *```$/gm;

/** The blocks of a Markdown text, in order, without the blanks that a list puts before them. */
export function blocksOf(markdown: string): readonly Block[] {
  return [...markdown.matchAll(BLOCK)].map((match) => {
    const [, mark = 'run', why = '', indent = '', body = ''] = match;
    const before = markdown.slice(0, match.index + match[0].indexOf('```'));
    return {
      line: before.split('\n').length + 1,
      mark: mark as Mark,
      why,
      script: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    };
  });
}

/** The number of marks that stand before no block: mistakes. */
export function looseMarks(markdown: string): number {
  return (
    (markdown.match(/<!-- commands:/g) ?? []).length -
    (markdown.match(BLOCK) ?? []).filter((one) => one.includes('<!-- commands:')).length
  );
}

/** The commands of a block: lines that a backslash or an open pipe continues are one, texts of here-documents are none. */
export function commandsOf(script: string): readonly string[] {
  const lines: string[] = [];
  let end: string | undefined;
  let open = false;
  for (const line of script.split('\n')) {
    if (end !== undefined) {
      if (line === end) end = undefined;
      continue;
    }
    const last = lines.length - 1;
    if (open) lines[last] = `${lines[last]} ${line.trim()}`;
    else lines.push(line);
    end = /<<-?'?(\w+)'?/.exec(line)?.[1];
    open = /(?:\\|\|)$/.test(line) || oddQuotes(lines.at(-1) ?? '');
  }
  return lines
    .map((line) => line.replaceAll(/\\ +/g, '').trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** Whether a text ends inside single quotes. */
const oddQuotes = (text: string): boolean => (text.replaceAll(/"[^"']*"/g, '').match(/'/g) ?? []).length % 2 === 1;

/** The status that each curl command of a block must get; `undefined` = any of success. */
export function statusesOf(script: string): readonly (number | 'none' | undefined)[] {
  return commandsOf(script)
    .filter((command) => /(?:^|[|(] *)curl /.test(command))
    .map((command) => {
      if (/# no connection$/.test(command)) return 'none';
      const status = /# (\d{3})\b[^#]*$/.exec(command)?.[1];
      return status === undefined ? undefined : Number(status);
    });
}

export const ROOT = join(import.meta.dirname, '../../..');

export const readDocument = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

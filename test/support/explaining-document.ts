import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '../../src/cli/program.ts';

/*
 * The outputs in `docs/guides/explaining.md`, made by the commands above them from the files on the page.
 *
 *   node setup.mjs test/support/explaining-document.ts
 */

const GUIDE = join(import.meta.dirname, '../../docs/guides/explaining.md');
/** A file: its name in backticks, then its content. */
const FILE = /`([\w.]+)`(?:, in one line)?:\n\n```\w+\n([\s\S]*?)```/g;
const CONSOLE = /```console\n(\$ qdrant-gateway [^\n]*\n)([\s\S]*?)```/g;
/** A word, or a text in single quotes. */
const WORD = /'([^']*)'|(\S+)/g;

/** The guide as it stands. */
export function guideText(): string {
  return readFileSync(GUIDE, 'utf8');
}

/** The guide with the outputs that its commands give. Changes the working folder of the process. */
export async function guideAsRun(guide: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-guide-'));
  for (const [, name = '', content = ''] of guide.matchAll(FILE)) writeFileSync(join(folder, name), content);
  process.chdir(folder);
  let made = guide;
  for (const [block, command = ''] of guide.matchAll(CONSOLE)) {
    const words = [...command.matchAll(WORD)].map(([, quoted, plain]) => quoted ?? plain ?? '');
    let output = '';
    const add = (text: string): void => {
      output += text;
    };
    await main(words.slice(2), { out: add, err: add });
    made = made.replace(block, () => `\`\`\`console\n${command}${output}\`\`\``);
  }
  return made;
}

if (import.meta.main) writeFileSync(GUIDE, await guideAsRun(guideText()));

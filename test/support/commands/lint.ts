import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS } from '../../../src/cli/commands/all.ts';
import { configOptions } from '../../../src/cli/frame/config-options.ts';
import type { AnyCommand } from '../../../src/cli/frame/declare.ts';
import { type Block, commandsOf, ROOT } from './blocks.ts';

/*
 * What can be said of a block without running it: that bash reads it, that commands and options of the gateway exist, that scripts
 * of npm exist, and that the files of the project which it names do.
 */

/** The own command line, as documents write it. */
const OWN =
  /^(?:(?:sudo|exec) )?(?:[A-Z_]+=\S+ )*(?:npx )?(?:qdrant-gateway|node setup\.mjs src\/cli\/main\.ts|node dist\/cli\/main\.js)\b(.*)$/;
const SHARED = ['--json', '--help', '--version'];
const kebab = (name: string): string => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Flags that a command takes. */
function flagsOf({ options = {}, config }: AnyCommand): readonly string[] {
  return [...Object.keys(options), ...(config ? Object.keys(configOptions) : [])].map(kebab).concat(SHARED);
}

/** The command that words name: by the longest name, or as the default of its group. */
function commandOf(words: readonly string[]): AnyCommand | undefined {
  const byName = [2, 1].map((count) => words.slice(0, count).join(' '));
  const named = byName.map((name) => COMMANDS.find((one) => one.name === name)).find((one) => one !== undefined);
  return (
    named ??
    COMMANDS.find(
      ({ name, isDefault }) =>
        isDefault && (name.split(' ')[0] === words[0] || (name === 'serve' && (words[0] ?? '-').startsWith('-'))),
    )
  );
}

/** Each part of a command that is a command of its own: behind pipes, in `$(...)`, without its comment. */
function parts(command: string): readonly string[] {
  const plain = command.replace(/ +# .*$/, '');
  const inner = [...plain.matchAll(/\$\(([^()]*)\)/g)].map(([, one = '']) => one);
  return [...plain.split(/ \| | && |; /), ...inner].map((one) => one.trim());
}

function ownProblem(part: string): string | undefined {
  const rest = OWN.exec(part)?.[1]?.trim();
  if (rest === undefined || /^[A-Z]+\b/.test(rest)) return undefined;
  const words = rest.replaceAll(/'[^']*'|"[^"]*"/g, 'TEXT').split(/\s+/);
  const command = commandOf(words);
  if (command === undefined) return SHARED.includes(words[0] ?? '') ? undefined : `there is no command \`${rest}\``;
  const flags = words.filter((word) => word.startsWith('--')).map((word) => word.split('=')[0] ?? '');
  const unknown = flags.find((flag) => !flagsOf(command).includes(flag));
  return unknown === undefined ? undefined : `\`${command.name}\` has no option ${unknown}`;
}

function fileProblem(part: string, folders: readonly string[]): string | undefined {
  const named = part.match(/(?<![\w/.-])(?:docker|config|src|test|docs)\/[\w./-]*\w/g) ?? [];
  const missing = named.find((path) => !folders.some((folder) => existsSync(join(folder, path))));
  return missing === undefined ? undefined : `there is no file ${missing}`;
}

function npmProblem(part: string, scripts: readonly string[]): string | undefined {
  const [, run, name] = /^npm (run )?(?:--silent )?([\w:-]+)/.exec(part) ?? [];
  if (name === undefined || (run === undefined && !['start', 'test'].includes(name))) return undefined;
  return scripts.includes(name) ? undefined : `package.json has no script ${name}`;
}

/** The problems of a block; `scripts` are those of package.json. */
export function problemsOf(block: Block, scripts: readonly string[]): readonly string[] {
  const { status, stderr } = spawnSync('bash', ['-n'], { input: block.script, encoding: 'utf8' });
  const syntax = status === 0 ? [] : [`bash: ${stderr.trim()}`];
  const found = commandsOf(block.script)
    .flatMap(parts)
    .flatMap((part) => [ownProblem(part), fileProblem(part, [ROOT]), npmProblem(part, scripts)]);
  return [...syntax, ...found.filter((problem) => problem !== undefined)];
}

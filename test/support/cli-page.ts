import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { exitMeanings } from '../../src/cli/exit-code.ts';
import { configOptions } from '../../src/cli/frame/config-options.ts';
import { type AnyCommand, type OptionSpec, usageOf } from '../../src/cli/frame/declare.ts';

/*
 * `docs/reference/cli.md`, made from the declarations of the commands: `node setup.mjs test/support/cli-page.ts` writes it.
 */

const escaped = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

function rowsOf(options: Readonly<Record<string, OptionSpec>>): readonly string[] {
  return Object.entries(options).map(([name, option]) => {
    const { fallback = undefined, choices = undefined } = option.kind === 'value' ? option : {};
    const more = [
      ...(choices ? [`one of ${choices.map((one) => `\`${one}\``).join(', ')}`] : []),
      ...(fallback === undefined ? [] : [`default \`${fallback}\``]),
      ...(option.kind === 'value' && option.required ? ['required'] : []),
    ];
    return `| \`${usageOf(name, option)}\` | ${escaped(option.text)}${more.length > 0 ? ` (${more.join('; ')})` : ''} |`;
  });
}

function tableOf(options: Readonly<Record<string, OptionSpec>>): readonly string[] {
  return ['| option | meaning |', '|---|---|', ...rowsOf(options), ''];
}

function sectionOf(command: AnyCommand): readonly string[] {
  const { name, summary, details, args = [], options = {}, config, json, isDefault, examples, exits = {} } = command;
  const words = args.map(
    (one) => `${one.optional ? '[' : '<'}${one.name}${one.variadic ? '...' : ''}${one.optional ? ']' : '>'}`,
  );
  const shared = [
    ...(json === false ? [] : ['`--json`']),
    ...(config ? ['[the flags of the configuration](#configuration)'] : []),
  ];
  const codes = Object.entries(exits).map(([code, text]) => `\`${code}\`: ${text}`);
  return [
    `## ${name}`,
    '',
    `\`qdrant-gateway ${[name, ...words].join(' ')}\`: ${escaped(summary)}.${details ? ` ${escaped(details)}` : ''}`,
    ...(isDefault ? [`\`${name.split(' ').at(-1)}\` may be left out.`] : []),
    '',
    ...args.map((one) => `- \`${one.name}\`: ${escaped(one.text)}`),
    ...(args.length > 0 ? [''] : []),
    ...(Object.keys(options).length > 0 ? tableOf(options) : []),
    ...(shared.length > 0 ? [`It also takes ${shared.join(' and ')}.`, ''] : []),
    ...(codes.length > 0 ? [`Exit codes: ${codes.join('; ')}.`, ''] : []),
    '```sh',
    ...examples.flatMap(([line, text]) => [`# ${text}`, line]),
    '```',
    '',
  ];
}

/** The page. */
export function cliPage(commands: readonly AnyCommand[] = COMMANDS): string {
  return [
    '# Command line',
    '',
    '<!-- Made from the declarations in src/cli/commands by test/support/cli-page.ts: change them, not this page. -->',
    '',
    'Every command prints its result on standard output, and texts for a person on standard error. With `--json` the result is JSON, and an',
    'error is `{ "error": { "code", "message" } }`. A secret is never an argument: it comes from a file, the environment or standard input.',
    'A reader that leaves early, as `head` does, is no failure of a command that only shows something.',
    '',
    '| exit code | meaning |',
    '|---|---|',
    ...Object.entries(exitMeanings).map(([code, text]) => `| \`${code}\` | ${text} |`),
    '',
    '## Configuration',
    '',
    'These flags name the file of the configuration and win over file and environment. [Options](options.md) lists what the file may set.',
    '',
    ...tableOf(configOptions),
    ...commands.flatMap(sectionOf),
  ]
    .join('\n')
    .replace(/\n+$/, '\n');
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, '../../docs/reference/cli.md'), cliPage());

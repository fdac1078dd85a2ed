import { Command, Option } from 'commander';
import { gatewayVersion } from '../../version.ts';
import { exitMeanings } from '../exit-code.ts';
import type { Output } from '../output.ts';
import { configOptions } from './config-options.ts';
import { type AnyCommand, type Input, type OptionSpec, type Report, usageOf } from './declare.ts';
import { outputEnded, readStdin, tellLoss } from './streams.ts';

/** The subject of each group of commands, such as `token` of `token mint`. */
export type Groups = Readonly<Record<string, string>>;

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

function optionOf(name: string, spec: OptionSpec, heading: string): Option {
  const option = new Option(usageOf(name, spec), spec.text).helpGroup(heading);
  if (spec.kind === 'list') option.argParser(collect);
  if (spec.kind !== 'value') return option;
  if (spec.choices) option.choices(spec.choices);
  if (spec.fallback !== undefined) option.default(spec.fallback);
  return option.makeOptionMandatory(spec.required === true);
}

function addOptions(command: Command, specs: Readonly<Record<string, OptionSpec>>, heading: string): void {
  for (const [name, spec] of Object.entries(specs)) command.addOption(optionOf(name, spec, heading));
}

/** Adds the flags that set options. They win over environment and file. */
export function withConfigFlags(command: Command): Command {
  addOptions(command, configOptions, 'Configuration:');
  return command;
}

/** Examples and exit codes, below the options. */
function helpAfter({ name, examples, exits }: AnyCommand): string {
  const lines = examples.flatMap(([line, text]) => [`  # ${text}`, `  ${line}`]);
  const codes = Object.entries(exits ?? {}).map(([code, text]) => `  ${code}  ${text}`);
  const shown = codes.length === 0 ? '' : `\nExit codes beside ${name === 'serve' ? '0 and 1' : '0, 1 and 2'}:\n`;
  return `\nExamples:\n${lines.join('\n')}\n${shown}${codes.join('\n')}`;
}

function write(output: Output, report: Report, json: boolean): void {
  output.out(json ? `${JSON.stringify(report.json, undefined, 2)}\n` : report.text);
}

/** The parts that all commands share. */
interface Frame {
  readonly commands: readonly AnyCommand[];
  readonly output: Output;
  readonly ended: (code: number) => void;
}

function addCommand(parent: Command, spec: AnyCommand, { commands, output, ended }: Frame): void {
  const { name, args = [], options = {}, config, json } = spec;
  const command = parent.command(name.split(' ').at(-1) ?? name, spec.isDefault ? { isDefault: true } : {});
  command.description(spec.details === undefined ? spec.summary : `${spec.summary}\n\n${spec.details}`);
  command.summary(spec.summary).helpGroup(spec.group).addHelpText('after', helpAfter(spec));
  command.helpOption('-h, --help', 'show this help');
  for (const { name: word, text, optional, variadic } of args) {
    const inner = `${word}${variadic ? '...' : ''}`;
    command.argument(optional ? `[${inner}]` : `<${inner}>`, text);
  }
  addOptions(command, options, 'Options:');
  if (json !== false) command.addOption(new Option('--json', 'print JSON').helpGroup('Options:'));
  if (config) withConfigFlags(command);
  command.action(async () => {
    const flags = command.optsWithGlobals<Input<object>['flags'] & { readonly json?: boolean }>();
    tellLoss(spec.changes === true);
    const input = {
      args: command.processedArgs.flat().filter((one): one is string => typeof one === 'string'),
      ...{ flags, json: flags.json === true, output, now: Date.now(), readStdin, ended: outputEnded, commands },
    };
    const report = await spec.run(input);
    if (report) write(output, report, input.json);
    ended(report?.code ?? 0);
  });
}

/**
 * The parser of all declared commands. It throws `CommanderError` instead of ending the process, and hands over the exit code of the
 * command that has run.
 */
export function buildProgram(
  commands: readonly AnyCommand[],
  groups: Groups,
  output: Output,
  ended: (code: number) => void,
): Command {
  const codes = Object.entries(exitMeanings).map(([code, text]) => `  ${code}  ${text}`);
  const program = new Command('qdrant-gateway')
    .description(
      'Security gateway for self-hosted Qdrant. Without a command it serves; where nothing is configured, it shows a demo.',
    )
    .version(gatewayVersion(), '-V, --version', 'print the release of the gateway')
    .helpOption('-h, --help', 'show this help, or after a command its own')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: output.out, writeErr: output.err, outputError: () => {} })
    .addHelpText('after', `\nExit codes:\n${codes.join('\n')}`);
  const parents = new Map<string, Command>();
  for (const spec of commands) {
    const words = spec.name.split(' ');
    const group = words.slice(0, -1).join(' ');
    const parent = group === '' ? program : (parents.get(group) ?? addGroup(program, group, spec, groups));
    if (group !== '') parents.set(group, parent);
    addCommand(parent, spec, { commands, output, ended });
  }
  return program;
}

/** A group whose default command takes a configuration takes its flags before the command, too. */
function addGroup(program: Command, name: string, first: AnyCommand, groups: Groups): Command {
  const group = program.command(name).description(groups[name] ?? name);
  group.helpGroup(first.group).helpOption('-h, --help', 'show this help');
  if (first.isDefault && first.config) {
    for (const [option, spec] of Object.entries(configOptions)) {
      group.addOption(optionOf(option, spec, 'Configuration:').hideHelp());
    }
  }
  return group;
}

import type { Flags } from '../../config/load.ts';
import type { ExitCode } from '../exit-code.ts';
import type { Output } from '../output.ts';

/** An option without a value. */
export interface SwitchOption {
  readonly kind: 'switch';
  readonly text: string;
}

/** An option with one value. It never holds a secret: arguments are visible to other users of the machine. */
export interface ValueOption {
  readonly kind: 'value';
  /** Name of the value in help: `file`, `time`. The names `file` and `folder` complete to paths. */
  readonly value: string;
  readonly text: string;
  readonly choices?: readonly string[];
  readonly fallback?: string;
  readonly required?: true;
  readonly short?: string;
}

/** An option with a value that may be repeated. */
export interface ListOption {
  readonly kind: 'list';
  readonly value: string;
  readonly text: string;
}

/** One option of a command. Its name is the key in the declaration: `forSubject` is `--for-subject`. */
export type OptionSpec = SwitchOption | ValueOption | ListOption;

type ValueOf<O> = O extends SwitchOption
  ? boolean | undefined
  : O extends ListOption
    ? readonly string[] | undefined
    : O extends { readonly fallback: string } | { readonly required: true }
      ? string
      : string | undefined;

/** The values of declared options, by name. */
export type FlagsOf<O> = { readonly [Name in keyof O]: ValueOf<O[Name]> };

/** One argument of a command. A variadic one is the last. */
export interface ArgumentSpec {
  readonly name: string;
  readonly text: string;
  readonly optional?: true;
  readonly variadic?: true;
}

/** The input of a command. */
export interface Input<F> {
  readonly args: readonly string[];
  /** Its own options, and those that name a configuration if it declares `config`. */
  readonly flags: F & Flags;
  readonly json: boolean;
  readonly output: Output;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Reads standard input to its end, at most `limit` bytes (default 1 MiB). Throws `UsageError` for more. */
  readonly readStdin: (limit?: number) => Promise<string>;
  /** Aborts when nothing reads standard output any more. */
  readonly ended: AbortSignal;
  /** Every declared command. */
  readonly commands: readonly AnyCommand[];
}

/** The result of a command: one value, shown as text or, with `--json`, as JSON. */
export interface Report {
  readonly json: unknown;
  /** With its line breaks. */
  readonly text: string;
  /** Default: 0. */
  readonly code?: ExitCode;
}

/** Headings of the list of commands. */
export type CommandGroup = 'Run:' | 'Check:' | 'Keys and tokens:' | 'Ask the policy:' | 'Audit log:' | 'Reference:';

/** The declaration of a command: help, completions, the reference page and the parser are made from it. */
export interface CommandSpec<O extends Readonly<Record<string, OptionSpec>>> {
  /** Its words: `audit verify`. */
  readonly name: string;
  readonly group: CommandGroup;
  /** One line: lower case, without a full stop. */
  readonly summary: string;
  /** Further sentences for its help. */
  readonly details?: string;
  readonly args?: readonly ArgumentSpec[];
  readonly options?: O;
  /** It takes the flags that name and change a configuration. */
  readonly config?: true;
  /** `false` = its output has a form of its own, and there is no `--json`. */
  readonly json?: false;
  /** It runs when its group, or the program, is called without a command. */
  readonly isDefault?: true;
  /** It changes something: a lost output is an error, and not the end of a pipeline that has seen enough. */
  readonly changes?: true;
  /** At least one: a command line after `qdrant-gateway`, and what it does. */
  readonly examples: readonly (readonly [line: string, text: string])[];
  /** Meanings of exit codes beside 0, 1 and 2. */
  readonly exits?: Readonly<Partial<Record<ExitCode, string>>>;
  /** Imports what it needs only when it runs, so that the others start quickly. */
  run(input: Input<FlagsOf<O>>): Promise<Report | undefined>;
}

/** A declaration of any options. */
export type AnyCommand = CommandSpec<Readonly<Record<string, OptionSpec>>>;

/** Declares a command; the types of its flags follow from its options. */
export function declareCommand<const O extends Readonly<Record<string, OptionSpec>>>(spec: CommandSpec<O>): AnyCommand {
  return spec;
}

/** `forSubject` as `for-subject`. */
export function longName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The notation of an option in help: `--config <file>`. */
export function usageOf(name: string, option: OptionSpec): string {
  const long = `--${longName(name)}`;
  if (option.kind === 'switch') return long;
  const short = option.kind === 'value' && option.short !== undefined ? `-${option.short}, ` : '';
  return `${short}${long} <${option.value}>`;
}

import { UsageError } from '../output.ts';
import { configOptions } from './config-options.ts';
import { type AnyCommand, longName, type OptionSpec } from './declare.ts';

/** A place of the command line: the words before it, and what may follow. */
interface Place {
  readonly words: string;
  readonly next: readonly (readonly [word: string, text: string])[];
}

const PROGRAM = 'qdrant-gateway';
const SHELLS = ['bash', 'zsh', 'fish'];
const PATHS: readonly string[] = ['file', 'folder', 'files'];

function allOptions({ options = {}, config, json }: AnyCommand): readonly (readonly [string, OptionSpec])[] {
  const own = Object.entries({ ...options, ...(config && configOptions) });
  const shared: readonly (readonly [string, OptionSpec])[] = [
    ...(json === false ? [] : [['json', { kind: 'switch', text: 'print JSON' }] as const]),
    ['help', { kind: 'switch', text: 'show the help of this command' }],
  ];
  return [...own, ...shared];
}

function placesOf(commands: readonly AnyCommand[]): readonly Place[] {
  const places = new Map<string, Map<string, string>>();
  const add = (words: string, word: string, text: string) =>
    places.set(words, (places.get(words) ?? new Map()).set(word, text));
  for (const command of commands) {
    const words = command.name.split(' ');
    for (const [at, word] of words.entries()) {
      const isLast = at === words.length - 1;
      add(words.slice(0, at).join(' '), word, isLast ? command.summary : `commands of ${word}`);
    }
    const lists = [command.name, ...(command.isDefault ? [words.slice(0, -1).join(' ')] : [])];
    for (const [name, { text }] of allOptions(command)) {
      for (const list of lists) add(list, `--${longName(name)}`, text);
    }
  }
  add('', '--version', 'print the release of the gateway');
  return [...places].map(([words, next]) => ({ words, next: [...next] }));
}

/** Options whose value is a path, and those with another value, by their long names. */
function valuesOf(commands: readonly AnyCommand[]): { readonly paths: string; readonly others: string } {
  const all = commands.flatMap(allOptions).filter(([, { kind }]) => kind !== 'switch');
  const isPath = ([, option]: readonly [string, OptionSpec]) =>
    option.kind !== 'switch' && PATHS.includes(option.value);
  const names = (some: typeof all) => [...new Set(some.map(([name]) => `--${longName(name)}`))].join('|');
  return { paths: names(all.filter(isPath)), others: names(all.filter((one) => !isPath(one))) };
}

function bashScript(commands: readonly AnyCommand[]): string {
  const places = placesOf(commands);
  const { paths, others } = valuesOf(commands);
  const groups = places.filter(({ words }) => words !== '').map(({ words }) => `"${words}"`);
  const lists = places.map(({ words, next }) => `    "${words}") next="${next.map(([word]) => word).join(' ')}" ;;`);
  return `_qdrant_gateway() {
  local here="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" words="" next="" at one
  COMPREPLY=()
  case "$before" in
    ${paths}) COMPREPLY=($(compgen -f -- "$here")); return ;;
    ${others}) return ;;
  esac
  for ((at = 1; at < COMP_CWORD; at++)); do
    one="\${words:+$words }\${COMP_WORDS[at]}"
    case "$one" in ${groups.join('|')}) words="$one" ;; *) break ;; esac
  done
  case "$words" in
${lists.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$next" -- "$here"))
  if [ \${#COMPREPLY[@]} -eq 0 ] && [[ "$here" != -* ]]; then COMPREPLY=($(compgen -f -- "$here")); fi
}
complete -F _qdrant_gateway ${PROGRAM}
`;
}

/** zsh reads the script of bash. */
function zshScript(commands: readonly AnyCommand[]): string {
  return `autoload -Uz compinit bashcompinit\n(( $+functions[compdef] )) || compinit -u\nbashcompinit\n${bashScript(commands)}`;
}

function fishScript(commands: readonly AnyCommand[]): string {
  const quote = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const { paths } = valuesOf(commands);
  const pathNames = paths.split('|');
  const places = placesOf(commands);
  const known = places.map(({ words }) => words).filter((words) => words !== '');
  return [
    'function __qdrant_gateway_at',
    "  set -l words ''",
    '  for one in (commandline -opc)[2..]',
    '    set -l more (string trim "$words $one")',
    `    contains -- $more ${known.map(quote).join(' ')}; or break`,
    '    set words $more',
    '  end',
    '  test "$words" = "$argv[1]"',
    'end',
    ...places.flatMap(({ words, next }) =>
      next.map(([word, text]) => {
        const at = `complete -c ${PROGRAM} -n ${quote(`__qdrant_gateway_at ${quote(words)}`)}`;
        if (!word.startsWith('--')) return `${at} -f -a ${word} -d ${quote(text)}`;
        return `${at} -l ${word.slice(2)}${pathNames.includes(word) ? ' -r -F' : ''} -d ${quote(text)}`;
      }),
    ),
    '',
  ].join('\n');
}

/** The script that completes all commands in a shell. Throws `UsageError` for an unknown shell. */
export function completionScript(shell: string, commands: readonly AnyCommand[]): string {
  if (shell === 'bash') return bashScript(commands);
  if (shell === 'zsh') return zshScript(commands);
  if (shell === 'fish') return fishScript(commands);
  throw new UsageError(`there are completions for ${SHELLS.join(', ')}`);
}

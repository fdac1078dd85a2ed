import type { CommanderError } from 'commander';
import { nearest } from '../../config/nearest.ts';
import { UsageError } from '../output.ts';
import type { AnyCommand } from './declare.ts';

/** Options that would carry a secret. */
const SECRET_LIKE = /^--?(?:api-?key|alt-?api-?key|key|secret|token|password|jwt|bearer)$/i;

/** The word of the caller, if it is short and plain: an argument may be a token or a key, and errors carry neither. */
function shown(word: string): string {
  return /^[a-z][a-z-]{0,30}$/i.test(word) ? ` \`${word}\`` : '';
}

/** The words that may follow the words before. */
function wordsAfter(commands: readonly AnyCommand[], before: readonly string[]): readonly string[] {
  const at = before.length;
  const names = commands
    .map(({ name }) => name.split(' '))
    .filter((words) => before.every((word, index) => words[index] === word));
  return [...new Set(names.flatMap((words) => words[at] ?? []))];
}

/**
 * Throws `UsageError` for a word that is no command, with the most similar one. Without this check the word would be an argument of
 * the default command.
 */
export function checkWords(commands: readonly AnyCommand[], args: readonly string[]): void {
  const before: string[] = [];
  for (const word of args) {
    if (word.startsWith('-')) return;
    const allowed = [...wordsAfter(commands, before), 'help'];
    if (allowed.length === 1 || (word === 'help' && before.length >= 0 && allowed.includes(word))) return;
    if (!allowed.includes(word)) {
      const near = nearest(word, allowed);
      const meant = near === undefined ? '' : `, did you mean \`${near}\`?`;
      const place = before.length === 0 ? '' : ` of \`${before.join(' ')}\``;
      const list = allowed.map((one) => `\`${one}\``).join(', ');
      throw new UsageError(`unknown command${shown(word)}${place}${meant || `; there are ${list}`}`);
    }
    before.push(word);
  }
}

/** The text of an error of the parser, without values of the caller that may be secrets. */
export function parseErrorText({ code, message }: CommanderError): string {
  const text = message.replace(/^error: /, '');
  if (code === 'commander.excessArguments') {
    const [, extra = ''] = /: ([^:]*)\.$/.exec(text) ?? [];
    return `this command takes fewer arguments${shown(extra)}`;
  }
  if (code !== 'commander.unknownOption') return text;
  const [, flag = ''] = /^unknown option '(-{1,2}[\w-]*)/.exec(text) ?? [];
  if (SECRET_LIKE.test(flag)) {
    return `unknown option '${flag}': a secret is never an argument, which other users can see; give it by file, environment or standard input`;
  }
  return text.replace(/^(unknown option '[^'=]*)=[^']*'/, "$1'");
}

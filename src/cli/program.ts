import { CommanderError } from 'commander';
import { configuringVariables } from '../config/load.ts';
import { printableLines } from '../text/printable.ts';
import { COMMANDS, GROUPS } from './commands/all.ts';
import { exitCode } from './exit-code.ts';
import { buildProgram } from './frame/build.ts';
import { processOutput } from './frame/streams.ts';
import { checkWords, parseErrorText } from './frame/words.ts';
import { explainFailure, failureValue, type Output, UsageError } from './output.ts';

/** Without a word, and where no variable configures a gateway, there is nothing to serve: the demo is shown. */
function wordsOf(args: readonly string[]): readonly string[] {
  return args.length === 0 && configuringVariables().length === 0 ? ['demo'] : args;
}

/** Runs one command. Returns the exit code; a running gateway keeps the process alive after 0. */
export async function main(given: readonly string[], streams: Output = processOutput): Promise<number> {
  // INVARIANT: all texts of commands pass here, so that no text of a token or a file moves the cursor of a terminal.
  const output: Output = {
    out: (text) => streams.out(printableLines(text)),
    err: (text) => streams.err(printableLines(text)),
  };
  const args = wordsOf(given);
  let code: number = exitCode.ok;
  try {
    checkWords(COMMANDS, args);
    const program = buildProgram(COMMANDS, GROUPS, output, (ended) => {
      code = ended;
    });
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    // Help and release: Commander has already printed them.
    if (error instanceof CommanderError && error.exitCode === 0) return exitCode.ok;
    if (error instanceof CommanderError && error.code === 'commander.help') return exitCode.usage;
    const shown = error instanceof CommanderError ? new UsageError(parseErrorText(error)) : error;
    if (args.includes('--json')) output.out(`${JSON.stringify(failureValue(shown), undefined, 2)}\n`);
    return explainFailure(output, shown);
  }
}

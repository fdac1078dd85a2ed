import type { Flags } from '../../config/load.ts';
import { ConfigError } from '../../config/problem.ts';
import type { State } from '../../config/state.ts';
import { policyDiff } from '../../explain/diff/report.ts';
import type { OnlineFlag } from '../../explain/online.ts';
import { exitCode } from '../exit-code.ts';
import type { Report } from '../frame/declare.ts';
import { UsageError } from '../output.ts';
import { diffMarkdown, diffText } from './diff-formats.ts';
import { withSharedKeys } from './shared-keys.ts';
import { stateToAsk } from './state.ts';

/**
 * `policy diff`: every class of requests whose verdict changes from one policy file to another, and every changed setting of
 * tokens, signing keys, the exchange, issuers and client certificates. Code 4 = there is one.
 */
export async function diffPolicies(
  files: readonly string[],
  flags: Flags & OnlineFlag & { readonly format?: string | undefined },
  now: number,
): Promise<Report> {
  const [oldFile, newFile] = files;
  if (oldFile === undefined || newFile === undefined) throw new UsageError('give two policy files: OLD NEW');
  const states = await Promise.all(statesOf(flags, [oldFile, newFile]).map((state) => withSharedKeys(state, flags)));
  const [old, next] = states;
  if (!old || !next) throw new TypeError('a state is missing');
  const { changes, groups, settings, notes } = await policyDiff(old, next, now);
  return {
    json: { changes, groups, ...(settings.length > 0 && { settings }), ...(notes.length > 0 && { notes }) },
    text: `${(flags.format === 'markdown' ? diffMarkdown : diffText)(groups, changes, settings)}${notesText(notes)}`,
    code: groups.length > 0 || settings.length > 0 ? exitCode.negative : exitCode.ok,
  };
}

/** The states of these policy files, or the problems of all of them. */
function statesOf(flags: Flags, files: readonly string[]): readonly State[] {
  const problems: ConfigError['problems'][number][] = [];
  const states = files.flatMap((file) => {
    try {
      return stateToAsk(flags, file);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const { place, message } of error.problems)
        problems.push({ place: place === '--policy' ? file : place, message });
      return [];
    }
  });
  if (problems.length > 0) throw new ConfigError(problems);
  return states;
}

/** Callers that were not asked, one a line. */
export function notesText(notes: readonly string[]): string {
  return notes.map((note) => `\nnote: ${note}\n`).join('');
}

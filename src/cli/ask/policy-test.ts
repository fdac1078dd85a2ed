import { readBounded } from '../../config/files/bounded-read.ts';
import type { Flags } from '../../config/load.ts';
import { ConfigError, type Problem, reason } from '../../config/problem.ts';
import { CoverageCount } from '../../explain/cases/coverage.ts';
import { type CaseFile, readCases } from '../../explain/cases/file.ts';
import { type CaseResult, runCases } from '../../explain/cases/run.ts';
import type { OnlineFlag } from '../../explain/online.ts';
import { exitCode } from '../exit-code.ts';
import type { Report } from '../frame/declare.ts';
import { coverageText, resultsJunit, resultsTap, resultsText } from './case-formats.ts';
import { withSharedKeys } from './shared-keys.ts';
import { stateToAsk } from './state.ts';

/** Flags of `policy test`. */
export interface TestFlags {
  readonly policy?: string | undefined;
  readonly format?: string | undefined;
  readonly coverage?: boolean | undefined;
}

const FORMATS: Readonly<Record<string, (results: readonly CaseResult[]) => string>> = {
  text: resultsText,
  tap: resultsTap,
  junit: resultsJunit,
};

/** `policy test`: runs cases of files. Code 4 = one has failed. */
export async function testPolicy(
  files: readonly string[],
  flags: Flags & TestFlags & OnlineFlag,
  now: number,
): Promise<Report> {
  const read = files.map(fileOf);
  const problems = read.flatMap((one) => one.problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const state = await withSharedKeys(stateToAsk(flags, flags.policy), flags);
  const coverage = flags.coverage ? new CoverageCount(state) : undefined;
  const results: CaseResult[] = [];
  for (const { cases } of read) results.push(...(await runCases(cases, state, { now, coverage })));
  const format = flags.format ?? 'text';
  const text = (FORMATS[format] ?? resultsText)(results);
  const failed = results.some(({ passed }) => !passed);
  return {
    json: {
      passed: results.filter(({ passed }) => passed).length,
      failed: results.filter(({ passed }) => !passed).length,
      cases: results.map(({ file, name, place, passed, differences, answer }) => ({
        ...{ file, name, place, passed, differences },
        ...(answer && { verdict: answer.verdict, code: answer.code, decided_by: answer.decided_by }),
      })),
      ...(coverage && { coverage: coverage.parts }),
    },
    text: coverage && format === 'text' ? `${text}${coverageText(coverage.parts)}` : text,
    code: failed ? exitCode.negative : exitCode.ok,
  };
}

function fileOf(file: string): { readonly cases: CaseFile; readonly problems: readonly Problem[] } {
  try {
    return readCases(file, readBounded(file).toString('utf8'));
  } catch (error) {
    const cases: CaseFile = { file, principals: {}, assume: {}, cases: [] };
    return { cases, problems: [{ place: file, message: `cannot read the cases: ${reason(error)}` }] };
  }
}

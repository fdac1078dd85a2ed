import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { compareFileNames, parseFileName } from '../../audit/sinks/file-name.ts';
import { reason } from '../../config/problem.ts';
import { UsageError } from '../output.ts';

/** The audit files of these paths: a folder stands for all audit files in it, the oldest first. Throws `UsageError`. */
export function auditPaths(paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) => {
    try {
      if (!statSync(path).isDirectory()) return [path];
    } catch (error) {
      throw new UsageError(`cannot read \`${path}\`: ${reason(error)}`);
    }
    const names = readdirSync(path).flatMap((name) => {
      const parsed = parseFileName(name);
      return parsed ? [{ name, parsed }] : [];
    });
    if (names.length === 0) throw new UsageError(`\`${path}\` contains no audit file`);
    return names.sort((a, b) => compareFileNames(a.parsed, b.parsed)).map(({ name }) => join(path, name));
  });
}

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { findProgram } from '../process/programs.ts';

const OWN = join(import.meta.dirname, '../../../.runtime/clients/bin/python');

/** The Python that has the official client; `undefined` = there is none. */
export function pythonWithClient(): string | undefined {
  return [OWN, findProgram('python3')].find((candidate) => {
    try {
      execFileSync(candidate ?? '', ['-c', 'import qdrant_client'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}

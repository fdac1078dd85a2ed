import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { findProgram } from '../process/programs.ts';

/** Builds the program of the official Go client, without a network. Why it cannot be run; false = it is there. */
export function buildGoClient(program: string): string | false {
  const go = findProgram('go', ['/usr/local/go/bin']);
  if (go === undefined) return 'go is not here';
  try {
    execFileSync(go, ['build', '-o', program, '.'], {
      cwd: join(import.meta.dirname, '../../e2e/go-client'),
      env: { ...process.env, GOPROXY: 'off', GOFLAGS: '-mod=readonly' },
      stdio: 'ignore',
      timeout: 60_000,
    });
    return false;
  } catch {
    return 'it is not built: .ci/programs fetches its modules and compiles them';
  }
}

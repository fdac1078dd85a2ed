import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { clientCalls } from '../../support/clients/calls.ts';
import { startFakeQdrant } from '../../support/fake-qdrant/main.ts';
import { findProgram } from '../../support/process/programs.ts';

/** What the official Go client makes of the stand-in's answers: everything it offers. */
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-go-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const program = join(folder, 'go-client');

/** Why it cannot be run; false = it has been built, without a network. */
function reason(): string | false {
  const go = findProgram('go', ['/usr/local/go/bin']);
  if (go === undefined) return 'go is not here';
  try {
    execFileSync(go, ['build', '-o', program, '.'], {
      cwd: join(import.meta.dirname, '../go-client'),
      env: { ...process.env, GOPROXY: 'off', GOFLAGS: '-mod=readonly' },
      stdio: 'ignore',
      timeout: 60_000,
    });
    return false;
  } catch {
    return 'it is not built: .ci/programs fetches its modules and compiles them';
  }
}

t.test('the official Go client reads every answer of the stand-in', { skip: reason() }, async (t) => {
  const fake = await startFakeQdrant({ record: false });
  t.teardown(() => fake.close());
  const calls = await clientCalls(program, ['127.0.0.1', new URL(fake.grpcUrl).port]);
  for (const { call, error } of calls) t.equal(error, null, call);
});

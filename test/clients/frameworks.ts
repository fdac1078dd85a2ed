import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newKeyText } from '../../src/identity/key-text.ts';
import { clientCalls } from '../support/clients/calls.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { namedKey } from '../support/named-keys.ts';
import { findProgram } from '../support/process/programs.ts';
import { collectionToken } from '../support/tokens.ts';
import { FRAMEWORKS_PAGE, FRAMEWORKS_RECORD, type FrameworkRow, frameworksPage } from './frameworks-page.ts';

/*
 * Frameworks above the Python client, each with keys and tokens that are made for one collection:
 *
 *   npm run test:frameworks                 installs the frameworks, and compares what they do with what is written down
 *   npm run test:frameworks -- --write      writes it down, with docs/reference/frameworks.md
 */

const SCRIPT = join(import.meta.dirname, '../e2e/clients/frameworks.py');
const REQUIREMENTS = join(import.meta.dirname, 'python/frameworks.txt');
const FOLDER = join(import.meta.dirname, '../../.runtime/test-clients/frameworks');
const COLLECTION = JSON.stringify({ vectors: { size: 4, distance: 'Cosine' } });
const SCOPED = newKeyText('scoped');
/** A named key for one prefix, where it may create collections: nothing has to be there before. */
const MAY_CREATE = namedKey('scoped', SCOPED, {
  access: [{ collections: ['mine*'], access: 'rw', manage: ['create'] }],
});

/** A caller: its credential, whether the collection is there, and `gateway.compatibility.create_existing`. */
const CALLERS = [
  { caller: 'a named key with `create`', credential: SCOPED, exists: false, createExisting: false },
  { caller: 'a token, `rw`', credential: collectionToken('rw', 'mine'), exists: true, createExisting: false },
  {
    caller: 'a token, `rw`, with `create_existing`',
    credential: collectionToken('rw', 'mine'),
    exists: true,
    createExisting: true,
  },
  { caller: 'a token, `prw`', credential: collectionToken('prw', 'mine'), exists: true, createExisting: false },
  { caller: 'a token, `r`', credential: collectionToken('r', 'mine'), exists: true, createExisting: false },
] as const;

function install(): string {
  const python = join(FOLDER, 'bin/python');
  if (!existsSync(python)) execFileSync(findProgram('python3') ?? 'python3', ['-m', 'venv', FOLDER]);
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS]);
  return python;
}

/** A refusal is told by its text; anything else by what was thrown. */
function told(error: string | null): string {
  if (error === null) return 'works';
  return /Forbidden: [\w ]+ is required|Only points access is allowed for collection \w+/.exec(error)?.[0] ?? error;
}

async function outcomes(python: string, { caller, credential, exists, createExisting }: (typeof CALLERS)[number]) {
  const settings = { 'gateway.compatibility.create_existing': createExisting };
  const gateway = await startGateway({ tls: false, namedKeys: [MAY_CREATE], settings });
  try {
    if (exists) {
      const made = await fetch(`http://127.0.0.1:${gateway.rest.port}/collections/mine`, {
        method: 'PUT',
        headers: { 'api-key': KEYS.admin, 'content-type': 'application/json' },
        body: COLLECTION,
      });
      if (made.status !== 200) throw new Error(`the collection was not made: ${made.status}`);
    }
    const calls = await clientCalls(python, [
      SCRIPT,
      ...[gateway.rest.port, gateway.grpc.port].map(String),
      credential,
    ]);
    return calls
      .filter(({ call, error }) => call !== 'end' || error !== null)
      .map(({ call, error }): FrameworkRow => ({ framework: call, caller, outcome: told(error) }));
  } finally {
    await gateway.close();
  }
}

if (findProgram('python3') === undefined) {
  console.log('skipped: python3 is not here\n0 passed, 0 failed, 1 skipped');
} else {
  const python = install();
  const rows: FrameworkRow[] = [];
  for (const caller of CALLERS) rows.push(...(await outcomes(python, caller)));
  if (process.argv.includes('--write')) {
    writeFileSync(FRAMEWORKS_RECORD, `${JSON.stringify(rows, null, 1)}\n`);
    writeFileSync(FRAMEWORKS_PAGE, frameworksPage(rows));
  }
  const before: readonly FrameworkRow[] = JSON.parse(readFileSync(FRAMEWORKS_RECORD, 'utf8'));
  const wrong = rows.filter((row, at) => JSON.stringify(row) !== JSON.stringify(before[at]));
  for (const { framework, caller, outcome } of wrong) console.log(`FAILED  ${framework}, ${caller}: ${outcome}`);
  console.log(`${rows.length - wrong.length} passed, ${wrong.length} failed`);
  process.exitCode = wrong.length === 0 && rows.length === before.length ? 0 : 1;
}

import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CERTS_DIR, runCerts } from '../support/certs.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { type QdrantPlace, realQdrant } from '../support/real-qdrant.ts';
import { CLIENTS, releaseOf } from './clients.ts';
import { clientsPage, PAGE, RECORD, type Recorded, recorded } from './page.ts';
import { runClient } from './run.ts';
import { STEPS, STRANGER } from './steps.ts';
import { askUpstream, tenantFiles } from './tenant.ts';

/*
 * The tutorial with the official client of every language, through a gateway before the stand-in:
 *
 *   npm run test:clients                       installs what is needed and runs all; a client that cannot be run says why
 *   npm run test:clients -- python go          those whose name holds one of the words
 *   npm run test:clients -- --write            writes down what the clients showed, and docs/reference/clients.md
 *
 * Every step must give what steps.ts says, and show what is written down. With QDRANT_URL (and QDRANT_GRPC_URL) that Qdrant is behind
 * the gateway in the place of the stand-in: its collections `books`, `private` and `shared` are made anew.
 */

const FAILED = new Set([...STRANGER, ...STEPS].flatMap((step) => ('failed' in step ? [step.step] : [])));
const curlRelease = (): string => execFileSync('curl', ['--version'], { encoding: 'utf8' }).split(' ')[1] ?? '';
const words = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const write = process.argv.includes('--write');
const chosen = CLIENTS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));

// One CA for all, also after the gateway was started again.
const certs = mkdtempSync(join(tmpdir(), 'qdrant-gateway-clients-'));
await runCerts(certs);
process.env[CERTS_DIR] = certs;
const fake = realQdrant() === undefined ? await startFakeQdrant() : undefined;
const upstream = fake ?? (realQdrant() as QdrantPlace);
const tenant = await tenantFiles(certs);
await askUpstream(upstream, 'DELETE', '/collections/private');
await askUpstream(upstream, 'PUT', '/collections/private', { vectors: { size: 4, distance: 'Dot' } });

const known: Record<string, Recorded> = { ...recorded() };
const counts = { passed: 0, failed: 0, skipped: 0 };
for (const client of chosen) {
  const command = client.prepare();
  if ('missing' in command) {
    counts.skipped += 1;
    console.log(`skipped  ${client.name}: ${command.missing}`);
    continue;
  }
  const { shown, wrong } = await runClient(client, command, upstream, join(certs, 'ca.pem'), tenant);
  const before = known[client.name]?.shown;
  // An error of the client's own names what the system says; a refusal is the same everywhere.
  const changed = Object.entries(shown).filter(
    ([step, text]) => !write && !FAILED.has(step) && before?.[step] !== text,
  );
  const problems = [
    ...wrong,
    ...changed.map(([step, text]) => `${step}: shows \`${text}\`, and \`${before?.[step]}\` is written down`),
  ];
  counts[problems.length === 0 ? 'passed' : 'failed'] += 1;
  console.log(`${problems.length === 0 ? 'passed ' : 'FAILED '}  ${client.name} ${releaseOf(client)}`);
  for (const problem of problems) console.log(`           ${problem}`);
  if (wrong.length === 0) known[client.name] = { release: releaseOf(client) || curlRelease(), shown };
}
await fake?.close();

if (write) {
  const sorted = Object.fromEntries(CLIENTS.flatMap(({ name }) => (known[name] ? [[name, known[name]]] : [])));
  writeFileSync(RECORD, `${JSON.stringify(sorted, null, 2)}\n`);
  writeFileSync(PAGE, clientsPage(sorted));
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;

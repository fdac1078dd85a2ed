import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startGateway } from '../support/gateway.ts';
import { settingsBefore } from '../support/real-qdrant.ts';
import { Deviations } from '../support/verdicts/verdicts.ts';
import { openRealQdrant, type RealQdrant } from './real-qdrant.ts';
import { replayGrpc, replayRest } from './replay.ts';
import { isClean, render, totalsOf } from './report.ts';

/*
 * Asks every recorded verdict again through a running gateway and writes the comparison to `docs/reference/conformance.md`:
 *   npm run test:conformance -- [file to write]
 * The upstream is the stand-in, or the unsecured Qdrant without collections that QDRANT_URL (and QDRANT_GRPC_URL) name.
 * Ends with 0 when all agree, 1 on a difference that is not listed, 2 when it cannot run.
 */
const PAGE = fileURLToPath(new URL('../../docs/reference/conformance.md', import.meta.url));
/** Asks only every nth verdict, for trying an upstream: the page, which is no longer whole, has to be named then. */
const EVERY = Math.max(1, Number(process.env.CONFORMANCE_EVERY ?? 1));
const FILES = ['verdicts-rest.json', 'cross-rest.json', 'verdicts-grpc.json', 'cross-grpc.json'];

async function run(page: string, real: RealQdrant | undefined): Promise<number> {
  const gateway = await startGateway({ settings: settingsBefore(real) });
  const listed = new Deviations(...FILES);
  try {
    const recording = real === undefined;
    const compared = [
      ...(await replayRest(gateway, { recording, every: EVERY }, listed)),
      ...(await replayGrpc(gateway, { recording, every: EVERY }, listed)),
    ];
    mkdirSync(dirname(page), { recursive: true });
    writeFileSync(page, render(compared, real ? `Qdrant ${real.version}` : 'the in-memory stand-in'));
    for (const { verdict, outcome } of compared.filter(({ standing }) => standing === 'different')) {
      console.log(`different: ${verdict.file}: ${verdict.case} as ${verdict.principal}`);
      console.log(`  native \`${verdict.recorded}\`, ours \`${outcome}\``);
    }
    if (EVERY === 1) for (const entry of listed.stale()) console.log(`not needed: ${entry}`);
    const totals = totalsOf(compared);
    console.log(
      `${compared.length} verdicts: ${Object.entries(totals)
        .map(([name, n]) => `${n} ${name}`)
        .join(', ')}`,
    );
    return isClean(totals) ? 0 : 1;
  } finally {
    await gateway.close();
  }
}

async function main(page: string): Promise<number> {
  let real: RealQdrant | undefined;
  try {
    real = await openRealQdrant(process.env);
  } catch (error) {
    console.error(`test:conformance: ${error instanceof Error ? error.message : error}`);
    return 2;
  }
  try {
    return await run(page, real);
  } finally {
    await real?.clear();
  }
}

const page = process.argv[2] ?? (EVERY === 1 ? PAGE : undefined);
if (page === undefined) console.error('test:conformance: a part of the verdicts needs a file to write to');
process.exitCode = page === undefined ? 2 : await main(page);

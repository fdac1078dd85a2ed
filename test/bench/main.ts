import { writeFileSync } from 'node:fs';
import { chartSvg } from './chart.ts';
import { machineLine, today } from './machine.ts';
import { chosenRows, type Options, readOptions } from './options.ts';
import { choosePinning, pinSelf } from './processes.ts';
import { markdownReport } from './report.ts';
import { contestantsOf } from './rows/contestants.ts';
import { costRows } from './rows/cost-rows.ts';
import { growthRows } from './rows/growth-rows.ts';
import { latencyRows } from './rows/latency-rows.ts';
import { memoryRows } from './rows/memory-rows.ts';
import { nestingRows } from './rows/nesting-rows.ts';
import { closeRedis } from './rows/shared.ts';
import { runRows } from './run.ts';
import { inScratchFolder, say } from './scratch.ts';
import { prepareStage } from './stage.ts';

/*
 * What this gateway costs, beside its peers:
 *
 *   npm run bench -- [--quick] [--rows cost,latency,...] [--only ours-jwt,envoy,...] [--json FILE] [--svg FILE]
 */

async function bench(options: Options, folder: string): Promise<void> {
  if (process.platform !== 'linux') throw new Error('CPU time is read from /proc: this needs Linux');
  const pinning = choosePinning();
  pinSelf(pinning);
  const machine = machineLine(pinning);
  say(machine);
  const stage = await prepareStage(folder, 'none' in pinning ? null : pinning.gateway);
  const { window, rounds, profile } = options;
  const nodeFlags = profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profile];
  const contestants = contestantsOf(stage, options.only, nodeFlags);
  const all = [
    ...costRows(stage, contestants, window),
    ...latencyRows(stage, contestants, window),
    ...growthRows(stage, window, nodeFlags, options.tokens),
    ...nestingRows(stage, nodeFlags),
    ...memoryRows(stage, options.idleConnections),
  ];
  const results = await runRows(chosenRows(all, options.rows), rounds, say);
  const versions = Object.fromEntries(contestants.map(({ id, version }) => [id, version]));
  const peers = contestants.flatMap(({ gateway: { label }, version }) =>
    version === null ? [] : `${label} ${version}`,
  );
  const date = today();
  const caption = `${date}, ${machine}; rounds: ${rounds}, windows of ${window.seconds} s; ${[...new Set(peers)].join(', ')}`;
  process.stdout.write(`${markdownReport(results, caption)}\n`);
  const record = { date, machine, rounds, window, versions, rows: results };
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(record, null, 2)}\n`);
  if (options.svg !== undefined) writeFileSync(options.svg, chartSvg(results, caption));
}

await inScratchFolder('bench', (folder) => bench(readOptions(process.argv.slice(2)), folder).finally(closeRedis));

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { runPaced } from '../bench/load/paced.ts';
import { ownGateway } from '../bench/peers/gateways.ts';
import { choosePinning, pinSelf } from '../bench/processes.ts';
import { tokenOf } from '../bench/rows/tokens.ts';
import { openSmall, SMALL_LINE } from '../bench/rows/workloads.ts';
import { inScratchFolder } from '../bench/scratch.ts';
import { API_KEY, prepareStage } from '../bench/stage.ts';
import { quantile } from '../bench/statistics.ts';

/*
 * The wait of one caller beside another that asks as fast as it can, on 32 connections: without a limit on it, and over its limit.
 *
 *   npm run soak -- limited [SECONDS]
 */

const CONNECTIONS = 32;
const PER_SECOND = 100;
const [first = '5', port = '', caFile = '', credential = ''] = process.argv.slice(2);

/** Asks without an end, and tells how often it was answered with which status when its input ends. */
async function floodWithoutEnd(): Promise<void> {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: CONNECTIONS,
    ca: readFileSync(caFile),
    servername: 'localhost',
  });
  const statuses: Record<string, number> = {};
  const [method = '', path = ''] = SMALL_LINE.split(' ');
  const ask = (): void => {
    const headers = { 'api-key': credential };
    const sent = request({ host: '127.0.0.1', port, agent, method, path, headers }, (answer) => {
      statuses[answer.statusCode ?? 0] = (statuses[answer.statusCode ?? 0] ?? 0) + 1;
      answer.resume().once('end', ask);
    });
    sent.once('error', ask).end();
  };
  for (let open = 0; open < CONNECTIONS; open += 1) ask();
  await once(process.stdin.resume(), 'end');
  process.stdout.write(JSON.stringify(statuses));
  process.exit();
}

async function show(folder: string, seconds: number): Promise<void> {
  const pinning = choosePinning();
  pinSelf(pinning);
  const stage = await prepareStage(folder, 'none' in pinning ? null : pinning.gateway);
  const file = join(folder, 'limit.json');
  const requests = { per: 'minute', most: 60 };
  writeFileSync(file, JSON.stringify({ limits: [{ id: 'limited', subjects: ['limited'], requests }] }));
  const settings = { QDRANT_GATEWAY__POLICY_FILE: file };
  const started = await stage.shared(ownGateway({ name: 'limited', settings }));
  const target = started.target('rest', tokenOf({ access: 'r', subject: 'good' }, API_KEY));
  const ca = join(folder, 'soak-ca.pem');
  writeFileSync(ca, target.ca);
  for (const [name, subject] of [
    ['alone', undefined],
    ['beside a caller without a limit', 'unlimited'],
    ['beside a caller over its limit', 'limited'],
  ] as const) {
    const token = subject && tokenOf({ access: 'r', subject }, API_KEY);
    const flood = token && spawn(process.execPath, [import.meta.filename, 'flood', String(target.port), ca, token]);
    let said = '';
    if (flood) flood.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const clients = await openSmall('rest', target, 8);
    const { milliseconds, errors } = await runPaced(clients, { perSecond: PER_SECOND, warmUp: 1, seconds });
    if (flood) {
      flood.stdin.end();
      await once(flood, 'close');
    }
    const [p50, p99] = [quantile(milliseconds, 0.5), quantile(milliseconds, 0.99)];
    const other = said && `, the other was told ${said} in ${seconds + 1} s`;
    process.stdout.write(`${name}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${errors} errors${other}\n`);
  }
}

if (first === 'flood') await floodWithoutEnd();
else await inScratchFolder('limited', (folder) => show(folder, Number(first)));

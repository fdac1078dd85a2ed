import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDevCerts } from '../../certs/make-dev-certs.ts';
import { mintToken } from '../../src/identity/token.ts';
import { chartSvg } from './chart.ts';
import { type Gateway, ownGateway, PEERS } from './gateways.ts';
import { COLLECTION, measure, refusesWrongKey, type Sample, type Workload } from './measure.ts';
import { type Options, readOptions } from './options.ts';
import type { Scene } from './peer-configs.ts';
import { choosePinning, freePort, type Pinning, pinSelf, startProgram, stopAll, untilListening } from './processes.ts';
import { type Contestant, resultTable } from './report.ts';

const API_KEY = 'bench-admin-key-0123456789abcdef';
const BASE = 'ours-jwt';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** A contestant that is being measured: its samples grow. */
type Entry = Contestant & {
  readonly gateway: Gateway;
  readonly credential: string;
  readonly samples: Record<Workload, Sample[]>;
  readonly without: Record<Workload, string | null>;
};

function entriesOf(options: Options, token: string): Entry[] {
  const flags = options.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', options.profile];
  const ours = ownGateway(flags);
  const all = [
    { id: 'ours-jwt', label: 'ours, collection JWT', gateway: ours, credential: token },
    { id: 'ours-key', label: 'ours, admin key', gateway: ours, credential: API_KEY },
    ...PEERS.map((gateway) => ({ id: gateway.name, label: gateway.name, gateway, credential: API_KEY })),
  ];
  const unknown = options.only?.find((id) => all.every((one) => one.id !== id));
  if (unknown !== undefined) throw new Error(`\`--only\` knows ${all.map(({ id }) => id).join(', ')}`);
  return all
    .filter(({ id }) => options.only?.includes(id) ?? true)
    .map((one) => {
      const version = one.gateway.version();
      const rest = version === null ? 'not installed' : null;
      const grpc = rest ?? (one.gateway.grpc ? null : 'cannot carry gRPC (trailers are lost)');
      return { ...one, version: version ?? '', samples: { rest: [], grpc: [] }, without: { rest, grpc } };
    });
}

type Stage = Pick<Scene, 'folder' | 'upstreamRest' | 'upstreamGrpc' | 'cert' | 'key' | 'bundle' | 'apiKey'> & {
  readonly ca: Buffer;
};

async function prepareStage(folder: string): Promise<Stage> {
  const { ca, cert, key } = await makeDevCerts(folder);
  const bundle = join(folder, 'bundle.pem');
  writeFileSync(bundle, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'), { mode: 0o600 });
  const [upstreamRest, upstreamGrpc] = [await freePort(), await freePort()];
  const script = join(import.meta.dirname, 'upstream.ts');
  const upstream = startProgram([process.execPath, script, `${upstreamRest}`, `${upstreamGrpc}`], {}, null);
  await untilListening(upstream, [upstreamRest, upstreamGrpc]);
  return { folder, upstreamRest, upstreamGrpc, cert, key, bundle, apiKey: API_KEY, ca: readFileSync(ca) };
}

type Started = {
  readonly pid: number;
  readonly core: number | null;
  readonly ports: Readonly<Record<Workload, number>>;
};

async function startGateway(gateway: Gateway, stage: Stage, core: number | null): Promise<Started> {
  const ports = { rest: await freePort(), grpc: await freePort() };
  const folder = join(stage.folder, gateway.name.replaceAll(' ', '-'));
  mkdirSync(folder);
  const { command, env } = gateway.launch({ ...stage, folder, restPort: ports.rest, grpcPort: ports.grpc });
  const program = startProgram(command, env, core);
  await untilListening(program, gateway.grpc ? [ports.rest, ports.grpc] : [ports.rest]);
  return { pid: program.pid, core, ports };
}

/** Starts each gateway once; one that does not start loses its figures and says why. */
async function startGateways(entries: readonly Entry[], stage: Stage, core: number | null) {
  const started = new Map<Gateway, Started>();
  for (const { gateway, label, without, version } of entries) {
    if (without.rest !== null || started.has(gateway)) continue;
    try {
      started.set(gateway, await startGateway(gateway, stage, core));
      say(`started ${gateway.name} (${version})`);
    } catch (error) {
      const why = `did not start: ${error instanceof Error ? error.message : 'unknown error'}`;
      Object.assign(without, { rest: why, grpc: why });
      say(`${label} ${why}`);
    }
  }
  return started;
}

/** A gateway that lets a wrong key pass does less than the others: it is not compared. */
async function checkKeys(
  entries: readonly Entry[],
  started: ReadonlyMap<Gateway, Started>,
  { ca }: Stage,
  options: Options,
) {
  for (const entry of entries) {
    const target = started.get(entry.gateway);
    for (const workload of options.workloads) {
      if (target === undefined || entry.without[workload] !== null) continue;
      const aim = { port: target.ports[workload], ca, credential: entry.credential };
      if (!(await refusesWrongKey(workload, aim))) entry.without[workload] = 'does not refuse a wrong key';
    }
  }
}

function describe({ cpuPerRequest, requestsPerSecond, busy, others, errors, firstError }: Sample): string {
  const share = `${(busy * 100).toFixed(0)} % busy, others ${(others * 100).toFixed(0)} %`;
  const figures = `${cpuPerRequest.toFixed(1)} us/req, ${requestsPerSecond.toFixed(0)} req/s, ${share}`;
  return errors === 0 ? figures : `${figures}, ${errors} ERRORS: ${firstError}`;
}

/**
 * Every contestant once a round, each round beginning with another one: a drift of the machine meets all alike. Round 0
 * is not counted: it is there for the compilers of the gateways and of the load.
 */
async function runRounds(
  entries: readonly Entry[],
  started: ReadonlyMap<Gateway, Started>,
  ca: Buffer,
  options: Options,
) {
  const { rounds, seconds, workloads } = options;
  const window = { warmUp: Math.max(0.5, seconds / 4), seconds };
  for (let round = 0; round <= rounds; round++) {
    const order = entries.map((_, index) => entries[(index + round) % entries.length]);
    for (const [workload, entry] of workloads.flatMap((name) => order.map((one) => [name, one] as const))) {
      const target = entry === undefined ? undefined : started.get(entry.gateway);
      if (entry === undefined || target === undefined || entry.without[workload] !== null) continue;
      const aim = { port: target.ports[workload], ca, credential: entry.credential };
      const sample = await measure(workload, aim, target, window);
      if (round > 0) entry.samples[workload].push(sample);
      say(`${round === 0 ? 'warm-up' : `round ${round}/${rounds}`} ${workload} ${entry.label}: ${describe(sample)}`);
    }
  }
}

function machineLine(pinning: Pinning): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const pinned =
    'none' in pinning
      ? `not pinned (${pinning.none})`
      : `gateway on core ${pinning.gateway}, load and upstream on core ${pinning.load}`;
  return `${model}, ${cpus().length} cores, ${process.platform} ${release()}, Node ${process.version}; ${pinned}`;
}

async function bench(options: Options, folder: string): Promise<void> {
  if (process.platform !== 'linux') throw new Error('CPU time is read from /proc: this needs Linux');
  const pinning = choosePinning();
  pinSelf(pinning);
  const machine = machineLine(pinning);
  say(machine);
  const token = await mintToken({ access: [{ collection: COLLECTION, access: 'r' }] }, API_KEY);
  const entries = entriesOf(options, token);
  const stage = await prepareStage(folder);
  const started = await startGateways(entries, stage, 'none' in pinning ? null : pinning.gateway);
  await checkKeys(entries, started, stage, options);
  await runRounds(entries, started, stage.ca, options);
  const base = entries.find(({ id }) => id === BASE);
  const date = new Date().toISOString().slice(0, 10);
  process.stdout.write(`\n${resultTable(entries, base)}\n\n${date}, ${machine}\n`);
  const { rounds, seconds, json, svg } = options;
  const results = entries.map(({ id, label, version, samples, without }) => ({ id, label, version, samples, without }));
  const record = { date, machine, rounds, seconds, base: BASE, results };
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(record, null, 2)}\n`);
  if (svg !== undefined) writeFileSync(svg, chartSvg(entries, base, `${date}, ${machine}`));
}

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-bench-'));
let ending: Promise<void> | undefined;
const end = (): Promise<void> => {
  ending ??= stopAll().then(() => rmSync(folder, { recursive: true, force: true }));
  return ending;
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => void end().then(() => process.exit(130)));
}
try {
  await bench(readOptions(process.argv.slice(2)), folder);
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : 'unknown error'}`);
  process.exitCode = 1;
} finally {
  await end();
}

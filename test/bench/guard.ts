import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { commitOfTree, layOut, ROOT, readBaseline, writeBaseline } from './baseline.ts';
import { bestCounter, type Counter } from './counter.ts';
import type { Clients, Target } from './load/clients.ts';
import { type Load, lockstep } from './load/load.ts';
import { machineLine, today } from './machine.ts';
import { ownGateway } from './peers/gateways.ts';
import { choosePinning, cpuOf, pinSelf, treeOf } from './processes.ts';
import { createProgress } from './progress.ts';
import { openQuery, WORKLOADS } from './rows/workloads.ts';
import { inScratchFolder, say } from './scratch.ts';
import { API_KEY, type Protocol, prepareStage, type Stage, type Started } from './stage.ts';
import { alignTable } from './table.ts';
import { judgeRow, LIMIT, type Pair, type RowVerdict, verdictCells } from './verdict.ts';

/*
 * Has a request become dearer? The tree and the build of the baseline, side by side in one run:
 *
 *   npm run bench:guard -- [--rounds N] [--rows rest-jwt,...] [--record]
 *
 * Ends with 1 when a row costs more than the limit allows. `--record` makes the tree the new baseline.
 */

/** CPU seconds that each build uses before and in a window, so that a busy machine makes windows longer, not figures worse. */
const WINDOW = { warmUp: 0.1, measured: 0.6 };
/** The same after a start, until what is hot has been compiled: with less, the first row is up to 1.1 times dearer, whichever it is. */
const FIRST_WARM_UP = 2;
const WINDOW_LIMIT_MS = 20_000;
/** Rounds before both builds are started anew: where code comes to lie, and what is compiled, differs from start to start. */
const ROUNDS_PER_START = 2;

type GuardRow = {
  readonly id: string;
  readonly protocol: Protocol;
  readonly credential: string;
  readonly open: (target: Target) => Promise<Clients>;
};

type OpenRow = GuardRow & { readonly pairs: Pair[]; fault: string | null };
type Builds = { readonly old: Started; readonly new: Started };

function rowsOf(stage: Stage, names: readonly string[] | null): GuardRow[] {
  const query = { id: 'rest-query', protocol: 'rest', open: openQuery } as const;
  const rows = [...WORKLOADS, query].flatMap(({ id, protocol, open }) => [
    { id: `${id}-jwt`, protocol, open, credential: stage.collectionToken },
    { id: `${id}-key`, protocol, open, credential: API_KEY },
  ]);
  const unknown = names?.find((name) => rows.every(({ id }) => id !== name));
  if (unknown !== undefined) throw new Error(`\`--rows\` knows ${rows.map(({ id }) => id).join(', ')}`);
  return rows.filter(({ id }) => names?.includes(id) ?? true);
}

/** Waits until both builds have used so much CPU time, or for as long as a window may take. */
async function untilUsed(builds: Builds, cpuSeconds: number): Promise<void> {
  const trees = [treeOf(builds.old.pid), treeOf(builds.new.pid)];
  const before = trees.map(cpuOf);
  const until = Date.now() + WINDOW_LIMIT_MS;
  const isUsed = (): boolean => trees.every((pids, index) => cpuOf(pids) - (before[index] ?? 0) >= cpuSeconds * 1e6);
  while (!isUsed() && Date.now() < until) await sleep(20);
}

/** Begins to count what the requests of one build cost; the function that comes back ends it and says what one did. */
async function meter(load: Load, started: Started, counter: Counter): Promise<() => Promise<number>> {
  const end = await counter.begin(treeOf(started.pid));
  const before = load.completed;
  return async () => {
    const requests = load.completed - before;
    const used = await end();
    if (load.firstFailure !== null) throw new Error(load.firstFailure);
    if (requests === 0) throw new Error('no request was answered');
    return used / requests;
  };
}

/**
 * What one request costs each build, both under the same load at the same time on the same core: whatever disturbs one
 * disturbs the other. Throws when an answer was not as it must be.
 */
async function costsOf(row: GuardRow, builds: Builds, counter: Counter, warmUp: number): Promise<Pair> {
  const open = (started: Started): Promise<Clients> => row.open(started.target(row.protocol, row.credential));
  const pair = [await open(builds.old), await open(builds.new)] as const;
  const [oldLoad, newLoad] = lockstep(pair);
  try {
    await untilUsed(builds, warmUp);
    const ends = await Promise.all([meter(oldLoad, builds.old, counter), meter(newLoad, builds.new, counter)]);
    await untilUsed(builds, WINDOW.measured);
    const [old, tree] = await Promise.all([ends[0](), ends[1]()]);
    return { old, new: tree };
  } finally {
    for (const clients of pair) clients.close();
  }
}

async function takeRound(row: OpenRow, builds: Builds, counter: Counter, round: number): Promise<void> {
  try {
    const warmUp = round % ROUNDS_PER_START === 0 ? FIRST_WARM_UP : WINDOW.warmUp;
    row.pairs.push(await costsOf(row, builds, counter, warmUp));
  } catch (error) {
    row.fault = error instanceof Error ? error.message : 'unknown error';
  }
}

type Scene = {
  readonly stage: Stage;
  readonly oldRoot: string;
  readonly counter: Counter;
};

/** Rounds over all rows, the builds started anew every few of them. */
async function takeRounds({ stage, oldRoot, counter }: Scene, rows: readonly OpenRow[], rounds: number) {
  const progress = createProgress(rows.length * rounds, say);
  for (let from = 0; from < rounds; from += ROUNDS_PER_START) {
    const builds = {
      old: await stage.start(ownGateway({ root: oldRoot })),
      new: await stage.start(ownGateway({ root: ROOT })),
    };
    for (let round = from; round < Math.min(rounds, from + ROUNDS_PER_START); round++) {
      for (const row of rows) {
        if (row.fault !== null) continue;
        await takeRound(row, builds, counter, round);
        progress.passed(1);
        const pair = row.pairs.at(-1);
        const told = row.fault ?? (pair === undefined ? '' : `x ${(pair.new / pair.old).toFixed(3)}`);
        progress.say(`round ${round + 1}/${rounds} ${row.id}: ${told}`);
      }
    }
    await Promise.all([builds.old.stop(), builds.new.stop()]);
  }
}

const judge = (rows: readonly OpenRow[]): RowVerdict[] =>
  rows.map(({ id, pairs, fault }) => judgeRow(id, pairs, fault));

async function measure(scene: Scene, rows: readonly OpenRow[], rounds: number): Promise<RowVerdict[]> {
  await takeRounds(scene, rows, rounds);
  const above = rows.filter(({ fault }, index) => fault === null && judge(rows)[index]?.passes === false);
  if (above.length > 0) {
    say(`above ${LIMIT}, measured once more: ${above.map(({ id }) => id).join(', ')}`);
    await takeRounds(scene, above, rounds);
  }
  return judge(rows);
}

async function guard(folder: string, args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { rounds: { type: 'string' }, rows: { type: 'string' }, record: { type: 'boolean', default: false } },
  });
  const rounds = Number(values.rounds ?? 6);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('`--rounds` takes a whole number above zero');
  if (process.platform !== 'linux') throw new Error('CPU time is read from /proc: this needs Linux');
  const known = readBaseline();
  const tree = values.record ? commitOfTree() : null;
  const commit = known?.commit ?? tree;
  if (commit === null) throw new Error('there is no baseline yet: record one with `--record`');
  const oldRoot = join(folder, 'baseline');
  layOut(commit, oldRoot);
  const pinning = choosePinning();
  pinSelf(pinning);
  const machine = machineLine(pinning);
  const counter = await bestCounter();
  say(`${machine}; ${counter.name} per request, against ${commit.slice(0, 12)}`);
  const stage = await prepareStage(folder, 'none' in pinning ? null : pinning.gateway);
  const rows = rowsOf(stage, values.rows?.split(',') ?? null).map((row) => ({ ...row, pairs: [], fault: null }));
  const verdicts = await measure({ stage, oldRoot, counter }, rows, rounds);
  const table = alignTable([['row', 'ratio', 'smallest-largest', ''], ...verdicts.map(verdictCells)]);
  process.stdout.write(`${table}\n\n${counter.name} per request, times that of ${commit}; ${today()}, ${machine}\n`);
  if (tree !== null) {
    const ratios = Object.fromEntries(verdicts.flatMap(({ id, ratio }) => (ratio === null ? [] : [[id, ratio]])));
    writeBaseline({
      commit: tree,
      date: today(),
      machine,
      counter: counter.name,
      against: known?.commit ?? null,
      ratios,
    });
    say(`recorded ${tree}`);
  } else if (verdicts.some(({ passes }) => !passes)) {
    process.exitCode = 1;
  }
}

await inScratchFolder('bench:guard', (folder) => guard(folder, process.argv.slice(2)));

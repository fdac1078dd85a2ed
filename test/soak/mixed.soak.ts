import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import t from 'tap';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { type Arena, holds, settles, usageOf } from '../support/invariants.ts';
import { grpcLoop, type Load, restLoop, type Tally } from '../support/load/mixed.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';

/* Ordinary load on both ports with a share of faults and an upstream that is restarted, for as long as one likes. */
const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '600' }, faults: { type: 'string', default: '5' } },
});
const SECONDS = Number(values.seconds);
const FAULT_SHARE = Number(values.faults) / 100;
const LOOPS = 4;
const RESTART_EVERY_MS = 15_000;
const AWAY_MS = 300;
/** After a restart connections find out one by one. */
const EXCUSED_MS = 2000;

t.setTimeout((SECONDS + 120) * 1000);
let upstream = await startFakeQdrant({ record: false });
const ports = {
  restPort: Number(upstream.restUrl.split(':').at(-1)),
  grpcPort: Number(upstream.grpcUrl.split(':').at(-1)),
};
const gateway = await startGatewayProcess(upstream, { QDRANT__LOG_LEVEL: 'trace' });
t.teardown(async () => {
  await gateway.close();
  await upstream.close();
});
const arena: Arena = {
  gateway,
  get upstream() {
    return upstream;
  },
  asked: () => [],
};

let excusedUntil = 0;
let restarts = 0;

async function restartNowAndThen(until: number): Promise<void> {
  for (let next = performance.now() + RESTART_EVERY_MS; next < until; next += RESTART_EVERY_MS) {
    await sleep(Math.max(0, next - performance.now()));
    excusedUntil = Number.POSITIVE_INFINITY;
    await upstream.close();
    await sleep(AWAY_MS);
    upstream = await startFakeQdrant({ record: false, ...ports });
    excusedUntil = performance.now() + EXCUSED_MS;
    restarts += 1;
  }
}

function loadFor(milliseconds: number, faultShare: number): { readonly load: Load; readonly end: number } {
  const end = performance.now() + milliseconds;
  const tally: Tally = { rest: 0, grpc: 0, faults: 0, excused: 0, wrong: [] };
  return {
    load: {
      arena,
      tally,
      faultShare,
      isOver: () => performance.now() > end,
      isExcused: () => performance.now() < excusedUntil,
    },
    end,
  };
}

async function run({ load, end }: ReturnType<typeof loadFor>, restarting: boolean): Promise<Tally> {
  await Promise.all([
    ...Array.from({ length: LOOPS }, () => restLoop(load)),
    ...Array.from({ length: LOOPS }, () => grpcLoop(load)),
    ...(restarting ? [restartNowAndThen(end - EXCUSED_MS)] : []),
  ]);
  return load.tally;
}

t.test(`${SECONDS} s of both protocols with ${FAULT_SHARE * 100} % faults and upstream restarts`, async (t) => {
  // The heap grows to what the load itself needs before anything is compared.
  await run(loadFor(Math.min(10_000, SECONDS * 100), 0), false);
  const before = usageOf(arena);
  let most = before.megabytes;
  const sampling = setInterval(() => {
    most = Math.max(most, usageOf(arena).megabytes);
  }, 1000);
  const { rest, grpc, faults, excused, wrong } = await run(loadFor(SECONDS * 1000, FAULT_SHARE), true);
  clearInterval(sampling);
  t.comment(
    `${rest} REST and ${grpc} gRPC requests, ${faults} faults, ${restarts} restarts, ${excused} excused by them, ` +
      `RSS ${before.megabytes} MB before, ${most} MB at most`,
  );
  t.ok(rest > SECONDS * 10 && grpc > SECONDS * 10 && faults > SECONDS, 'there was a load');
  t.same(wrong.slice(0, 20), [], `every request but those around a restart is served (${wrong.length} were not)`);
  await settles(t, arena, before, 40);
  t.comment(`after: ${JSON.stringify(usageOf(arena))}`);
  await holds(t, arena);
});

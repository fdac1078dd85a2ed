import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { frameClient } from '../support/clients/raw-grpc.ts';
import { http2Client } from '../support/clients/raw-http.ts';
import { FILE_MS } from '../support/patience.ts';
import { NO_REDIS } from '../support/process/redis.ts';
import { redisOf } from '../support/redis-gateway.ts';
import { startSupervised } from '../support/supervised.ts';
import { holdsWithin, until } from '../support/until.ts';

/* Limits that two gateways share under load, while Redis is killed, comes back empty, hangs and goes on. */

const MOST = 60;
const HEADERS = [['api-key', 'admin-key-0123456789']] as const;
/** Loops of each gateway on each protocol, and the milliseconds that one waits between two requests. */
const LOOPS = 2;
const PAUSE_MS = 10;
t.setTimeout(FILE_MS);

interface Load {
  /** Times at which requests passed, in milliseconds. */
  readonly passed: number[];
  refused: number;
  readonly wrong: string[];
  readonly stop: () => Promise<void>;
}

/** Asks without an end over both protocols, much more than the limit lets pass. */
function loadOn(gateway: Awaited<ReturnType<typeof startSupervised>>): Load {
  const [http2, grpc] = [http2Client(gateway), frameClient(gateway)];
  let isOver = false;
  const rest = async (): Promise<boolean | string> => {
    const { status } = await http2.send({ method: 'GET', target: '/collections', headers: HEADERS });
    return status === 200 || (status !== 429 && `REST ${status}`);
  };
  const call = async (): Promise<boolean | string> => {
    const sent = { method: '/qdrant.Collections/List', headers: HEADERS, message: Buffer.alloc(0) };
    const { code } = await grpc.call(sent);
    return code === 0 || (code !== 8 && `gRPC ${code}`);
  };
  const load: Load = {
    ...{ passed: [], refused: 0, wrong: [] },
    stop: async () => {
      isOver = true;
      await Promise.all(loops);
      http2.close();
      grpc.close();
    },
  };
  const loop = async (ask: () => Promise<boolean | string>): Promise<void> => {
    while (!isOver) {
      const told = await ask().catch((error: Error) => error.message);
      if (told === true) load.passed.push(performance.now());
      else if (told === false) load.refused += 1;
      else load.wrong.push(told);
      await holdsWithin(() => isOver, PAUSE_MS);
    }
  };
  const loops = [rest, call].flatMap((ask) => Array.from({ length: LOOPS }, () => loop(ask)));
  return load;
}

async function gatewayOn(t: Test, url: string) {
  const file = join(t.testdir(), 'policy.yaml');
  writeFileSync(file, `limits: [{ id: all, each: all, requests: { per: second, most: ${MOST} } }]`);
  const gateway = await startSupervised({
    ...{ 'gateway.policy_file': file, 'gateway.shared.limits': true, 'gateway.revocation.redis_url': url },
  });
  t.teardown(() => gateway.close());
  return gateway;
}

/** The most that passed in any span beyond what flows in during it. */
function beyondInflow(times: readonly number[]): number {
  // For each end the best begin is the one with the largest lead of inflow over the count.
  let [most, lead] = [0, Number.NEGATIVE_INFINITY];
  times.forEach((at, count) => {
    const flown = (at * MOST) / 1000;
    lead = Math.max(lead, flown - count);
    most = Math.max(most, count + 1 - flown + lead);
  });
  return most;
}

t.test('limits shared under load', { skip: NO_REDIS }, async (t) => {
  const redis = await redisOf(t);
  const gateways = [await gatewayOn(t, redis.url), await gatewayOn(t, redis.url)];
  const reports = () => gateways.map(({ operator }) => operator.sharedLimits?.());
  await until(() => reports().every((report) => report?.gateways === 2), 'they know of each other');
  const loads = gateways.map(loadOn);
  const goOn = async (what: string): Promise<void> => {
    const before = loads.map(({ passed, refused }) => [passed.length, refused] as const);
    await until(
      () => loads.every((load, at) => load.passed.length >= (before[at]?.[0] ?? 0) + 20),
      `${what}: both let pass`,
    );
    await until(() => loads.every((load, at) => load.refused > (before[at]?.[1] ?? 0)), `${what}: both refuse`);
  };
  const see = (available: boolean) =>
    until(() => reports().every((report) => report?.available === available), `available: ${available}`, 20_000);

  await goOn('with Redis');
  for (const [name, gone, back] of [
    ['killed', () => redis.kill(), () => redis.restart()],
    ['hung', async () => redis.hang(), async () => redis.wake()],
    ['killed again', () => redis.kill(), () => redis.restart()],
  ] as const) {
    await gone();
    await goOn(`${name}, not yet seen`);
    await see(false);
    await goOn(name);
    await back();
    await see(true);
    await goOn(`after it was ${name}`);
  }
  for (const load of loads) await load.stop();
  t.strictSame(
    loads.flatMap(({ wrong }) => wrong),
    [],
    'each is let pass or refused',
  );
  const times = loads.flatMap(({ passed }) => passed).sort((a, b) => a - b);
  const beyond = beyondInflow(times);
  // The amount, once again for what is told later, and once for each time that Redis has lost what it knew.
  t.ok(beyond <= 4 * MOST, `${beyond.toFixed(0)} beyond the inflow, of ${times.length} that passed`);
  t.comment(`${beyond.toFixed(0)} beyond the inflow of ${MOST} a second, of ${times.length} that passed`);
});

import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { startLoad } from '../support/load/steady.ts';
import { mountSecret, pairOf } from '../support/operated.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { until } from '../support/until.ts';

/**
 * Reloads for `SOAK_SECONDS` (180 when unset; memory comes back late, so less tells little) under load on every lane, in a process of its own: keys, rules, certificates,
 * half-written files, by file changes and by SIGHUP. No request may be lost, and memory and descriptors stay flat.
 *
 * Run with `npm run soak -- reload`.
 */

const SECONDS = Number(process.env.SOAK_SECONDS ?? 180);
/** What the lowest memory of the second half may lie above that of the first: in between it waits to be collected. */
const GROWTH_MIB = 24;
t.setTimeout((SECONDS + 60) * 1000);

t.test(`${SECONDS} s of reloads under load lose nothing and leave nothing behind`, async (test) => {
  const folder = test.testdir();
  const secret = mountSecret(join(folder, 'secret'));
  const pairs = [await pairOf(0), await pairOf(1)] as const;
  let alt = 0;
  const swap = (which: number, half = false): void => {
    alt += 1;
    const { cert, key } = pairs[which % 2 === 0 ? 0 : 1];
    const text = cert.toString();
    secret.swap({
      cert: half ? text.slice(0, 90) : text,
      key: key.toString(),
      api: KEYS.admin,
      alt: `alternative-${alt}`,
    });
  };
  swap(0);
  writeFileSync(join(folder, 'policy.yaml'), 'rules: []\n');
  const upstream = await startFakeQdrant({ record: false });
  const gateway = await startGatewayProcess(upstream, {
    QDRANT__SERVICE__ALT_API_KEY_FILE: join(folder, 'secret', 'alt'),
    QDRANT__TLS__CERT: join(folder, 'secret', 'cert'),
    QDRANT__TLS__KEY: join(folder, 'secret', 'key'),
    QDRANT_GATEWAY__POLICY_FILE: join(folder, 'policy.yaml'),
    QDRANT__LOG_LEVEL: 'info',
  });
  test.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const reloads = (): number => gateway.errors().split('"cause":').length - 1;
  const descriptors = (): number => readdirSync(`/proc/${gateway.child.pid}/fd`).length;
  const ca = Buffer.concat([pairs[0].ca, pairs[1].ca]);
  const load = await startLoad({ ...gateway, ca }, KEYS.admin, 3);
  test.teardown(() => load.stop());
  const steps: readonly ((at: number) => void)[] = [
    (at) => swap(at),
    (at) => writeFileSync(join(folder, 'policy.yaml'), `rules: [{ id: r${at}, subjects: [x], access: r }]\n`),
    (at) => swap(at, true),
    (at) => swap(at),
    () => writeFileSync(join(folder, 'policy.yaml'), 'rules: [{ id: '),
    () => {
      swap(alt);
      writeFileSync(join(folder, 'policy.yaml'), 'rules: []\n');
    },
  ];
  const end = performance.now() + SECONDS * 1000;
  let open = 0;
  const samples: number[] = [];
  for (let at = 1; performance.now() < end; at += 1) {
    const before = reloads();
    steps[at % steps.length]?.(at);
    if (at % 2 === 0) gateway.child.kill('SIGHUP');
    await until(() => reloads() > before, `reload ${at} is told`);
    await load.round();
    if (at % 20 === 0) samples.push(gateway.residentBytes() >> 20);
    if (open === 0 && performance.now() > end - SECONDS * 750) open = descriptors();
  }
  const half = samples.length / 2;
  const growth = Math.min(...samples.slice(half)) - Math.min(...samples.slice(0, half));
  const opened = descriptors() - open;
  const { served, wrong } = await load.stop();
  test.comment(JSON.stringify({ reloads: reloads(), served, growthMib: growth, opened, residentMib: samples }));
  test.same(wrong, []);
  test.ok(growth < GROWTH_MIB, `lowest memory grew by ${growth} MiB`);
  test.ok(opened <= 4, `descriptors grew by ${opened}`);
});

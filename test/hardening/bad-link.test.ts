import t from 'tap';
import { type BadLink, calmsDown, make, readLarge, startBadLink, writeGrpc, writeRest } from '../support/bad-link.ts';
import { KEYS } from '../support/gateway.ts';
import { only, say, usageOf } from '../support/invariants.ts';
import { FILE_MS, PATIENCE_MS } from '../support/patience.ts';

t.setTimeout(FILE_MS);
const limits = { QDRANT_GATEWAY__UPSTREAM__RESPONSE_HEADER_TIMEOUT_MS: '3000' };
const lanes: Readonly<Record<string, BadLink>> = {
  relay: await startBadLink(limits),
  lane: await startBadLink({
    ...limits,
    QDRANT_GATEWAY__REST__RELAY: 'false',
    QDRANT_GATEWAY__UPSTREAM__MAX_CONNECTIONS: '4',
  }),
};
t.teardown(() => Promise.all(Object.values(lanes).map((link) => link.close())));

for (const [lane, link] of Object.entries(lanes)) {
  t.test(`U7: late, slow and torn links lose no write twice and tell every failure (${lane})`, async (test) => {
    const before = usageOf(link);
    make(link, { latencyMs: 100, resetsPerThousand: 60, bytesPerSecond: 100_000 });
    const rest = await writeRest(test, link, lane === 'relay' ? 100 : 40, 30);
    const grpc = await writeGrpc(test, link, 60, 5);
    test.ok(rest.answered > 20 && rest.failed === rest.resets, JSON.stringify(rest));
    test.ok(grpc.answered > 10 && grpc.failed > 0 && grpc.resets > 0, JSON.stringify(grpc));
    test.comment(`U7 ${lane}: REST ${JSON.stringify(rest)}, gRPC ${JSON.stringify(grpc)}`);
    make(link, { bytesPerSecond: 1_000_000 });
    const grown = await readLarge(test, link, 4, 20_000);
    test.ok(grown < 40, `four answers of 1 MiB at 1 MB/s: +${grown} MB`);
    await calmsDown(test, link, before);
  });

  t.test(`U7: a link that stands still or talks nonsense is told of in time (${lane})`, async (test) => {
    make(link, { garbage: true });
    test.match(await say(link, only('GET', '/collections/x', KEYS.admin)), { statuses: [502], closed: true });
    make(link, { halfOpen: true });
    const stuck = await say(link, only('GET', '/collections/x', KEYS.admin), { withinMs: PATIENCE_MS });
    test.match(stuck, { statuses: [504], closed: true });
    make(link, {});
    test.match(await say(link, only('GET', '/collections/x', KEYS.admin)), { statuses: [404], closed: true });
  });
}

t.test('U7: what waits for an upstream that is late is bounded, the rest is told at once', async (test) => {
  const { lane } = lanes;
  if (!lane) throw new TypeError('no lane');
  make(lane, { latencyMs: 150 });
  lane.upstream.recorder.clear();
  const answers = await Promise.all(
    Array.from({ length: 80 }, () => say(lane, only('GET', '/collections/x', KEYS.admin), { withinMs: PATIENCE_MS })),
  );
  const of = (status: number) => answers.filter(({ statuses }) => statuses[0] === status);
  const [shed, served, late] = [of(503), of(404), of(504)];
  test.equal(shed.length + served.length + late.length, 80);
  test.ok(shed.length >= 40 && served.length >= 4, `${shed.length} told, ${served.length} served, ${late.length} late`);
  test.ok(
    shed.every(({ ms }) => ms <= Math.max(...served.map((one) => one.ms))),
    'told before the last of those that wait is served',
  );
  test.ok(lane.asked().length >= served.length && lane.asked().length <= served.length + late.length, 'I1, I2');
  make(lane, {});
});

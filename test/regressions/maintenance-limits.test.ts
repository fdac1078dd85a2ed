import t from 'tap';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { createResolver } from '../../src/rest/resolve.ts';
import { bodyIdleOf, leastAnswerMs } from '../../src/rest/time-limits.ts';
import { exchangeRaw, readAnswer, recordingUpstream, startGateway } from '../rest/lane-fixture.ts';

/**
 * A snapshot that took 330 s to make was 504 at 300 s, and a client that paused 38 s within its body was 408: limits made
 * for queries, applied to maintenance.
 */
const HOUR = 3_600_000;
const resolve = createResolver({ staticContent: true });
const least = (method: string, target: string) => leastAnswerMs(resolve(method, target));

t.test('what makes, recovers, moves or builds something has hours; a caller has the time it asks for', async (t) => {
  for (const [method, target] of [
    ['POST', '/collections/a/snapshots'],
    ['POST', '/collections/a/snapshots?wait=true'],
    ['POST', '/collections/a/snapshots/upload?timeout=1'],
    ['PUT', '/collections/a/snapshots/recover'],
    ['POST', '/snapshots'],
    ['GET', '/collections/a/snapshots/x'],
    ['GET', '/collections/a/shards/0/snapshot'],
    ['PUT', '/collections/a/shards/0/snapshots/recover'],
    ['POST', '/collections/a/cluster'],
    ['PUT', '/collections/a/index?wait=true'],
    ['PUT', '/collections/a'],
    ['DELETE', '/collections/a'],
  ] as const) {
    t.ok(least(method, target) >= 6 * HOUR, `${method} ${target}`);
  }
  t.equal(least('POST', '/collections/a/points/query'), 0, 'a query has the usual time');
  t.equal(least('GET', '/collections'), 0);
  t.ok(least('POST', '/collections/a/points/query?timeout=900') > 900_000, 'more than it asks for');
  t.ok(least('PUT', '/collections/a/points?wait=true&timeout=900&ordering=weak') > 900_000);
  t.equal(least('POST', '/collections/a/points/query?xtimeout=900'), 0, 'another name');
  t.equal(least('POST', '/collections/a/points/query?timeout=9e9'), 0, 'what upstream refuses');
  t.ok(least('POST', '/collections/a/points/query?timeout=999999999') <= 24 * HOUR, 'there is an end');
});

t.test('every row of snapshots, shards and indexes that changes something is one of them', async (t) => {
  const changing = REST_OPERATIONS.filter(
    ({ method, name }) => method !== 'GET' && /snapshot|^shard_keys|^index|cluster\.(update|recover|remove)/.test(name),
  );
  t.strictSame(
    changing.filter(({ long }) => !long).map(({ name }) => name),
    [],
  );
});

t.test('a body may pause for as long as its caller is known for', async (t) => {
  t.equal(bodyIdleOf({ principal: {} }, 300_000), 300_000);
  t.equal(bodyIdleOf({ principal: undefined }, 300_000), 30_000);
  t.equal(bodyIdleOf({ principal: undefined }, 400), 400);
});

for (const relayed of [true, false]) {
  t.test(`the limits of upstream's answer (${relayed ? 'relay' : 'no relay'})`, async (t) => {
    const upstream = await recordingUpstream((_request, response) => {
      // Far behind the limits, and in two pieces.
      setTimeout(() => response.writeHead(200, { 'content-length': 2 }).write('{'), 1_200);
      setTimeout(() => response.end('}'), 2_400);
    });
    const gateway = await startGateway(upstream.port, {
      relayed,
      upstreamOptions: { headersTimeoutMs: 300, bodyTimeoutMs: 300 },
    });
    t.teardown(async () => {
      await gateway.close();
      await upstream.close();
    });
    const ask = async (line: string) =>
      readAnswer(
        (
          await exchangeRaw(gateway.port, `${line} HTTP/1.1\r\nhost: x\r\napi-key: main\r\nconnection: close\r\n\r\n`, {
            limitMs: 15_000,
          })
        ).text,
      );
    const [snapshot, asked, plain] = await Promise.all([
      ask('POST /collections/a/snapshots?wait=true'),
      ask('GET /collections/a?timeout=60'),
      ask('GET /collections/a'),
    ]);
    t.match(snapshot, { status: 200, body: '{}' }, 'a snapshot is waited for');
    t.match(asked, { status: 200, body: '{}' }, 'as is what a caller gives more time');
    t.equal(plain?.status, 504, 'anything else is given up');
  });
}

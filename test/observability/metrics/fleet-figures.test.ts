import t from 'tap';
import { createFleetFigures } from '../../../src/observability/metrics/fleet-figures.ts';
import type { GatewaySnapshot } from '../../../src/observability/snapshot.ts';
import { ADMIN_TOKEN, askAdmin, seriesOf, startSupervised } from '../../support/admin-gateway.ts';
import { KEYS } from '../../support/gateway.ts';
import { until } from '../../support/until.ts';

/** A process that has counted `count` of everything. */
function processOf(pid: number, count: number, startedAt = 1): GatewaySnapshot {
  const faults = { head: count, [count > 1 ? 'flood' : 'body']: 1 };
  const listener = { accepted: count, open: 1, refused: count, failedHandshakes: count, faults };
  const distribution = { at: 0, counts: [count, 0], sum: count };
  const delay = { p50: 0, p99: 0, max: 0 };
  return {
    ...{
      pid,
      generation: 1,
      protecting: true,
      rulesInShadow: 0,
      certificates: [],
      outages: undefined,
      nodes: undefined,
    },
    learned: undefined,
    tracing: { exported: count, failed: 0 },
    audit: {
      events: count,
      refused: count,
      sinks: [{ name: 'file', written: count, dropped: 0, queued: 0, fault: undefined }],
    },
    observed: {
      tally: {
        requests: [[pid, count]],
        gateway: [distribution],
        upstream: [],
        whole: [distribution],
        received: [count, 0],
        slowed: [0, 0, count, 0],
        sent: [0, count],
      },
      inFlight: { rest: 1, grpc: 0 },
      listeners: { rest: listener, grpc: listener },
      tokens: { size: 1, hits: count, misses: count },
      breakGlass: { permit: count },
      tokenExchanges: { minted: count },
      perKey: [{ key: 'k', subject: 's', counts: [count, 0, 0, 0] }],
      process: { pid, startedAt, cpuUser: 0, cpuSystem: 0, resident: 0, heapUsed: 0, delay, busy: 0, idle: 0 },
      internalFaults: { exchange: count },
      compared: { same: count },
      lostLines: count,
      limited: { burst: { denied: count, shadowed: 1 } },
    },
  };
}

t.test('several processes are added up, and one that has ended stays counted', async (t) => {
  const figures = createFleetFigures(10);
  const total = (...snapshots: GatewaySnapshot[]) => {
    const { tally, tokens, listeners, perKey, audit, internalFaults, compared, lostLines, limited } =
      figures(snapshots);
    t.equal(limited.burst?.denied, lostLines);
    t.equal(tokens.hits, lostLines);
    t.equal(listeners.rest.accepted, lostLines);
    t.equal(listeners.rest.faults.head, lostLines);
    t.equal(internalFaults.exchange, lostLines);
    t.equal(compared.same, lostLines);
    t.equal(tally.gateway[0]?.sum, lostLines);
    t.equal(perKey[0]?.counts[0], lostLines);
    t.equal(audit.sinks[0]?.written, lostLines);
    return lostLines;
  };
  t.equal(total(processOf(1, 10), processOf(2, 5)), 15);
  t.equal(total(processOf(1, 11), processOf(2, 5)), 16, 'counts are taken, not added again');
  t.equal(total(processOf(1, 12)), 17, 'a process that does not answer');
  t.equal(total(processOf(1, 12), processOf(2, 6)), 18, 'and answers again');
  t.equal(total(processOf(1, 12), processOf(2, 1, 99)), 19, 'another one with the same id');
  let last = 19;
  for (let i = 0; i < 200; i += 1) {
    const now = total(processOf(1, 12), processOf(100 + i, 1));
    t.ok(now > last, 'a counter never falls, however many come and go');
    last = now;
  }
});

t.test('two workers behind one port are one gateway on the admin port', async (t) => {
  const gateway = await startSupervised({
    settings: { 'gateway.workers': 2, 'gateway.admin.token': ADMIN_TOKEN },
    audit: true,
  });
  t.teardown(gateway.close);
  const requests = 40;
  for (let i = 0; i < requests; i += 1) {
    const key = i % 2 === 0 ? KEYS.admin : 'wrong';
    const headers = { 'api-key': key, connection: 'close' };
    await (await fetch(`${gateway.rest.url}/collections`, { headers })).arrayBuffer();
  }
  const counted = async () => {
    const values = [...seriesOf((await askAdmin(gateway.admin, '/metrics')).text)];
    const of = (decision: string) =>
      values
        .filter(([name]) => name.startsWith('requests_total') && name.includes(`decision="${decision}"`))
        .reduce((sum, [, value]) => sum + value, 0);
    return [of('permit'), of('denied'), new Map(values).get('processes')];
  };
  await until(async () => (await counted())[0] === requests / 2, 'all are counted');
  t.strictSame(await counted(), [requests / 2, requests / 2, 2]);
  const { text } = await askAdmin(gateway.admin, '/-/principals', { token: ADMIN_TOKEN });
  t.match(JSON.parse(text), { total: 1, principals: [{ key: 'api_key', allowed: requests / 2, denied: 0 }] });
  const status = JSON.parse((await askAdmin(gateway.admin, '/-/status', { token: ADMIN_TOKEN })).text);
  t.match(status.workers, { wanted: 2, serving: 2 });
  t.equal((await askAdmin(gateway.admin, '/-/reload', { method: 'POST', token: ADMIN_TOKEN })).status, 200);
  await until(() => gateway.acts().length > 0, 'the audit is told');
  t.strictSame(gateway.acts(), [['gateway_reload', 'ApiKey', 'admin_token', 'ok', undefined]], 'of one act once');
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createAudit } from '../../src/audit/audit.ts';
import { loadConfig } from '../../src/config/load.ts';
import { type Exchange, unbegun } from '../../src/exchange/exchange.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { GLOBAL_MANAGE } from '../../src/policy/access.ts';
import { decide } from '../../src/policy/decide.ts';
import { AUDIT_UNAVAILABLE } from '../../src/policy/denial.ts';
import { firstRefusal } from '../../src/policy/rules.ts';

/* What an event costs the process, from the ended exchange to the file: `node setup.mjs test/bench/audit.ts`. */

const EVENTS = 400_000;
/** Requests that end in one turn of the loop. */
const PER_TURN = 50;

const operation = REST_OPERATIONS.find(({ name }) => name === 'points.query');
if (!operation) throw new TypeError('there is no such operation');
const target = { kind: 'collection', name: 'documents' } as const;
const decision = decide(GLOBAL_MANAGE, operation, target);
const principal = {
  kind: 'principal',
  access: GLOBAL_MANAGE,
  bounds: undefined,
  authType: 'Jwt',
  keyId: 'api_key',
  subject: 'alice',
} as const;

function ended(headers: readonly string[]): Exchange {
  const times = { startedAt: performance.now(), forwardedAt: 1, answeredAt: 2 };
  return {
    protocol: 'rest',
    requestTarget: '/collections/a/points/query',
    headers,
    remote: '192.0.2.1',
    ...unbegun(),
    hasBody: false,
    ...times,
    resolution: { operation: operation as NonNullable<typeof operation>, target },
    principal,
    decision,
  };
}

const HEADERS = ['host', 'x', 'user-agent', 'python-client/1', 'content-type', 'application/json', 'api-key', 'k'];

async function measure(name: string, settings: Readonly<Record<string, unknown>>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'qdrant-gateway-bench-'));
  const { config } = loadConfig({
    env: {},
    defaults: {
      'service.api_key': 'key-0123456789',
      'service.grpc_port': null,
      'gateway.upstream.rest_url': 'http://127.0.0.1:1',
      'audit.dir': dir,
      'gateway.audit.buffer_entries': 1_000_000,
      ...settings,
    },
  });
  const audit = await createAudit(config, {
    firstRefusal,
    unavailable: AUDIT_UNAVAILABLE,
    changed: () => undefined,
    fault: (error) => {
      throw error;
    },
  });
  const began = performance.now();
  const cpu = process.cpuUsage();
  for (let sent = 0; sent < EVENTS; sent += PER_TURN) {
    for (let i = 0; i < PER_TURN; i++) {
      const exchange = ended(HEADERS);
      void audit?.admit(exchange);
      audit?.observe(exchange, { status: 200, received: 512, sent: 1024 });
    }
    await nextTurn();
  }
  await audit?.close(60_000);
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const perEvent = (user + system) / EVENTS;
  const dropped = audit?.snapshot().sinks.reduce((sum, sink) => sum + sink.dropped, 0) ?? 0;
  const rate = Math.round(EVENTS / seconds).toLocaleString('en');
  process.stdout.write(
    `${name.padEnd(24)} ${rate.padStart(10)} events/s ${perEvent.toFixed(2).padStart(6)} us CPU, ${dropped} dropped\n`,
  );
  rmSync(dir, { recursive: true });
}

for (let round = 0; round < 3; round++) {
  await measure('nothing audited', {});
  await measure('file', { 'audit.enabled': true });
  await measure('file, hash chain', { 'audit.enabled': true, 'gateway.audit.hash_chain': true });
}

import { type Exchange, unbegun } from '../../src/exchange/exchange.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { Connections } from '../../src/net/connections.ts';
import { createObservation } from '../../src/observability/observation.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { GLOBAL_READ } from '../../src/policy/access.ts';
import { MISSING_CREDENTIAL } from '../../src/policy/denial.ts';
import { NO_TARGET } from '../../src/policy/operation.ts';
import { firstRefusal } from '../../src/policy/rules.ts';

/*
 * What it costs to observe one request, in nanoseconds of processor time.
 *
 *   node setup.mjs test/bench/observation.ts
 */

const ROUNDS = 7;
const REQUESTS = 2_000_000;

const principals: Principal[] = Array.from({ length: 64 }, (_, i) => ({
  ...{ kind: 'principal', access: GLOBAL_READ, bounds: undefined, authType: 'Jwt', keyId: 'api_key' },
  subject: `subject-${i}`,
}));

const exchanges: Exchange[] = Array.from({ length: 1024 }, (_, i) => {
  const operation = REST_OPERATIONS[i % REST_OPERATIONS.length];
  const resolution = operation ? { operation, target: NO_TARGET } : undefined;
  const shared = { requestTarget: '/', headers: [], remote: '10.0.0.1', resolution, hasBody: false, ...unbegun() };
  const now = performance.now();
  const times = { startedAt: now - 3, forwardedAt: now - 2.95, answeredAt: now - 1 };
  return {
    protocol: i % 2 === 0 ? 'rest' : 'grpc',
    ...shared,
    principal: i % 10 === 0 ? undefined : principals[i % principals.length],
    ...(i % 10 === 0 ? { refusal: MISSING_CREDENTIAL, startedAt: now - 0.1 } : times),
  };
});

const fail = (error: unknown): never => {
  throw error;
};
const connections = { rest: new Connections(fail), grpc: new Connections(fail) };

function measure(perKey: number | undefined): number {
  const { observe, close } = createObservation({ firstRefusal, connections, perKey });
  const outcome = { status: 200, received: 100, sent: 1000 };
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.cpuUsage();
    for (let i = 0; i < REQUESTS; i += 1) {
      const exchange = exchanges[i & 1023];
      if (exchange) observe(exchange, outcome);
    }
    const { user, system } = process.cpuUsage(before);
    rounds.push(((user + system) * 1000) / REQUESTS);
  }
  close();
  return Math.round(rounds.sort((a, b) => a - b)[ROUNDS >> 1] ?? 0);
}

process.stdout.write(`observing one request: ${measure(undefined)} ns, with keys and subjects ${measure(200)} ns\n`);

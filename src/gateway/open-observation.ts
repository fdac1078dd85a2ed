import type { Config } from '../config/schema.ts';
import type { FaultReport } from '../lifetime/guard.ts';
import { Connections } from '../net/connections.ts';
import { createComparison } from '../observability/comparison.ts';
import {
  createAccessLog,
  createClientFaultLog,
  createExchangeLog,
  createSlowLog,
} from '../observability/exchange-log.ts';
import type { Log } from '../observability/log.ts';
import { createObservation, type Observation, type ObservationOptions } from '../observability/observation.ts';
import { firstRefusal } from '../policy/rules.ts';
import type { Observer } from './exchange-parts.ts';
import type { StateInForce } from './state-in-force.ts';

/** Client connections of both listeners. */
export type Clients = ObservationOptions['connections'];

/** Counts connections and client faults, and logs the faults. */
export function clientsOf(log: Log, report: FaultReport): Clients {
  return {
    rest: new Connections(report, createClientFaultLog(log, 'rest')),
    grpc: new Connections(report, createClientFaultLog(log, 'grpc')),
  };
}

/** The observers that write log lines about requests. With a line for every request there is none for refusals alone. */
export function exchangeLogsOf({ gateway }: Config, log: Log): readonly Observer[] {
  const { access, slow_request_ms: slow } = gateway.log;
  const all = access ? createAccessLog(log) : createExchangeLog(log);
  return slow === null ? [all] : [all, createSlowLog(log, slow)];
}

/** Metrics are off when no endpoint serves them. */
export function observationOf({ gateway }: Config, connections: Clients): Observation | undefined {
  if (gateway.admin.port === null) return undefined;
  const { per_key: perKey, max_labels: most } = gateway.metrics;
  return createObservation({ firstRefusal, connections, perKey: perKey ? most : undefined });
}

/** Compares the verdicts of the gateway and of upstream while `gateway.upstream.compare` is on. */
export function comparisonOf(inForce: StateInForce, log: Log, observation: Observation | undefined): Observer {
  return createComparison({
    isOn: () => inForce.state.config.gateway.upstream.compare,
    log,
    count: (agreement) => observation?.compared(agreement),
  });
}

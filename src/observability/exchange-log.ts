import type { Exchange, Outcome } from '../exchange/exchange.ts';
import type { ClientFault } from '../net/connections.ts';
import type { Log } from './log.ts';

/** Logs each refused exchange at level debug, and every exchange at level trace. An observer of exchanges. */
export function createExchangeLog(log: Log): (exchange: Exchange, outcome: Outcome) => void {
  return (exchange, { status }) => {
    const refused = exchange.refusal ?? exchange.shadowed?.denial;
    const level = refused ? 'debug' : 'trace';
    if (!log.isLevelEnabled(level)) return;
    const { protocol, requestId, shadowed } = exchange;
    const operation = exchange.resolution?.operation.name;
    const key = exchange.principal?.keyId;
    const what = {
      protocol,
      operation,
      key,
      status,
      reason: refused?.why,
      code: refused?.code,
      rule: shadowed?.rule,
      requestId,
    };
    log[level](what, refused ? (exchange.refusal ? 'refused' : 'would be refused') : 'passed');
  };
}

/** One line at level debug for each client fault of a listener, which never became an exchange. */
export function createClientFaultLog(log: Log, protocol: 'rest' | 'grpc'): (fault: ClientFault) => void {
  return (code) => log.debug({ protocol, code }, 'client fault');
}

import { isBreakGlass, reasonIn } from '../exchange/break-glass.ts';
import type { Exchange, Outcome } from '../exchange/exchange.ts';
import { refusedKeyOf } from '../exchange/refused-key.ts';
import type { ClientFault } from '../net/connections.ts';
import { createThrottle, type Log } from './log.ts';

/**
 * Logs each exchange with a break-glass key at level warn, other refused ones at level debug, and every exchange at level
 * trace. An observer of exchanges.
 */
export function createExchangeLog(log: Log): (exchange: Exchange, outcome: Outcome) => void {
  return (exchange, { status }) => {
    const refused = exchange.refusal ?? exchange.shadowed?.denial;
    const reason = isBreakGlass(exchange) ? (reasonIn(exchange.headers) ?? null) : undefined;
    const level = reason !== undefined ? 'warn' : refused ? 'debug' : 'trace';
    if (!log.isLevelEnabled(level)) return;
    const { protocol, requestId, shadowed } = exchange;
    const operation = exchange.resolution?.operation.name;
    const refusedKey = refusedKeyOf(exchange);
    const key = exchange.principal?.keyId ?? refusedKey?.id;
    const keyName = (exchange.principal?.key ?? refusedKey)?.name;
    const what = {
      protocol,
      operation,
      key,
      keyName,
      status,
      reason: refused?.why,
      code: refused?.code,
      rule: shadowed?.rule ?? exchange.rail ?? exchange.passedRail,
      requestId,
      ...(reason !== undefined && { breakGlass: reason }),
    };
    log[level](what, refused ? (exchange.refusal ? 'refused' : 'would be refused') : 'passed');
  };
}

/** Most log lines about PROXY headers, per second. */
const PROXY_LINES_PER_SECOND = 1;

/**
 * One line at level debug for each client fault of a listener, which never became an exchange; at level warn, and not each of
 * them, for a PROXY header, which is a mistake in the settings of a proxy or of the gateway.
 */
export function createClientFaultLog(
  log: Log,
  protocol: 'rest' | 'grpc',
): (fault: ClientFault, remote?: string) => void {
  const mayWarn = createThrottle(PROXY_LINES_PER_SECOND, Date.now);
  return (code, remote) => {
    const text = PROXY_TEXTS[code];
    if (text !== undefined && mayWarn() !== undefined) log.warn({ protocol, code, remote }, text);
    else log.debug({ protocol, code, remote }, 'client fault');
  };
}

const PROXY_TEXTS: Readonly<Partial<Record<ClientFault, string>>> = {
  proxy_header: 'a trusted proxy sent no valid PROXY header; its connection is closed',
  proxy_untrusted: 'a peer that is not in gateway.trusted_proxies sent a PROXY header; it is not read',
};

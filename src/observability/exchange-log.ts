import { isBreakGlass } from '../exchange/break-glass.ts';
import type { Exchange, Outcome } from '../exchange/exchange.ts';
import { turnClock } from '../lifetime/turn-clock.ts';
import { clientNetworkOf } from '../limits/peer-address.ts';
import type { ClientFault } from '../net/connections.ts';
import { exchangeFields } from './exchange-fields.ts';
import { FoldedRefusals } from './folded-refusals.ts';
import { createThrottle, type Log } from './log.ts';

type ObserveExchange = (exchange: Exchange, outcome: Outcome) => void;

/** Calls `work` once, after so many milliseconds. */
export type Later = (ms: number, work: () => void) => void;

/** By a timer that keeps no process alive. */
export const laterHere: Later = (ms, work) => void setTimeout(work, ms).unref();

/**
 * Logs each exchange with a break-glass key at level warn, and each refusal: at level info folded by kind and minute, at level
 * debug each one. At level trace every exchange has a line. An observer of exchanges, which does next to nothing for an allowed one.
 */
export function createExchangeLog(log: Log, later: Later = laterHere): ObserveExchange {
  const folded = new FoldedRefusals({ write: (fields, message) => log.info(fields, message), later });
  return (exchange, outcome) => {
    const refused = exchange.refusal ?? exchange.shadowed?.denial;
    const isGlass = isBreakGlass(exchange);
    const level = isGlass ? 'warn' : refused ? 'info' : 'trace';
    if (!log.isLevelEnabled(level)) return;
    const message = refused ? (exchange.refusal ? 'refused' : 'would be refused') : 'passed';
    const fields = exchangeFields(exchange, outcome);
    if (level !== 'info') log[level](fields, message);
    else if (log.isLevelEnabled('debug')) log.debug(fields, message);
    else folded.add(message, fields, clientNetworkOf(exchange.remote), isGrave(exchange));
  };
}

/** True = the request was for more than to read. */
function isGrave({ resolution }: Exchange): boolean {
  return resolution !== undefined && resolution.operation.requires.level !== 'read';
}

/** A line for every exchange, at level warn with a break-glass key, else at info: `gateway.log.access`. */
export function createAccessLog(log: Log): ObserveExchange {
  return (exchange, outcome) => {
    const level = isBreakGlass(exchange) ? 'warn' : 'info';
    if (!log.isLevelEnabled(level)) return;
    const { received, sent } = outcome;
    const more = { duration_ms: durationOf(exchange), bytes_in: received, bytes_out: sent };
    log[level]({ ...exchangeFields(exchange, outcome), ...more }, 'request');
  };
}

/** Most lines about slow requests, per second. */
const SLOW_LINES_PER_SECOND = 10;

/** A line at level info for each exchange that takes longer than `limitMs`: `gateway.log.slow_request_ms`. Not each, if there are many. */
export function createSlowLog(log: Log, limitMs: number): ObserveExchange {
  const mayLog = createThrottle(SLOW_LINES_PER_SECOND, Date.now);
  return (exchange, outcome) => {
    const duration = durationOf(exchange);
    if (duration < limitMs || !log.isLevelEnabled('info')) return;
    const missed = mayLog();
    if (missed === undefined) return;
    const more = { duration_ms: duration, ...(missed > 0 && { missed }) };
    log.info({ ...exchangeFields(exchange, outcome), ...more }, 'slow request');
  };
}

/** Milliseconds since the head of the request. */
function durationOf({ startedAt }: Exchange): number {
  return Math.max(0, Math.round((turnClock.monotonic() - startedAt) * 1000) / 1000);
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

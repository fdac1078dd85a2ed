import {
  type ConsoleAnswer,
  type ConsolePort,
  type ConsoleRequest,
  isConsoleTarget,
  MAX_CONSOLE_BODY,
} from '../../exchange/console-request.ts';
import { requestIdOf } from '../../exchange/request-id.ts';
import { readBody } from '../body/read-body.ts';
import type { RestExchange } from '../exchange.ts';
import type { LaneContext } from '../options.ts';
import { answerWhole } from '../reject.ts';
import { toOriginForm } from '../request-target.ts';
import { bodyIdleOf } from '../time-limits.ts';

/** True = the request is for the console, and that is on. Only the plain path: another spelling is an unknown route. */
export function isConsoleRequest(
  { requestTarget }: Pick<RestExchange, 'requestTarget'>,
  { console: pages }: { readonly console?: ConsolePort | undefined },
): boolean {
  return pages !== undefined && isConsoleTarget(toOriginForm(requestTarget));
}

/**
 * Answers a request for the console. INVARIANT: before preflights and without headers of CORS: no page of another origin may read
 * an answer.
 */
export function answerConsoleRequest(exchange: RestExchange, context: LaneContext): void {
  const { limits, budget } = context;
  if (!exchange.hasBody) {
    ask(exchange, context, new Uint8Array());
    return;
  }
  const reading = { maxBytes: MAX_CONSOLE_BODY, idleMs: bodyIdleOf(exchange, limits.body_idle_timeout_ms), budget };
  readBody(exchange, reading, (body) => {
    if ('kind' in body) {
      const status = body.code === 'body_too_large' ? 413 : body.status;
      answerWhole(exchange, status, ['x-request-id', requestIdOf(exchange)], Buffer.from(body.message));
      return;
    }
    const lent = body.lend();
    const whole = Buffer.from(lent);
    body.giveBack(lent);
    body.release();
    ask(exchange, context, whole);
  });
}

function ask(exchange: RestExchange, { console: pages }: LaneContext, body: Uint8Array): void {
  if (!pages) throw new TypeError('there is no console');
  const { method, headers, host, remote, peer, requestTarget } = exchange;
  const request: ConsoleRequest = {
    port: 'rest',
    ...{ method, headers, remote, body },
    target: toOriginForm(requestTarget),
    host: host === '' ? undefined : host,
    tls: peer.scheme === 'https',
  };
  exchange.guard.settled(pages.ask(request), (answer) => send(exchange, answer));
}

function send(exchange: RestExchange, { status, headers, body }: ConsoleAnswer): void {
  const whole = exchange.method === 'HEAD' ? '' : body;
  answerWhole(exchange, status, [...headers, 'x-request-id', requestIdOf(exchange)], Buffer.from(whole));
}
